# SPDX-License-Identifier: GPL-2.0-or-later
"""An event loop whose clock jumps: a thousand seconds of a call pass as fast as what happens in them can be computed.

something is ready ─► it runs             nothing is, a timer is set ─► the clock jumps to it
                                          nothing is, a thread works ─► real waiting: what it does has no virtual time
                                          nothing is, and no timer   ─► `Stuck`: every task waits for what cannot come
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import TypeVar

T = TypeVar("T")
_PATIENCE_S = 1.0
"""How long, in real time, the clock stands still for a thread: one that waits for the clock itself is not waited for longer."""


class Stuck(Exception):
    """Nothing can happen any more: all wait, and no timer is set."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time` begins at 0. Plain functions in threads (`asyncio.to_thread`, callbacks of a `Dialog`) take no time on it."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._in_threads = 0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        """Seconds since its beginning."""
        return self._now_s

    def jump(self, seconds: float) -> None:
        """Let time pass."""
        self._now_s += seconds

    @property
    def waits_for_threads(self) -> bool:
        """Whether something of it runs in a thread."""
        return self._in_threads > 0

    def run_in_executor(self, executor: Executor | None, func: Callable[..., T], *args: object) -> asyncio.Future[T]:
        """As ever; counted."""
        work: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        self._in_threads += 1
        work.add_done_callback(self._out_of_thread)
        return work

    def _out_of_thread(self, work: asyncio.Future[T]) -> None:
        del work
        self._in_threads -= 1

    async def shutdown_default_executor(self, *limit: float) -> None:  # since 3.12 there is one
        """As ever, in real time."""
        self._in_threads += 1
        try:
            await super().shutdown_default_executor(*limit)
        finally:
            self._in_threads -= 1


class _Jumping(selectors.DefaultSelector):
    """Where an event loop would sleep, the clock jumps."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now; else after the jump. A turn of the loop takes a nanosecond: who waits for the rest of a time, again and again,
        comes to its end."""
        self._loop.jump(1e-9)
        found = super().select(0)
        if found or (timeout is not None and timeout <= 0):
            return found
        if self._loop.waits_for_threads or timeout is None:
            found = super().select(_PATIENCE_S)
            if found:
                return found
        if timeout is not None:
            self._loop.jump(timeout)
        elif not self._loop.waits_for_threads:
            raise Stuck("every task waits, and no timer is set: nothing can happen any more")
        return []


def run(work: Coroutine[object, object, T]) -> T:
    """Run a coroutine in virtual time; as `asyncio.run` otherwise."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
