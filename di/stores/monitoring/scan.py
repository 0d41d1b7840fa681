# SPDX-License-Identifier: GPL-2.0-or-later
"""Work whose cost is that of the store, cut into pieces so that the loop's other work goes on (`list…`, `getAttribute…`, `erase…`).

What few records take is done at once; else the answer is an awaitable. A sliced answer is each bucket as it was at one moment, as in SEMS,
which locks one bucket after the other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import cast

from di.kernel.filter import Pairs
from di.kernel.value import OwnArray, Value
from di.stores.monitoring.index import ManyIds
from di.stores.monitoring.store import BUCKETS, Held, HeldTable, Store, copy_value

_FEW = 2000
"""Texts, records or values that are looked at without giving the loop back."""
IDS = 20_000
"""Ids that are copied at once: about 1 ms."""
_STEP = 100
"""Records between two looks at the clock."""
_TURN_NS = 2_000_000
"""How long a piece of work runs before others have their turn."""
_PARTS = 256
"""Sets over which many texts are spread: one of half a million is made larger in 10 ms."""
_FREEING = 1_000
"""Entries a piece when a large table is given back."""


class _Pace:
    """Gives the loop back when a turn is over."""

    def __init__(self) -> None:
        self._until_ns = time.monotonic_ns() + _TURN_NS

    async def rest(self) -> None:
        """Let others run, if it is time."""
        if time.monotonic_ns() > self._until_ns:
            await asyncio.sleep(0)
            self._until_ns = time.monotonic_ns() + _TURN_NS


async def _slices(store: Store, size: int = _STEP) -> AsyncIterator[list[str]]:
    """The ids of all records in order; others have their turn between two slices, when it is time."""
    pace = _Pace()
    for number in range(BUCKETS):
        for _ in range(store.preparations(number)):
            await pace.rest()
            if store.prepare(number):
                break
        bucket = store.bucket_ids(number)
        for start in range(0, len(bucket), size):
            yield bucket[start : start + size]
            await pace.rest()


def ids(store: Store, keep: Callable[[str], bool] | None = None) -> list[str] | Awaitable[list[str]]:
    """The ids of all records, or of those to keep, in order. Many records: an awaitable."""
    if len(store) <= IDS:
        return store.ids() if keep is None else list(filter(keep, store.ids()))
    return _ids_in_slices(store, keep)


async def _ids_in_slices(store: Store, keep: Callable[[str], bool] | None) -> list[str]:
    found = cast("list[str]", OwnArray())
    async for some in _slices(store, IDS if keep is None else _STEP):
        found += some if keep is None else filter(keep, some)
    return found


def find(store: Store, pairs: Pairs, keep: Callable[[str], bool] = lambda id: True) -> list[str] | Awaitable[list[str]]:
    """The ids of records that match every pair and are to be kept, in order. Many to look at: an awaitable."""
    if store.candidates(pairs) <= _FEW:
        return list(filter(keep, store.find(pairs)))
    return _ids_in_slices(store, (lambda id: keep(id) and store.matches(id, pairs)) if pairs else keep)


def attribute(store: Store, name: str, keep: Callable[[str], bool] | None = None) -> list[Value] | Awaitable[list[Value]]:
    """[id, value] of all records, or of those to keep, in order; a missing attribute is Undef. Many records: an awaitable."""
    if len(store) <= _FEW:
        return [_pair(store, id, name) for id in store.ids() if keep is None or keep(id)]
    return _attribute_in_slices(store, name, keep)


async def _attribute_in_slices(store: Store, name: str, keep: Callable[[str], bool] | None) -> list[Value]:
    found = OwnArray()
    async for some in _slices(store):
        found += [_pair(store, id, name) for id in some if id in store and (keep is None or keep(id))]
    return found


def _pair(store: Store, id: str, name: str) -> Value:
    """A tuple: half a million lists would keep the cycle collector busy, which looks at tuples of plain values once."""
    attributes = store.get(id)
    return (id, copy_value(attributes.get(name)) if attributes else None)


def erase(store: Store, wanted: Iterable[str], still: Callable[[str], bool]) -> list[str] | Awaitable[list[str]]:
    """Remove records that `still` are as they were when they were found; returns those removed. Many: an awaitable."""
    listed = wanted if isinstance(wanted, list) else list(wanted)
    return _erase(store, listed, still) if len(listed) <= _STEP else _erase_in_slices(store, listed, still)


def erase_ended(store: Store, over: Callable[[str], bool]) -> list[str] | Awaitable[list[str]]:
    """Remove those of the records with a time of their end that are `over`; returns them. Many: an awaitable."""
    if store.ended_count() <= _STEP:
        return [id for number in range(BUCKETS) for id in _erase(store, store.ended(number), over)]
    return _erase_ended_in_slices(store, over)


async def _erase_ended_in_slices(store: Store, over: Callable[[str], bool]) -> list[str]:
    erased = cast("list[str]", OwnArray())
    for number in range(BUCKETS):
        erased += await _erase_in_slices(store, store.ended(number), over)
    return erased


def _erase(store: Store, wanted: list[str], still: Callable[[str], bool]) -> list[str]:
    return [id for id in wanted if still(id) and store.erase(id)]


async def _erase_in_slices(store: Store, wanted: list[str], still: Callable[[str], bool]) -> list[str]:
    erased = cast("list[str]", OwnArray())
    pace = _Pace()
    for start in range(0, len(wanted), _STEP):
        erased += _erase(store, wanted[start : start + _STEP], still)
        await pace.rest()
    return erased


async def give_back(held: Iterable[Held]) -> None:
    """Empty large tables that nobody uses any more, some entries at a time."""
    waiting: list[Held] = [*held]
    while waiting:
        table = waiting.pop()
        while table:
            if isinstance(table, list):
                del table[-_FREEING:]
            else:
                waiting += _freed(table)
            await asyncio.sleep(0)


def _freed(table: HeldTable) -> list[Held]:
    """Take some entries out; returns what stood there and is large itself."""
    large: list[Held] = []
    for _ in range(min(_FREEING, len(table))):
        value = table.popitem()[1]
        if type(value) is dict and len(value) > _FREEING:
            large.append(value)
        elif type(value) is ManyIds:
            large += value.parts
    return large


def by_text(store: Store, name: str, matches: Callable[[str], bool]) -> list[str] | Awaitable[list[str]]:
    """Ids of records whose attribute is a matching string, in order.

    Each distinct text is matched once; many texts or records: an awaitable.
    """
    if store.index.distinct(name) > _FEW:
        return _match_in_slices(store, name, matches)
    hits = [text for texts in store.index.texts(name) for text in texts if matches(text)]
    if _records(store, name, hits) <= _FEW:
        return _having(store, name, hits)
    return _ids_in_slices(store, _has_text(store, name, [frozenset(hits)]))


async def _match_in_slices(store: Store, name: str, matches: Callable[[str], bool]) -> list[str]:
    hits: list[set[str]] = [set() for _ in range(_PARTS)]
    pace = _Pace()
    for texts in store.index.texts(name):
        for start in range(0, len(texts), _STEP):
            for text in filter(matches, texts[start : start + _STEP]):
                hits[hash(text) % _PARTS].add(text)
            await pace.rest()
    count = sum(map(len, hits))
    few = [text for part in hits for text in part] if count <= _FEW else []
    if few and _records(store, name, few) <= _FEW:
        return _having(store, name, few)
    found = await _ids_in_slices(store, _has_text(store, name, hits)) if count else []
    while hits:
        hits.pop()
        await pace.rest()
    return found


def _records(store: Store, name: str, texts: list[str]) -> int:
    return sum(len(store.index.find(name, text)) for text in texts)


def _having(store: Store, name: str, texts: list[str]) -> list[str]:
    return store.in_order({id for text in texts for id in store.index.find(name, text)})


def _has_text(store: Store, name: str, wanted: Sequence[AbstractSet[str]]) -> Callable[[str], bool]:
    """A test for one of the texts, which stand in sets by their hash."""

    def has(id: str) -> bool:
        value = (store.get(id) or {}).get(name)
        return type(value) is str and value in wanted[hash(value) % len(wanted)]

    return has
