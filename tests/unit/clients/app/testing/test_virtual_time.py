# SPDX-License-Identifier: GPL-2.0-or-later
"""A clock that jumps: order and times are those of a real one, threads take none of it, and a dead end is said to be one."""

from __future__ import annotations

import asyncio
import time

import pytest

from clients.app.testing.virtual_time import Stuck, run


def test_a_day_is_over_at_once_and_in_order() -> None:
    order: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        order.append((name, round(asyncio.get_running_loop().time(), 3)))

    async def all_of_them() -> None:
        await asyncio.gather(sleeper("c", 86_400), sleeper("a", 0.001), sleeper("b", 1), sleeper("also b", 1))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await asyncio.Event().wait()
        order.append(("end", round(asyncio.get_running_loop().time())))

    began = time.monotonic()
    run(all_of_them())
    assert order == [("a", 0.001), ("b", 1), ("also b", 1), ("c", 86_400), ("end", 90_000)]
    assert time.monotonic() - began < 3600


def test_the_clock_waits_for_a_thread() -> None:
    async def beside() -> float:
        loop = asyncio.get_running_loop()

        def work() -> str:
            time.sleep(0.05)
            return "done"

        timer = asyncio.ensure_future(asyncio.sleep(100))
        assert await asyncio.to_thread(work) == "done"
        now = loop.time()
        timer.cancel()
        return now

    assert run(beside()) < 0.001


def test_a_thread_that_waits_for_the_clock_is_not_waited_for() -> None:
    async def beside() -> float:
        loop = asyncio.get_running_loop()

        def work() -> None:
            asyncio.run_coroutine_threadsafe(asyncio.sleep(100), loop).result()

        await asyncio.to_thread(work)
        return loop.time()

    assert run(beside()) == pytest.approx(100)


def test_who_waits_for_the_rest_of_a_time_comes_to_its_end() -> None:
    async def in_parts() -> int:
        loop, turns = asyncio.get_running_loop(), 0
        end_s = loop.time() + 0.3
        while (left_s := end_s - loop.time()) > 0:
            waits = asyncio.ensure_future(asyncio.Event().wait())
            await asyncio.wait((waits,), timeout=min(left_s, 0.1))
            waits.cancel()  # something is ready in the next turn, so that the clock has no need to jump
            turns += 1
        return turns

    assert run(in_parts()) < 10


def test_where_nothing_can_happen_it_is_said() -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck, match="no timer is set"):
        run(forever())
