# SPDX-License-Identifier: GPL-2.0-or-later
"""Which calls there are, with calls that only note what is done with them."""

from __future__ import annotations

from typing import Any

from di.sip.records import CallConfirmed, CallEnded, CallOffered
from interfaces.sip.live_calls import LiveCalls
from interfaces.sip.structures import Credentials


class NotedCall:
    """As `SipCall` to those who keep it."""

    def __init__(self, number: int, slot: int, works: int = 0) -> None:
        self.number, self.slot, self.works = number, slot, works
        self.call_id, self.local_tag = f"id{number}", f"tag{number}"
        self.credentials: Credentials | None = None
        self.deleted = False

    def work(self) -> bool:
        """As often as it was made for."""
        self.works -= 1
        return self.works > 0

    def destroy(self) -> None:
        """Once."""
        assert not self.deleted
        self.deleted = True


class Told:
    """Whose objects are known."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def add(self, call: Any) -> None:
        """An object was made."""
        self.calls.append(call)

    def forget(self, call: Any) -> None:
        """It is about to go: it must still be there."""
        assert not call.deleted
        self.calls.remove(call)


class Held:
    """The calls, and what they said."""

    def __init__(self) -> None:
        self.said: list[object] = []
        self.settled: list[str] = []
        self.told = Told()
        self.calls: Any = LiveCalls(self.said.append, self.settled.append, self.told)  # type: ignore[arg-type]

    def come_in(self, slot: int) -> NotedCall:
        """A call comes in."""
        call = NotedCall(self.calls.take_number(), slot)
        self.calls.add(call)
        self.calls.took_slot(call)
        self.calls.offer(offered(call.number))
        return call


def offered(number: int) -> CallOffered:
    """A call from 192.0.2.NUMBER."""
    made = CallOffered.__new__(CallOffered)
    object.__setattr__(made, "call", number)
    object.__setattr__(made, "source_ip", f"192.0.2.{number}")
    return made


def kinds(said: list[object]) -> list[str]:
    """What was said, by name."""
    return [type(one).__name__ for one in said]


def test_it_is_offered_after_pjsip_and_found_by_number_and_dialog() -> None:
    held = Held()
    call = held.come_in(0)
    assert held.said == [] and call.number % 2 == 1
    held.calls.work()
    held.calls.work()
    assert kinds(held.said) == ["CallOffered"]
    held.calls.identified(call)
    assert held.calls.find(call.number) is call is held.calls.in_dialog(call.call_id, call.local_tag)
    assert held.calls.in_dialog(call.call_id, "another") is None
    assert list(held.calls) == [call] and len(held.calls) == 1
    assert held.come_in(1).number == call.number + 2


def test_one_that_is_over_before_it_is_offered_is_never_told_of() -> None:
    held = Held()
    call = held.come_in(0)
    held.calls.emit(CallEnded(call.number, 422, "Session Interval Too Small", "local"))
    held.calls.release(call)
    held.calls.work()
    assert held.said == [] and call.deleted and held.told.calls == []
    assert held.settled == [f"192.0.2.{call.number}"]


def test_it_waits_for_its_ack_once() -> None:
    held = Held()
    call = held.come_in(0)
    held.calls.work()
    held.calls.emit(CallConfirmed(call.number, 200, "OK", ()))
    held.calls.emit(CallEnded(call.number, 200, "OK", "remote"))
    assert held.calls.release(call) and not held.calls.release(call)
    assert held.settled == [f"192.0.2.{call.number}"]
    assert kinds(held.said) == ["CallOffered", "CallConfirmed", "CallEnded"]
    assert held.calls.find(call.number) is None and held.calls.in_dialog(call.call_id, call.local_tag) is None


def test_an_object_whose_slot_is_taken_again_is_deleted_when_the_slot_is_free() -> None:
    held = Held()
    first = held.come_in(5)
    held.calls.release(first)
    second = held.come_in(5)
    held.calls.work()
    assert not first.deleted and held.calls.waits
    held.calls.release(second)
    held.calls.work()
    assert first.deleted and second.deleted and not held.calls.waits and held.told.calls == []


def test_a_slot_forgets_the_credentials_of_the_call_before() -> None:
    held = Held()
    first = held.come_in(5)
    held.calls.credentials[5] = Credentials("realm", "user", "password", set())
    held.calls.release(first)
    held.come_in(5)
    assert held.calls.credentials == {}
    out = NotedCall(8, 5)
    out.credentials = Credentials("another", "user", "password", set())
    held.calls.took_slot(out)
    assert held.calls.credentials == {5: out.credentials}


def test_what_is_due_is_done_until_nothing_is_left_or_the_call_is_over() -> None:
    held = Held()
    twice, over = held.come_in(0), held.come_in(1)
    twice.works, over.works = 2, 9
    held.calls.look_at(twice)
    held.calls.look_at(over)
    held.calls.work()
    held.calls.release(over)
    held.calls.work()
    assert twice.works == 0 and over.works == 8 and not held.calls.waits
