# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest

from di.access.guesses import LOCK_S, WRONG_TRIES, Guesses
from di.kernel.registry import INTERNAL, Caller

ANN, BOB = Caller("ann", "http", "192.0.2.1"), Caller("bob", "http", "192.0.2.1")


class Clock:
    now_ns = 10**12

    def __call__(self) -> int:
        return self.now_ns


def test_wrong_tries_of_one_caller_for_one_thing_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    guesses = Guesses("room pin", clock)
    for _ in range(WRONG_TRIES):
        assert not guesses.refused(ANN, "r1")
        guesses.wrong(ANN, "r1")
    assert guesses.refused(ANN, "r1")
    assert not guesses.refused(ANN, "r2") and not guesses.refused(BOB, "r1")
    assert caplog.messages[-1] == (
        f"audit wrong room pin caller=ann transport=http source=192.0.2.1 for='r1' (refused for {LOCK_S} s)"
    )
    assert len(caplog.messages) == WRONG_TRIES
    clock.now_ns += LOCK_S * 10**9
    assert not guesses.refused(ANN, "r1")
    for _ in range(WRONG_TRIES):
        guesses.wrong(ANN, "r1")
    clock.now_ns += LOCK_S * 10**9
    assert guesses.refused(ANN, "r1"), "twice as long the second time"


def test_a_right_one_begins_anew_and_the_server_itself_is_not_counted() -> None:
    guesses = Guesses("room pin", Clock())
    for _ in range(3 * WRONG_TRIES):
        guesses.wrong(INTERNAL, "r")
        guesses.wrong(ANN, "r")
        guesses.right(ANN, "r")
    assert not guesses.refused(INTERNAL, "r") and not guesses.refused(ANN, "r")


def test_callers_without_a_name_are_told_apart_by_address() -> None:
    guesses = Guesses("room pin", Clock())
    for _ in range(WRONG_TRIES):
        guesses.wrong(Caller("*anyone", "http", "127.0.0.1"), "r")
    assert guesses.refused(Caller("*anyone", "ws", "127.0.0.1"), "r")
    assert not guesses.refused(Caller("*anyone", "http", "127.0.0.2"), "r")
