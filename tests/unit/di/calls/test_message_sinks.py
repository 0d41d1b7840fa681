# SPDX-License-Identifier: GPL-2.0-or-later
"""A call that is sent anew is shown on under its new number, and its old one is forgotten."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from di.calls.message_sinks import MessageSinks
from di.sip.records import MessageSeen
from tests.support.bare_hub import HandClock


def seen(call: int) -> MessageSeen:
    return MessageSeen(call, 0, "127.0.0.1", 5060, "127.0.0.1", 5061, False, b"INVITE")


def test_numbers_of_a_call_that_was_sent_anew_are_forgotten() -> None:
    clock, shown = HandClock(), list[int]()
    host: Any = SimpleNamespace(sip=SimpleNamespace(send=lambda record: None), clock=clock)
    session: Any = SimpleNamespace(call=2, dialog=SimpleNamespace(plan=SimpleNamespace(log_messages=False)))
    sinks = MessageSinks(host)
    sinks.follow(session, lambda record: shown.append(record.call))
    for number in range(4, 40, 2):
        sinks.renumbered(number - 2, number)
    for number in (36, 38):  # the last replies to an attempt that was given up come late
        sinks.seen(seen(number))
    assert shown == [36, 38]
    clock.advance(60)
    for number in (36, 38):
        sinks.seen(seen(number))
    assert shown == [36, 38, 38] and len(sinks._sinks) == 1
    sinks.ended(38)
    clock.advance(60)
    assert not sinks._sinks
