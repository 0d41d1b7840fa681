# SPDX-License-Identifier: GPL-2.0-or-later
"""What the shim tells of calls: to which object it goes, and that nothing which fails in Python gets back into pjsip."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from interfaces.sip.shim import ffi
from interfaces.sip.told import ToldCalls


class Told:
    """A call's object: notes what it is told, or fails."""

    def __init__(self, number: int, fails: bool = False) -> None:
        self.this = self.number = number
        self.fails = fails
        self.heard: list[tuple[Any, ...]] = []

    def _note(self, *what: Any) -> None:
        if self.fails:
            raise ValueError("a fault of ours")
        self.heard.append(what)

    def state_changed(self, state: int, code: int, reason: str, came: Any) -> None:
        self._note("state", state, code, reason, came)

    def replied(self, code: int, text: str) -> None:
        self._note("replied", code, text)

    def media_changed(self, stream: Any) -> None:
        self._note("media", stream)


def of(*calls: Any) -> ToldCalls:
    told = ToldCalls(lambda slot, message, packet, received: None)
    for call in calls:
        told.add(call)
    return told


def tell(told: ToldCalls, key: int) -> None:
    text = ffi.new("char[]", "Zürich".encode())
    told._state(key, 5, 200, text, 7, ffi.NULL)
    told._replied(key, 488, text, 7)
    told._replied(key, 200, ffi.NULL, 0)
    told._media(key, ffi.NULL)


def test_each_call_is_told_its_own_and_only_while_it_is_there() -> None:
    one, other = Told(1), Told(2)
    told = of(one, other)
    tell(told, 1)
    assert one.heard == [("state", 5, 200, "Zürich", None), ("replied", 488, "Zürich"), ("replied", 200, ""), ("media", None)]
    told.forget(other)  # type: ignore[arg-type]
    tell(told, 2)
    tell(told, 3)
    assert other.heard == []


def test_a_fault_of_ours_is_a_line_in_the_log_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        tell(of(Told(7, fails=True)), 7)
    assert [line.partition(":")[0] for line in caplog.messages] == ["call 7"] * 4
    assert all(record.exc_info for record in caplog.records)
