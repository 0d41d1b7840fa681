# SPDX-License-Identifier: GPL-2.0-or-later
"""Queries over many records: others have their turn, the answer is the same."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable
from typing import Any

import pytest

from di.kernel.errors import CallFailed
from di.kernel.event_log import EventFilter
from di.kernel.value import OwnArray
from di.stores.monitoring import scan, standing_queries
from di.stores.monitoring.index import ManyIds
from di.stores.monitoring.interface import Monitoring
from di.stores.monitoring.samples import Samples
from di.stores.monitoring.store import BUCKETS, Store, order_of


@pytest.fixture(autouse=True)
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn is over at once, however quick the machine is."""
    monkeypatch.setattr(scan, "_TURN_NS", -1)


def test_few_texts_are_answered_at_once() -> None:
    store = Store()
    store.set("b", {"k": "x1"})
    store.set("a", {"k": "x1"})
    store.set("c", {"k": 1})
    asked: list[str] = []
    assert scan.by_text(store, "k", lambda text: asked.append(text) is None) == ["a", "b"]
    assert asked == ["x1"], "a text is matched once, however many have it"


class Counter:
    """Counts how often others had their turn while something waited."""

    async def __aenter__(self) -> Counter:
        self.turns = 0
        self._task = asyncio.ensure_future(self._run())
        return self

    async def _run(self) -> None:
        while True:
            self.turns += 1
            await asyncio.sleep(0)

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()


async def test_many_texts_let_others_run() -> None:
    store = Store()
    for number in range(10_000):
        store.set(f"id{number}", {"k": f"text{number}"})
    answer = scan.by_text(store, "k", lambda text: text.endswith("99"))
    assert isinstance(answer, Awaitable)
    store.erase("id99")  # gone while it is looked for
    async with Counter() as others:
        found = await answer
    assert len(found) == 99 and others.turns >= 4


def filled(records: int) -> tuple[Store, Monitoring]:
    store = Store()
    for number in range(records):
        store.set(f"{number:x}-id", {"k": number})
    for number in range(0, records, 2):
        store.mark_finished(f"{number:x}-id", 100)
    return store, Monitoring(store, Samples(10), lambda: 200.0)


async def test_lists_of_many_records_let_others_run_and_say_the_same() -> None:
    store, monitoring = filled(scan.IDS * 3)
    everything = store.ids()
    expected = {
        monitoring.list_all: everything,
        monitoring.list_active: store.active_ids(200),
        monitoring.list_finished: store.finished_ids(200),
    }
    for ask, ids in expected.items():
        answer = ask()
        assert isinstance(answer, Awaitable)
        async with Counter() as others:
            assert await answer == ids
        assert others.turns >= BUCKETS


def test_lists_of_few_records_are_answered_at_once() -> None:
    store, monitoring = filled(100)
    assert monitoring.list_all() == store.ids()
    assert monitoring.list_active() == store.active_ids(200) != monitoring.list_finished() == store.finished_ids(200)


async def test_records_that_come_and_go_meanwhile_are_there_once_or_not_at_all() -> None:
    store, monitoring = filled(scan.IDS * 2)
    before = set(store.ids())
    answer = monitoring.list_all()
    assert isinstance(answer, Awaitable)
    task = asyncio.ensure_future(answer)
    gone, made = set(), set()
    for number in range(0, 300, 3):
        store.erase(f"{number:x}-id")
        gone.add(f"{number:x}-id")
        store.set(f"new{number}", {"k": 1})
        made.add(f"new{number}")
        if number % 6 == 0:
            store.set(f"{number:x}-id", {"k": 1})  # again
            gone.discard(f"{number:x}-id")
        await asyncio.sleep(0)
    ids = await task
    assert len(ids) == len(set(ids)) and ids == sorted(ids, key=order_of)
    assert before - gone <= set(ids) <= before | made
    assert store.ids() == sorted(store.ids(), key=order_of) and set(store.ids()) == (before - gone) | made


async def others_run(answer: object, turns: int = BUCKETS) -> Any:
    """The answer, which must be one that lets others run."""
    assert isinstance(answer, Awaitable)
    async with Counter() as others:
        got = await answer
    assert others.turns >= turns
    return got


async def test_queries_of_many_records_let_others_run_and_say_the_same() -> None:
    store, monitoring = filled(30_000)
    for number in range(0, 30_000, 3):
        store.set(f"{number:x}-id", {"third": 1})
    active, thirds = store.active_ids(200), store.find((("third", 1),))
    among_active, among_thirds = set(active), set(thirds)
    assert await others_run(monitoring.list_by_filter([["third", 1]])) == [id for id in thirds if id in among_active]
    assert await others_run(monitoring.list_by_filter([])) == active
    assert await others_run(monitoring.list_by_filter([["third", None]])) == [id for id in active if id not in among_thirds]
    pairs = [(id, (store.get(id) or {})["k"]) for id in store.ids()]
    assert await others_run(monitoring.get_attribute("k")) == pairs
    assert await others_run(monitoring.get_attribute_active("k")) == [pair for pair in pairs if pair[0] in among_active]
    assert await others_run(monitoring.get_attribute_finished("k")) == [pair for pair in pairs if pair[0] not in among_active]


async def test_removing_many_lets_others_run() -> None:
    store, monitoring = filled(30_000)
    for number in range(0, 30_000, 2):
        store.set(f"{number:x}-id", {"even": 1})
    evens = store.find((("even", 1),))
    assert await others_run(monitoring.erase_by_filter([["even", 1]])) == evens
    assert len(store) == 15_000 and not store.find((("even", 1),)) and store.ids() == sorted(store.ids(), key=order_of)
    for number in range(1, 30_000, 2):
        store.mark_finished(f"{number:x}-id", 100)
    assert await others_run(monitoring.clear_finished()) == [0, "OK"]
    assert len(store) == 0 and store.index.count("k") == 0
    store, monitoring = filled(30_000)
    assert await others_run(monitoring.clear(), 1) == [0, "OK"]
    assert len(store) == 0 and store.ids() == [] and store.finished_ids(200) == [] and store.index.count("k") == 0


async def test_large_tables_are_given_back_some_entries_a_turn() -> None:
    store = Store()
    count = 30_000
    for number in range(count):
        store.set(f"{number:x}-id", {"k": number, "same": "x"})
    held = store.clear()
    many = [value for table in held if isinstance(table, dict) for value in table.values() if type(value) is ManyIds]
    assert sum(map(len, many)) == count
    tables = [*held, *(part for ids in many for part in ids.parts)]
    before, most = sum(map(len, tables)), 0
    giving = asyncio.ensure_future(scan.give_back(held))
    while not giving.done():
        await asyncio.sleep(0)
        now = sum(map(len, tables))
        most, before = max(most, before - now), now
    assert before == 0 and most <= scan._FREEING


async def test_the_collector_does_not_look_at_records() -> None:
    store = Store()
    gc.collect()
    gc.freeze()
    try:
        for number in range(100):
            store.set(f"{number:x}-id", {"k": number, "same": "x"})
        seen = {id(one) for one in gc.get_objects()}
        assert not any(id(bucket) in seen or any(id(record) in seen for record in bucket.values()) for bucket in store._buckets)
    finally:
        gc.unfreeze()


async def test_answers_in_slices_may_be_emptied_by_who_gets_them() -> None:
    store, monitoring = filled(30_000)
    for answer in (
        monitoring.list_all(),
        monitoring.list_active(),
        monitoring.get_attribute("k"),
        monitoring.erase_by_filter([]),
    ):
        assert isinstance(answer, Awaitable)
        found = await answer
        assert type(found) is OwnArray
        found.clear()
    assert len(store) == 0


async def test_what_changes_meanwhile_is_not_removed() -> None:
    store, monitoring = filled(20_000)
    for id in store.ids():
        store.set(id, {"old": 1})
    answer = monitoring.erase_by_filter([["old", 1]])
    assert isinstance(answer, Awaitable)
    task = asyncio.ensure_future(answer)
    await asyncio.sleep(0)
    last = store.ids()[-1]
    store.set(last, {"old": 2})
    erased = await task
    assert last not in erased and store.ids() == [last] and len(erased) == 19_999


def test_records_and_samples_from_outside_are_bounded() -> None:
    store = Store()
    now = [200.0]
    monitoring = Monitoring(store, Samples(10), lambda: now[0], max_records=3)
    for number in range(3):
        monitoring.log(f"id{number}", "k", 1)
        monitoring.add_sample(f"id{number}", "s")
    for write in (
        lambda: monitoring.log("more", "k", 1),
        lambda: monitoring.add("more", "k", 1),
        lambda: monitoring.inc("more", "k"),
        lambda: monitoring.dec("more", "k"),
        lambda: monitoring.add_count("more", "k", 1),
        lambda: monitoring.mark_finished("more"),
        lambda: monitoring.set_expiration("more", 1),
        lambda: monitoring.add_sample("more", "s"),
    ):
        with pytest.raises(CallFailed, match="max_records"):
            write()
    assert len(store) == 3
    monitoring.log("id1", "k", 2)
    monitoring.add_sample("id1", "s")
    now[0] += 20
    monitoring.add_sample("more", "s")  # the old ones have outlived their time
    store.set("a call", {"k": 1})
    assert len(store) == 4, "what the core writes has its place"


def test_a_snapshot_or_watch_of_too_many_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing_queries, "MAX_SNAPSHOT", 50)
    store, _ = filled(200)
    with pytest.raises(CallFailed, match="50 records at most"):
        standing_queries.calls_snapshot(store, EventFilter.parse(None), 200)
    with pytest.raises(CallFailed, match="50 records at most"):
        standing_queries.Query(store, ())
    for id in store.ids()[:150]:
        store.mark_finished(id, 100)
    assert len(standing_queries.calls_snapshot(store, EventFilter.parse(None), 200)) <= 50  # type: ignore[arg-type]
