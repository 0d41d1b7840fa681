# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from di.monitoring import scan
from di.monitoring.store import Store


def test_few_texts_are_answered_at_once() -> None:
    store = Store()
    store.set("b", {"k": "x1"})
    store.set("a", {"k": "x1"})
    store.set("c", {"k": 1})
    asked: list[str] = []
    assert scan.by_text(store, "k", lambda text: asked.append(text) is None) == ["a", "b"]
    assert asked == ["x1"], "a text is matched once, however many have it"


async def test_many_texts_let_others_run() -> None:
    store = Store()
    for number in range(10_000):
        store.set(f"id{number}", {"k": f"text{number}"})
    others = 0

    async def other() -> None:
        nonlocal others
        while True:
            others += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(other())
    answer = scan.by_text(store, "k", lambda text: text.endswith("99"))
    assert isinstance(answer, Awaitable)
    store.erase("id99")  # gone while it is looked for
    found = await answer
    task.cancel()
    assert len(found) == 99 and others >= 4
