# SPDX-License-Identifier: GPL-2.0-or-later
"""The real clock on an asyncio loop, and the tasks of sessions that wait."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from di.kernel.ports import TimerHandle
from media.control.turn import Turn

log = logging.getLogger(__name__)


class LoopClock:
    """`di.kernel.ports.Clock` on the running loop."""

    def __init__(self) -> None:
        self.random: random.Random = random.SystemRandom()
        self._loop = asyncio.get_running_loop()
        self.turn = Turn(self._loop.call_soon)
        self.call_soon = self.turn.soon
        """Run a callback after what runs now."""

    now_ns = staticmethod(time.monotonic_ns)
    """Monotonic time. As it is, without a call into Python: a short call asks for one of the two some thirty times."""
    epoch_s = staticmethod(time.time)
    """Wall-clock time."""

    def call_later(self, delay_ns: int, callback: Callable[[], None]) -> TimerHandle:
        """Run a callback after a while."""
        return self._loop.call_later(delay_ns / 1e9, callback)


class Tasks:
    """Keeps tasks until they are done (asyncio holds them only weakly) and says so when one fails."""

    def __init__(self) -> None:
        self._running: set[asyncio.Future[None]] = set()

    def spawn(self, work: Awaitable[None]) -> None:
        """Run something that waits."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._done)

    def cancel_all(self) -> None:
        """Cancel what still runs."""
        for task in list(self._running):
            task.cancel()

    def _done(self, task: asyncio.Future[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task failed: %s", error, exc_info=error)


class Work(Protocol):
    """A task, as far as others may care."""

    def cancel(self) -> bool:
        """Ask it to end."""


def current_work() -> Work | None:
    """The task that the caller is part of."""
    return asyncio.current_task()


async def awaited(outcome: Awaitable[None]) -> None:
    """Wait for it. Raises RuntimeError if what it waited for was cancelled: a fault like any other, not the end of who waits here."""
    try:
        await outcome
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise  # it is this task that is to end: the server stops
        raise RuntimeError("what it waited for was cancelled") from error
