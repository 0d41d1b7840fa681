# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest

from di.kernel.event_log import Dropped, EventFilter
from di.stores.monitoring.standing_queries import Delta, Query, calls_snapshot
from di.stores.monitoring.store import Store

CONFERENCE = (("app", "conference"),)


def filled() -> Store:
    store = Store()
    store.set("a", {"app": "conference", "room": "r1"})
    store.set("b", {"app": "echo"})
    return store


def test_a_query_tells_what_changed_since_the_last_look() -> None:
    store, woken = filled(), []
    query = Query(store, CONFERENCE, on_ready=lambda: woken.append(1))
    assert query.members() == ["a"]
    assert query.take() is None
    store.set("b", {"app": "conference"})
    store.set("c", {"app": "conference"})
    store.erase("a")
    assert len(woken) == 1
    assert query.take() == Delta(["b", "c"], ["a"])
    assert query.take() is None
    store.set("b", {"room": "r2"})
    assert query.take() is None
    store.clear()
    assert query.take() == Delta([], ["b", "c"])
    assert len(woken) == 2


def test_what_comes_and_goes_between_two_looks_is_not_told() -> None:
    store = filled()
    query = Query(store, CONFERENCE)
    store.set("b", {"app": "conference"})
    store.set("b", {"app": "echo"})
    store.set("a", {"app": "echo"})
    store.set("a", {"app": "conference"})
    assert query.take() is None


def test_a_client_that_never_looks_is_dropped() -> None:
    store, woken = filled(), []
    query = Query(store, CONFERENCE, limit=3, on_ready=lambda: woken.append(1))
    for number in range(10):
        store.set(f"x{number}", {"app": "conference"})
    assert query.closed and store.watch_count == 0
    assert query.take() == Dropped("too slow: 3 changes were waiting")
    assert query.take() is None
    assert len(woken) == 2


def test_close_and_failing_wake_up(caplog: pytest.LogCaptureFixture) -> None:
    store = filled()
    query = Query(store, CONFERENCE)
    query.close()
    assert store.watch_count == 0 and query.take() is None

    def fail() -> None:
        raise RuntimeError("no")

    broken, other = Query(store, CONFERENCE, on_ready=fail), Query(store, CONFERENCE)
    store.set("c", {"app": "conference"})
    assert broken.closed and store.watch_count == 1
    assert other.take() == Delta(["c"], [])


def test_a_write_costs_only_the_watches_that_it_touches() -> None:
    store = Store()
    looked: list[str] = []
    for number in range(1000):
        store.watch((("room", f"r{number}"),), lambda id, came: looked.append(id))
    asked: list[str] = []
    matches = store._watches._matches
    store._watches._matches = lambda id, pairs: asked.append(id) or matches(id, pairs)  # type: ignore[func-returns-value]
    store.set("a", {"room": "r5", "app": "x"})
    store.set("a", {"room": "r6"})
    store.set("a", {"app": "y"})
    assert len(asked) == 3
    assert looked == ["a", "a", "a"]


def test_snapshot_has_the_active_calls_that_match() -> None:
    store = filled()
    store.set("c", {"app": "conference"})
    store.mark_finished("c", 10)
    assert calls_snapshot(store, EventFilter(), 10) == {"a": {"app": "conference", "room": "r1"}, "b": {"app": "echo"}}
    assert calls_snapshot(store, EventFilter(attributes=CONFERENCE), 10) == {"a": {"app": "conference", "room": "r1"}}
    assert calls_snapshot(store, EventFilter(calls=frozenset({"b", "c", "unknown"})), 10) == {"b": {"app": "echo"}}
