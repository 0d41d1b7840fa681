# SPDX-License-Identifier: GPL-2.0-or-later
"""Queries over many records: others have their turn, the answer is the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from di.stores.monitoring import scan
from di.stores.monitoring.interface import Monitoring
from di.stores.monitoring.samples import Samples
from di.stores.monitoring.store import BUCKETS, Store, order_of


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
