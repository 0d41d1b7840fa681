# SPDX-License-Identifier: GPL-2.0-or-later
"""Property: the store with its index answers every query as a plain list scan would, and standing queries add up to the result."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from di.kernel.filter import matches
from di.kernel.value import LongLong, Value, equal
from di.stores.monitoring import index as index_module
from di.stores.monitoring import store as store_module
from di.stores.monitoring.store import BUCKETS, Store, copy_value

IDS = st.sampled_from(["", "a", "ab", "abcde", "abcdef", "abcdeg", "zé", "\udcff\udc80", "q1", "q2", "1q"])
NAMES = st.sampled_from(["app", "room", "n", "list"])
SCALARS = st.sampled_from([None, "1", "x", "", 1, 0, LongLong(1), True, False, 1.0, 0.0, float("nan"), b"x", b""])
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=2) | st.dictionaries(st.sampled_from(["k", "l"]), v, max_size=2), max_leaves=3
)
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=3).map(tuple)


def naive_order(id: str) -> tuple[int, bytes]:
    mixed = 0
    raw = id.encode("utf-8", "surrogateescape")
    for byte in raw[:5]:
        mixed ^= byte
    return mixed % BUCKETS, raw


class StoreAgainstList(RuleBasedStateMachine):
    """The model is a plain dict that is scanned."""

    def __init__(self) -> None:
        super().__init__()
        self.changes = 0
        self.store = Store(self._count)
        self.model: dict[str, dict[str, Value] | None] = {}
        self.finished: dict[str, int] = {}
        self.over: set[str] = set()
        """Marked finished, not by a time set beforehand: standing queries do not hold them any more."""
        self.now_s = 100
        self.watches: list[tuple[Any, set[str]]] = []

    def _count(self, what: str, id: str, attributes: dict[str, Value]) -> None:
        self.changes += 1

    def _attributes(self, id: str) -> dict[str, Value]:
        if self.model.get(id) is None:
            self.model[id] = {}
        attributes = self.model[id]
        assert attributes is not None
        return attributes

    @rule(id=IDS, attributes=st.dictionaries(NAMES, VALUES, min_size=1, max_size=3))
    def set(self, id: str, attributes: dict[str, Value]) -> None:
        self.store.set(id, attributes)
        self._attributes(id).update(copy_value(attributes))

    @rule(id=IDS, name=NAMES, value=VALUES)
    def add(self, id: str, name: str, value: Value) -> None:
        self.store.add(id, name, value)
        attributes = self._attributes(id)
        old = attributes.get(name)
        attributes[name] = [*old, value] if isinstance(old, list) else [value] if old is None else [old, value]

    @rule(id=IDS, name=NAMES, amount=st.integers(-3, 3))
    def add_count(self, id: str, name: str, amount: int) -> None:
        self.store.add_count(id, name, amount)
        attributes = self._attributes(id)
        old = attributes.get(name)
        attributes[name] = (old if type(old) is int else 0) + amount

    @rule(id=IDS)
    def mark_finished(self, id: str) -> None:
        self.store.mark_finished(id, self.now_s)
        self.model.setdefault(id, None)
        if id not in self.finished:
            self.finished[id] = self.now_s
            self.over.add(id)

    @rule(id=IDS, delta_s=st.integers(-3, 3))
    def expire(self, id: str, delta_s: int) -> None:
        self.store.set_expiration(id, self.now_s + delta_s)
        self.model.setdefault(id, None)
        self.finished[id] = self.now_s + delta_s
        self.over.discard(id)

    @rule(id=IDS)
    def reactivate(self, id: str) -> None:
        self.store.set_expiration(id, 0)
        self.model.setdefault(id, None)
        self.finished.pop(id, None)
        self.over.discard(id)

    @rule(seconds=st.integers(0, 2))
    def wait(self, seconds: int) -> None:
        self.now_s += seconds

    @rule(id=IDS)
    def erase(self, id: str) -> None:
        assert self.store.erase(id) == (id in self.model)
        self.model.pop(id, None)
        self.finished.pop(id, None)
        self.over.discard(id)

    @rule()
    def finished_ids(self) -> None:
        done = [id for id in sorted(self.model, key=naive_order) if self.finished.get(id, self.now_s + 1) <= self.now_s]
        assert self.store.finished_ids(self.now_s) == done

    @rule(number=st.integers(0, 15), steps=st.integers(1, 6))
    def prepare(self, number: int, steps: int) -> None:
        """What a sliced answer does before it reads a bucket; between its steps anything may happen."""
        for _ in range(steps):
            self.store.prepare(number)

    @rule()
    def clear(self) -> None:
        self.store.clear()
        self.model.clear()
        self.finished.clear()
        self.over.clear()

    @rule(pairs=PAIRS)
    def find(self, pairs: Any) -> None:
        assert self.store.find(pairs) == self._scan(pairs)

    @rule(pairs=PAIRS)
    def watch(self, pairs: Any) -> None:
        if len(self.watches) >= 5:
            self.store.unwatch(self.watches.pop(0)[0])
        seen: set[str] = set()

        def notify(id: str, came: bool) -> None:
            assert (id in seen) != came, "each change is told once"
            (seen.add if came else seen.discard)(id)

        watch = self.store.watch(pairs, notify)
        seen.update(watch.members)
        self.watches.append((watch, seen))

    def _scan(self, pairs: Any) -> list[str]:
        return [id for id in sorted(self.model, key=naive_order) if matches(self.model[id], pairs)]

    @invariant()
    def same_records(self) -> None:
        order = sorted(self.model, key=naive_order)
        assert self.store.ids() == order
        assert len(self.store) == len(order)
        assert [id for id, _ in self.store.items()] == order
        for id, attributes in self.model.items():
            mine = self.store.get(id)
            assert (mine is None) == (attributes is None)
            assert repr(mine) == repr(attributes)  # NaN equals nothing, its text does
        done = {id for id, time_s in self.finished.items() if time_s and time_s <= self.now_s}
        assert self.store.finished_ids(self.now_s) == [id for id in order if id in done]
        assert self.store.finished_count(self.now_s) == len(done)
        assert self.store.active_ids(self.now_s) == [id for id in order if id not in done]

    @invariant()
    def watches_follow(self) -> None:
        for watch, seen in self.watches:
            assert sorted(seen) == sorted(set(self._scan(watch.pairs)) - self.over)

    @invariant()
    def index_is_exact(self) -> None:
        for name in ("app", "room", "n", "list"):
            have = [a for a in self.model.values() if a and a.get(name) is not None]
            assert self.store.index.count(name) == len(have)
            texts = {a[name] for a in have if type(a[name]) is str}
            assert sorted(text for part in self.store.index.texts(name) for text in part) == sorted(texts)
        assert {name for name, _ in self.store.index.sizes()} == {
            name for a in self.model.values() if a for name, value in a.items() if value is not None
        }


StoreAgainstList.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handful of ids is as much to sort, to leave out and to spread as half a million."""
    monkeypatch.setattr(store_module, "_RUN", 2)
    monkeypatch.setattr(index_module, "_ONE_PART", 2)
    monkeypatch.setattr(index_module, "_PARTS", 3)


TestStoreAgainstList = StoreAgainstList.TestCase


def test_the_scan_tells_types_apart() -> None:
    assert not equal("1", 1)
    store = Store()
    store.set("a", {"n": 1})
    assert store.find((("n", "1"),)) == []
    assert store.find((("n", LongLong(1)),)) == []
    assert store.find((("n", True),)) == []
    assert store.find((("n", 1),)) == ["a"]
