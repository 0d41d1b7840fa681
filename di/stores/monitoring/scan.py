# SPDX-License-Identifier: GPL-2.0-or-later
"""Queries whose cost is that of the store, cut into slices so that the loop's other work goes on (`list…`, `listByRegex`).

A sliced answer is each bucket as it was at one moment, as in SEMS, which locks one bucket after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from di.stores.monitoring.store import BUCKETS, Store

_SLICE = 2000
"""Texts a slice: about 2 ms of matching."""
IDS = 20_000
"""Ids a slice: about 1 ms of copying."""
_CHOOSING = 5_000
"""Ids a slice when each is looked at: about 1 ms."""


def ids(store: Store, keep: Callable[[str], bool] | None = None) -> list[str] | Awaitable[list[str]]:
    """The ids of all records, or of those to keep, in order. Many records: an awaitable."""
    if len(store) <= IDS:
        return store.ids() if keep is None else list(filter(keep, store.ids()))
    return _ids_in_slices(store, keep)


async def _ids_in_slices(store: Store, keep: Callable[[str], bool] | None) -> list[str]:
    found: list[str] = []
    step = IDS if keep is None else _CHOOSING
    for number in range(BUCKETS):
        bucket = store.bucket_ids(number)
        for start in range(0, len(bucket), step):
            some = bucket[start : start + step]
            found += some if keep is None else filter(keep, some)
            await asyncio.sleep(0)
    return found


def by_text(store: Store, attribute: str, matches: Callable[[str], bool]) -> list[str] | Awaitable[list[str]]:
    """Ids of records whose attribute is a matching string, in order.

    Each distinct text is matched once; many texts: an awaitable.
    """
    texts = store.index.texts(attribute)
    if len(texts) <= _SLICE:
        return _ids(store, attribute, filter(matches, texts))
    return _in_slices(store, attribute, matches, texts)


async def _in_slices(store: Store, attribute: str, matches: Callable[[str], bool], texts: list[str]) -> list[str]:
    hits: list[str] = []
    for start in range(0, len(texts), _SLICE):
        hits.extend(filter(matches, texts[start : start + _SLICE]))
        await asyncio.sleep(0)
    return _ids(store, attribute, hits)


def _ids(store: Store, attribute: str, hits: Iterable[str]) -> list[str]:
    found: set[str] = set()
    for text in hits:
        found.update(store.index.find(attribute, text))
    return store.in_order(found)
