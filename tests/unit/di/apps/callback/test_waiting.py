# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is called back, and how many at once."""

from __future__ import annotations

import pytest

from di.apps.callback.waiting import CallbackVerdict, WaitingCallers


def test_each_number_once_and_not_more_than_so_many() -> None:
    waiting = WaitingCallers(2)
    assert [waiting.ask(number) for number in ("1", "1", "2", "3")] == [
        CallbackVerdict.SCHEDULE, CallbackVerdict.KNOWN, CallbackVerdict.SCHEDULE, CallbackVerdict.FULL,
    ]  # fmt: skip
    waiting.done("1")
    waiting.done("1")
    assert waiting.ask("3") is CallbackVerdict.SCHEDULE and len(waiting) == 2


@pytest.mark.parametrize("number", ["", "a b", "1@evil", "1;x=y", "1?X=y", "1\r\n", "x" * 65, "%41", "ä"])
def test_what_is_no_number(number: str) -> None:
    assert WaitingCallers(9).ask(number) is CallbackVerdict.NO_NUMBER
