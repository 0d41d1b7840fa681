# SPDX-License-Identifier: GPL-2.0-or-later
"""Standing queries for gateways: "tell me when the result of this filter changes", with a bound on what may wait.

    query = Query(store, parse_pairs([["app", "conference"]]), limit=1000, on_ready=wake)
    query.members()        the result now, in order
    query.take()           → Delta(entered=[…], left=[…]) since the last take, or None, or Dropped

What waits is the *difference* between what the client knows and what is: a record that comes and goes between two reads is never sent.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass

from di.kernel.errors import CallFailed
from di.kernel.event_log import Dropped, EventFilter
from di.kernel.filter import Pairs, matches
from di.kernel.value import Value
from di.stores.monitoring.store import Store, copy_value, order_of

log = logging.getLogger(__name__)

MAX_SNAPSHOT = 100_000
"""Records that a snapshot or a new watch may look at: about 0.1 s."""


@dataclass(frozen=True, slots=True)
class Delta:
    """Ids that came into a query's result and ids that left it, each in the store's order."""

    entered: list[str]
    left: list[str]


class Query:
    """One client's standing query.

    `limit`: changed ids that may wait before it is dropped; `on_ready` as in `di.kernel.event_log`.
    """

    def __init__(self, store: Store, pairs: Pairs, limit: int = 10000, on_ready: Callable[[], None] | None = None) -> None:
        """Raises CallFailed when it would have to look at too many records at once."""
        _few(store.candidates(pairs), "watch")
        self._store, self._limit, self._on_ready = store, limit, on_ready
        self._pending: dict[str, bool] = {}
        self._reported = True
        self.reason = ""
        self._watch = store.watch(pairs, self._changed)

    @property
    def closed(self) -> bool:
        """Whether the query has ended, by `close` or because its client was too slow."""
        return bool(self.reason)

    def members(self) -> list[str]:
        """The present result, in order; what waited is included and forgotten."""
        self._pending.clear()
        return self._store.in_order(self._watch.members)

    def _changed(self, id: str, came: bool) -> None:
        if self._pending.get(id, came) != came:
            del self._pending[id]  # back to what the client knows
            return
        self._pending[id] = came
        if len(self._pending) > self._limit:
            self._end(f"too slow: {self._limit} changes were waiting")
            self._reported = False
            self._wake()
        elif len(self._pending) == 1:
            self._wake()

    def take(self) -> Delta | Dropped | None:
        """What changed since the last call; None when nothing did; Dropped once, as the last, when the client was too slow."""
        if self.closed:
            reported, self._reported = self._reported, True
            return None if reported else Dropped(self.reason)
        if not self._pending:
            return None
        pending, self._pending = self._pending, {}
        entered = self._store.in_order({id for id, came in pending.items() if came})
        left = sorted((id for id, came in pending.items() if not came), key=order_of)
        return Delta(entered, left)

    def close(self) -> None:
        """End the query; without effect when it has ended."""
        self._end("closed by the client")

    def _end(self, reason: str) -> None:
        if not self.closed:
            self.reason = reason
            self._store.unwatch(self._watch)
            self._pending.clear()

    def _wake(self) -> None:
        if self._on_ready is None:
            return
        try:
            self._on_ready()
        except Exception:
            log.exception("the wake-up of a standing query failed; it ends")
            self._on_ready = None
            self._end("its reader failed")


def calls_snapshot(store: Store, wanted: EventFilter, now_s: int) -> Value:
    """Id → attributes of the active records that a subscriber with this filter should start from.

    Raises CallFailed for more than `MAX_SNAPSHOT`: they would hold up everything else.
    """
    if wanted.calls:
        ids = [id for id in store.in_order(wanted.calls) if id in store and matches(store.get(id), wanted.attributes)]
    elif wanted.attributes:
        _few(store.candidates(wanted.attributes), "snapshot")
        ids = store.find(wanted.attributes)
    else:
        found = list(itertools.islice(store.unfinished_ids(now_s), MAX_SNAPSHOT + 1))
        _few(len(found), "snapshot")
        ids = store.in_order(found)
    return {id: copy_value(store.get(id)) for id in ids if not store.is_finished(id, now_s)}


def _few(records: int, what: str) -> None:
    if records > MAX_SNAPSHOT:
        raise CallFailed(
            f"a {what} looks at {MAX_SNAPSHOT} records at most; name an attribute that fewer have (limit of this server)"
        )
