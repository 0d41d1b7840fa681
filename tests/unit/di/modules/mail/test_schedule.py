# SPDX-License-Identifier: GPL-2.0-or-later
"""Pauses between attempts, and the end of trying."""

from __future__ import annotations

from di.modules.mail.schedule import Schedule


def test_pauses_double_up_to_the_longest() -> None:
    schedule = Schedule(30, 1800, 432_000)
    assert [schedule.pause_s(failures) for failures in (1, 2, 3, 7, 100_000)] == [30, 60, 120, 1800, 1800]


def test_the_time_for_all_attempts() -> None:
    schedule = Schedule(30, 1800, 3600)
    assert not schedule.is_over(1000, 4599) and schedule.is_over(1000, 4600)
