# SPDX-License-Identifier: GPL-2.0-or-later
"""A queue of events that are handled one at a time, each to its end, with timers: what a call, a system DSM and a background job stand on.

    post ─► queue ─► handle(event) ─► done, next
                         └─ waits ─► the owner's other events wait behind it; everybody else goes on
                              └─ longer than the owner's patience ─► given up, and the queue goes on
    set(id, delay) ─► … due ─► TimerExpired(id) in the same queue

Nothing is handled inside `post`: the first event of an idle mailbox is taken up by the loop after what runs now.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from di.calls.events import Outcome, TimerExpired
from di.kernel import logs
from di.kernel.clock import Work, awaited, current_work
from di.kernel.ports import Clock, TimerHandle

log = logging.getLogger(__name__)

E = TypeVar("E")
_TURN = 64
"""Events that are handled before the loop's other work has its turn."""
MAX_POSTED = 1000
"""So many events may wait before what comes from outside is refused; what belongs to the call itself always has its place."""
MAX_DELAY_NS = 366 * 86_400 * 1_000_000_000
"""Longest time of a timer (spec core.md §7.4)."""


class Timers:
    """Timers by number, with the times they are due. Negative numbers are the core's own; `remove_all` leaves them alone."""

    def __init__(self, clock: Clock, expired: Callable[[int], None]) -> None:
        self._clock = clock
        self._expired = expired
        self._running: dict[int, tuple[int, TimerHandle]] = {}

    def set(self, id: int, delay_ms: float) -> None:
        """Expire after a while, at most a year; a running timer of that number starts anew."""
        self.remove(id)
        delay_ns = int(min(max(delay_ms, 0.0) * 1e6, MAX_DELAY_NS))
        due_ns = self._clock.now_ns() + delay_ns
        self._running[id] = due_ns, self._clock.call_later(delay_ns, lambda: self._due(id, due_ns))

    def remove(self, id: int) -> None:
        """Stop one; an expiry that is queued already stays."""
        running = self._running.pop(id, None)
        if running is not None:
            running[1].cancel()

    def remove_all(self) -> None:
        """Stop all with numbers ≥ 0."""
        for id in [id for id in self._running if id >= 0]:
            self.remove(id)

    def left_ms(self) -> dict[int, int]:
        """Number → milliseconds until it is due, for all with numbers ≥ 0."""
        now_ns = self._clock.now_ns()
        return {id: max(due_ns - now_ns, 0) // 1_000_000 for id, (due_ns, _) in self._running.items() if id >= 0}

    def close(self) -> None:
        """Stop all, the core's own too."""
        for _, handle in self._running.values():
            handle.cancel()
        self._running.clear()

    def _due(self, id: int, due_ns: int) -> None:
        running = self._running.get(id)
        if running is not None and running[0] == due_ns:
            del self._running[id]
            self._expired(id)


@dataclass(frozen=True, slots=True)
class Patience(Generic[E]):
    """How long one event may be waited for, in milliseconds; 0: for ever.

    `over(event, waiting)` is called when that has passed. What was waited for is cancelled afterwards, and whether it heeds that or not
    the queue goes on: with what `over` returns, if anything, as if it were the same event.
    """

    ms: int
    over: Callable[[E | TimerExpired, Awaitable[None]], Outcome]


class Mailbox(Generic[E]):
    """`name` marks what is logged meanwhile. `handle` may return something to wait for; `failed` gets what either raises.

    `post` after `close` drops the event; `close` drops what is queued. `idle` is called whenever the queue has run empty.
    """

    __slots__ = (
        "_clock", "_failed", "_handle", "_idle", "_patience", "_queue", "_running", "_said_full", "_spawn", "_task", "_timers", "_turn",
        "closed", "name",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        clock: Clock,
        spawn: Callable[[Awaitable[None]], None],
        handle: Callable[[E | TimerExpired], Outcome],
        failed: Callable[[Exception], None],
        idle: Callable[[], None] | None = None,
        patience: Patience[E] | None = None,
    ) -> None:
        self.name = name
        self.closed = False
        self._clock, self._spawn, self._handle, self._failed, self._idle = clock, spawn, handle, failed, idle
        self._queue: deque[E | TimerExpired] = deque()
        self._running = self._said_full = False
        self._timers: Timers | None = None
        self._patience = patience if patience is not None and patience.ms else None
        self._turn: object = None
        """What is being waited for; another one once that has been given up."""
        self._task: Work | None = None

    @property
    def inside(self) -> bool:
        """Whether the caller is itself what is being waited for: it holds up whatever it would wait for from this queue."""
        return self._task is not None and self._task is current_work()

    @property
    def timers(self) -> Timers:
        """Timers whose expiry comes into this queue."""
        if self._timers is None:
            self._timers = Timers(self._clock, lambda id: self.post(TimerExpired(id)))
        return self._timers

    def __len__(self) -> int:
        return len(self._queue)

    def is_full(self) -> bool:
        """Whether `MAX_POSTED` events wait. The first time, one line says so."""
        full = len(self._queue) >= MAX_POSTED
        if full and not self._said_full:
            log.warning("%s: %d events wait; what is posted from outside is refused meanwhile", self.name, len(self._queue))
        self._said_full = self._said_full or full
        return full

    def post(self, event: E | TimerExpired) -> None:
        """Queue an event."""
        if self.closed:
            return
        self._queue.append(event)
        if not self._running:
            self._running = True
            self._clock.call_soon(self._drain)

    def close(self) -> None:
        """Take no more events, drop those that wait, stop every timer."""
        self.closed = True
        self._queue.clear()
        if self._timers is not None:
            self._timers.close()

    def _drain(self) -> None:
        token, queue = logs.current_call.set(self.name), self._queue
        handled = 0
        try:
            while queue:
                if handled >= _TURN:
                    self._clock.call_soon(self._drain)
                    return
                handled += 1
                event = queue.popleft()
                try:
                    waiting = self._handle(event)
                except Exception as error:  # noqa: BLE001 – the owner's fault ends the owner only
                    self._failed(error)
                    continue
                if waiting is not None:
                    self._spawn(self._continue(event, waiting))
                    return
            self._running = False
            if self._idle is not None:
                self._idle()
        finally:
            logs.current_call.reset(token)

    async def _continue(self, event: E | TimerExpired, waiting: Awaitable[None]) -> None:
        self._turn = turn = object()
        self._task = current_work()
        patience, timer = self._patience, None
        if patience is not None:
            timer = self._clock.call_later(patience.ms * 1_000_000, lambda: self._give_up(turn, event, waiting))
        try:
            await awaited(waiting)
        except Exception as error:  # noqa: BLE001 – the owner's fault ends the owner only
            if turn is self._turn:
                self._failed(error)
        finally:
            if timer is not None:
                timer.cancel()
        if turn is self._turn:
            self._turn = self._task = None
            self._drain()

    def _give_up(self, turn: object, event: E | TimerExpired, waiting: Awaitable[None]) -> None:
        """What is waited for has not come in time."""
        if turn is not self._turn or self._patience is None:
            return
        late, self._turn, self._task = self._task, None, None
        token = logs.current_call.set(self.name)
        try:
            following = self._patience.over(event, waiting)
        except Exception as error:  # noqa: BLE001 – the owner's fault ends the owner only
            self._failed(error)
            following = None
        finally:
            logs.current_call.reset(token)
        if late is not None:
            late.cancel()
        if following is not None:
            self._spawn(self._continue(event, following))
        else:
            self._drain()
