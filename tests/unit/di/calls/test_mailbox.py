# SPDX-License-Identifier: GPL-2.0-or-later
"""Mailboxes: one event at a time, each to its end; timers with due times; a fault costs its own event only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from di.calls.events import TimerExpired
from di.calls.mailbox import MAX_DELAY_NS, MAX_POSTED, Mailbox
from tests.support.bare_hub import HandClock


class Owner:
    """Writes down what it handles; an event that is an awaitable is waited for."""

    def __init__(self, clock: Any) -> None:
        self.handled: list[Any] = []
        self.faults: list[str] = []
        self.idle = 0
        self.waiting: list[Awaitable[None]] = []
        self.mailbox: Mailbox[Any] = Mailbox("owner", clock, self.waiting.append, self._handle, self._failed, self._idle)

    def _handle(self, event: Any) -> Any:
        self.handled.append(event.id if isinstance(event, TimerExpired) else event)
        if isinstance(event, Exception):
            raise event
        return event if asyncio.isfuture(event) else None

    def _failed(self, error: Exception) -> None:
        self.faults.append(str(error))

    def _idle(self) -> None:
        self.idle += 1


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def owner(clock: HandClock) -> Owner:
    return Owner(clock)


def test_events_come_in_order_and_not_inside_post(owner: Owner, clock: HandClock) -> None:
    for number in range(5):
        owner.mailbox.post(number)
    assert owner.handled == [] and len(owner.mailbox) == 5
    clock.advance(0)
    assert owner.handled == [0, 1, 2, 3, 4]
    assert owner.idle == 1


async def test_one_that_waits_holds_back_the_others(owner: Owner, clock: HandClock) -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    owner.mailbox.post(gate)
    owner.mailbox.post("next")
    clock.advance(0)
    assert owner.handled == [gate]
    task = asyncio.ensure_future(owner.waiting.pop())
    await asyncio.sleep(0)
    assert owner.handled == [gate]
    gate.set_result(None)
    await task
    assert owner.handled == [gate, "next"]


def test_a_fault_costs_its_own_event_only(owner: Owner, clock: HandClock) -> None:
    owner.mailbox.post(ValueError("broken"))
    owner.mailbox.post("next")
    clock.advance(0)
    assert owner.faults == ["broken"]
    assert owner.handled[-1] == "next"


async def test_a_fault_after_waiting_too(owner: Owner, clock: HandClock) -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    owner.mailbox.post(gate)
    owner.mailbox.post("next")
    clock.advance(0)
    gate.set_exception(ValueError("late"))
    await owner.waiting.pop()
    assert owner.faults == ["late"] and owner.handled[-1] == "next"


def test_after_close_nothing_comes(owner: Owner, clock: HandClock) -> None:
    owner.mailbox.post("queued")
    owner.mailbox.timers.set(1, 10)
    owner.mailbox.timers.set(-7, 10)
    owner.mailbox.close()
    owner.mailbox.post("late")
    clock.advance(1)
    assert owner.handled == []


def test_timers_expire_once_and_say_what_is_left(owner: Owner, clock: HandClock) -> None:
    timers = owner.mailbox.timers
    timers.set(3, 1000)
    timers.set(4, 2000)
    clock.advance(0.25)
    assert timers.left_ms() == {3: 750, 4: 1750}
    timers.set(3, 1000)  # anew
    clock.advance(0.9)
    assert owner.handled == []
    clock.advance(0.2)
    assert owner.handled == [3] and timers.left_ms() == {4: 650}
    clock.advance(10)
    assert owner.handled == [3, 4] and timers.left_ms() == {}


def test_remove_all_leaves_the_core_s_own(owner: Owner, clock: HandClock) -> None:
    timers = owner.mailbox.timers
    timers.set(1, 10)
    timers.set(-1, 10)
    timers.remove(99)
    timers.remove_all()
    clock.advance(1)
    assert owner.handled == [-1]


@pytest.mark.parametrize(("delay_ms", "left_ms"), [(-5.0, 0), (1e300, MAX_DELAY_NS // 1_000_000)])
def test_delays_out_of_range(owner: Owner, delay_ms: float, left_ms: int) -> None:
    owner.mailbox.timers.set(1, delay_ms)
    assert owner.mailbox.timers.left_ms() == {1: left_ms}


def test_many_events_give_the_loop_back_and_stay_in_order(owner: Owner, clock: HandClock) -> None:
    turns: list[int] = []
    for number in range(300):
        owner.mailbox.post(number)
    clock.call_soon(lambda: turns.append(len(owner.handled)))
    clock.advance(0)
    assert owner.handled == [*range(300)] and 0 < turns[0] < 100 and owner.idle == 1


def test_a_full_mailbox_says_so_once(owner: Owner, clock: HandClock, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(MAX_POSTED):
        assert not owner.mailbox.is_full()
        owner.mailbox.post(number)
    assert owner.mailbox.is_full() and owner.mailbox.is_full()
    assert len(caplog.messages) == 1 and "owner: 1000 events wait" in caplog.messages[0]
    clock.advance(0)
    assert not owner.mailbox.is_full() and len(owner.handled) == MAX_POSTED
