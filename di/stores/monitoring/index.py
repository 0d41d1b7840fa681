# SPDX-License-Identifier: GPL-2.0-or-later
"""Index of the monitoring store: (attribute, value) → ids, kept on every write, so that a look-up costs what it returns.

    attribute ─► key of value ─► id                 (one record has it: no set, half the memory)
                              ├► {id: None, …}      (several have it)
                              └► ManyIds            (very many: that table in many parts)

The ids stand in dicts rather than sets: a dict of plain values is invisible to Python's cycle collector, a set is not, and with a
million records the difference is a third of a second for each full collection.

Scalars are keys by value and type. Arrays, structs and NaN share one key per attribute, COMPOUND: appending to an array must not cost its
length, so what a look-up gives there still has to be compared. Undef is not indexed; "missing" is the complement of everything else.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from collections.abc import Set as AbstractSet
from typing import cast

from di.kernel.value import Value, index_key

_Ids = dict[str, None]
_Keys = dict[Hashable, "str | _Ids | ManyIds"]
_PARTS = 256
_ONE_PART = 10_000
"""More keys of an attribute, or ids of a key, stand in `_PARTS` tables: one of 350 000 is made larger in 11 ms, with everybody waiting."""
_EMPTY: frozenset[str] = frozenset()


class _Compound:
    """The one key of all values that are compared rather than looked up."""


COMPOUND: Hashable = _Compound()


def key_of(value: Value) -> Hashable:
    """The index key of a value: equal scalars have equal keys, different ones different keys."""
    if isinstance(value, str):
        return value  # the common case, without a tuple; no other key is a str
    if isinstance(value, (list, tuple, dict)) or (isinstance(value, float) and math.isnan(value)):
        return COMPOUND
    return index_key(value)


class ManyIds(AbstractSet[str]):
    """The ids of a value that very many records have: those of its first table, which grows no more, and parts for all others.

    Asked for by `type`: `isinstance` of an abstract class takes longer than a write.
    """

    __slots__ = ("_count", "_first", "parts")

    def __init__(self, first: _Ids) -> None:
        self._first = first
        self.parts: list[_Ids] = [first, *({} for _ in range(_PARTS))]
        """All tables."""
        self._count = len(first)

    def _of(self, id: object) -> _Ids:
        return self._first if id in self._first else self.parts[1 + hash(id) % _PARTS]

    def add(self, id: str) -> None:
        """One more, which is not there."""
        self._of(id)[id] = None
        self._count += 1

    def remove(self, id: str) -> None:
        """Take out one that is there."""
        del self._of(id)[id]
        self._count -= 1

    def __contains__(self, id: object) -> bool:
        return id in self._of(id)

    def __iter__(self) -> Iterator[str]:
        return (id for part in self.parts for id in part)

    def __len__(self) -> int:
        return self._count


class _Table:
    """The keys of one attribute: in one part, which grows no more once there are many, and parts for all others."""

    __slots__ = ("first", "parts", "records")

    def __init__(self) -> None:
        self.first: _Keys = {}
        self.parts: list[_Keys] = [self.first]
        """All."""
        self.records = 0
        """How many have the attribute."""

    def of(self, key: Hashable) -> _Keys:
        """The part that has a key, or would have it."""
        first, parts = self.first, self.parts
        return first if len(parts) == 1 or key in first else parts[1 + hash(key) % _PARTS]

    def spread(self) -> None:
        """Use many parts from now on, if there are many keys; a key was added."""
        if len(self.parts) == 1 and len(self.first) > _ONE_PART:
            self.parts += [{} for _ in range(_PARTS)]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __iter__(self) -> Iterator[Hashable]:
        return (key for part in self.parts for key in part)


class AttributeIndex:
    """Which ids have which value of which attribute."""

    def __init__(self) -> None:
        self._ids: dict[str, _Table] = {}

    def add(self, attribute: str, value: Value, id: str) -> None:
        """Note that record `id` now has this value. Undef is ignored."""
        if value is not None:
            self._add(attribute, key_of(value), id)

    def add_text(self, attribute: str, text: str, id: str) -> None:
        """The same of a text, which is its own key. The common cases are done here: a new one, and one that some others have."""
        table = self._ids.get(attribute)
        if table is not None:
            keys = table.first if len(table.parts) == 1 else table.of(text)
            present = keys.get(text)
            if present is None and len(keys) < _ONE_PART:
                keys[text] = id
                table.records += 1
                return
            if type(present) is dict and len(present) < _ONE_PART:
                present[id] = None
                table.records += 1
                return
        self._add(attribute, text, id)

    def _add(self, attribute: str, key: Hashable, id: str) -> None:
        table = self._ids.get(attribute)
        if table is None:
            table = self._ids[attribute] = _Table()
        keys = table.of(key)
        present = keys.get(key)
        if present is None:
            keys[key] = id
            if len(keys) > _ONE_PART:
                table.spread()
        elif type(present) is dict:
            present[id] = None
            if len(present) > _ONE_PART:
                keys[key] = ManyIds(present)
        elif type(present) is ManyIds:
            present.add(id)
        else:
            assert isinstance(present, str)
            keys[key] = {present: None, id: None}
        table.records += 1

    def remove(self, attribute: str, value: Value, id: str) -> None:
        """Note that record `id` no longer has this value, which it had."""
        if value is None:
            return
        key, table = key_of(value), self._ids[attribute]
        keys = table.of(key)
        present = keys[key]
        if type(present) is dict:
            del present[id]
        elif type(present) is ManyIds:
            present.remove(id)
        if not present or type(present) is str:
            del keys[key]
        table.records -= 1
        if not table.records:
            del self._ids[attribute]

    def replace(self, attribute: str, old: Value, new: Value, id: str) -> bool:
        """Note that a record's value went from `old` to `new`.

        False when both are the same scalar and nothing had to be done.
        """
        key = key_of(new)
        if old is None and new is not None:  # most writes: a new call's attributes
            self._add(attribute, key, id)
            return True
        if key == key_of(old):
            return key is COMPOUND
        self.remove(attribute, old, id)
        self.add(attribute, new, id)
        return True

    def find(self, attribute: str, value: Value) -> AbstractSet[str]:
        """The ids under the value's key; for COMPOUND a superset of the answer.

        A live set: copy it before the next write.
        """
        table = self._ids.get(attribute)
        key = key_of(value)
        present = table.of(key).get(key) if table is not None else None
        if present is None:
            return _EMPTY
        if isinstance(present, str):
            return {present}
        return present.keys() if type(present) is dict else cast(ManyIds, present)

    def count(self, attribute: str) -> int:
        """How many records have the attribute with any value but Undef."""
        table = self._ids.get(attribute)
        return table.records if table is not None else 0

    def distinct(self, attribute: str) -> int:
        """How many keys an attribute has."""
        return len(self._ids.get(attribute, ()))

    def texts(self, attribute: str) -> Iterator[list[str]]:
        """Every distinct string value of an attribute, in lists of some ten thousands at most: those of one moment each."""
        table = self._ids.get(attribute)
        for part in table.parts if table is not None else ():
            yield [key for key in part if type(key) is str]

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Attribute and number of its distinct keys, for statistics."""
        for attribute, keys in self._ids.items():
            yield attribute, len(keys)

    def clear(self) -> list[_Keys]:
        """Forget everything; returns what held it, see `Store.clear`."""
        held = [part for table in self._ids.values() for part in table.parts]
        self._ids = {}
        return held
