# SPDX-License-Identifier: GPL-2.0-or-later
"""Standing queries: who wants to hear when the result of a filter changes.

Watches are looked up by the (attribute, key of value) of their pairs, so a write costs only the watches that mention its old or new value,
however many there are. A watch that no value can touch (empty filter, or all pairs ask for a missing attribute) hears of every new
record instead.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from di.kernel.filter import Pairs
from di.kernel.value import Value
from di.stores.monitoring.index import key_of

Notify = Callable[[str, bool], None]
"""Called with an id and whether it came into the result (True) or left it."""


class Watch:
    """One standing query. `members` is its current result; `notify` hears of each change."""

    __slots__ = ("members", "notify", "pairs")

    def __init__(self, pairs: Pairs, members: set[str], notify: Notify) -> None:
        self.pairs, self.members, self.notify = pairs, members, notify

    def update(self, id: str, matching: bool) -> None:
        """Take note of whether a record matches now; notify if that is news."""
        if matching == (id in self.members):
            return
        if matching:
            self.members.add(id)
        else:
            self.members.remove(id)
        self.notify(id, matching)


class Watches:
    """All watches, by what touches them. `matches(id, pairs)` tells whether a record exists and matches."""

    def __init__(self, matches: Callable[[str, Pairs], bool]) -> None:
        self._matches = matches
        self._by_value: dict[tuple[str, Hashable], set[Watch]] = {}
        self._on_creation: set[Watch] = set()
        self._all: set[Watch] = set()

    def __len__(self) -> int:
        return len(self._all)

    def add(self, watch: Watch) -> None:
        """Begin."""
        self._all.add(watch)
        for name, value in watch.pairs:
            self._by_value.setdefault((name, key_of(value)), set()).add(watch)
        if all(value is None for _, value in watch.pairs):
            self._on_creation.add(watch)

    def remove(self, watch: Watch) -> None:
        """End; without effect when it has ended."""
        self._all.discard(watch)
        self._on_creation.discard(watch)
        for name, value in watch.pairs:
            key = (name, key_of(value))
            watches = self._by_value.get(key)
            if watches is not None:
                watches.discard(watch)
                if not watches:
                    del self._by_value[key]

    def touched(self, id: str, changes: list[tuple[str, Value, Value]]) -> None:
        """Attributes of a record changed: (name, old value, new value), Undef for none."""
        found: set[Watch] = set()
        for name, old, new in changes:
            found |= self._by_value.get((name, key_of(old)), _NONE)
            found |= self._by_value.get((name, key_of(new)), _NONE)
        for watch in found:
            watch.update(id, self._matches(id, watch.pairs))

    def created(self, id: str) -> None:
        """A record came to be, without attributes yet."""
        for watch in tuple(self._on_creation):
            watch.update(id, self._matches(id, watch.pairs))

    def removed(self, id: str, attributes: dict[str, Value] | None) -> None:
        """A record is gone; `attributes` are those that it had."""
        found = set(self._on_creation)
        for name, value in (attributes or {}).items():
            found |= self._by_value.get((name, key_of(value)), _NONE)
        for watch in found:
            watch.update(id, False)

    def cleared(self) -> None:
        """Every record is gone."""
        for watch in tuple(self._all):
            for id in tuple(watch.members):
                watch.update(id, False)


_NONE: frozenset[Watch] = frozenset()
