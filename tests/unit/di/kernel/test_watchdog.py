# SPDX-License-Identifier: GPL-2.0-or-later
"""When a process counts as silent, and when it is replaced."""

from __future__ import annotations

from di.kernel.watchdog import ASK_S, SILENT_S, Liveness, Watchdog


def turns(watchdog: Watchdog, start_s: float, answers: list[bool]) -> list[tuple[float, Liveness]]:
    """What it says that is not FINE, and when."""
    said = [(start_s + ASK_S * n, watchdog.turn(answered, start_s + ASK_S * n)) for n, answered in enumerate(answers, 1)]
    return [(when_s, verdict) for when_s, verdict in said if verdict is not Liveness.FINE]


def test_silence_is_said_once_and_the_answer_too() -> None:
    watchdog = Watchdog(0, 100.0)
    assert turns(watchdog, 100.0, [True] * 4) == []
    assert turns(watchdog, 102.0, [False] * 50) == [(102.0 + SILENT_S, Liveness.SILENT)]
    assert turns(watchdog, 127.0, [True] * 4) == [(127.5, Liveness.ANSWERS)]


def test_it_is_replaced_after_the_configured_time() -> None:
    said = turns(Watchdog(10, 0.0), 0.0, [False] * 20)
    assert said == [(SILENT_S, Liveness.SILENT), (10.0, Liveness.REPLACE)]


def test_a_time_shorter_than_silence_is_taken_for_that() -> None:
    assert turns(Watchdog(0.5, 0.0), 0.0, [False] * 4) == [(SILENT_S, Liveness.REPLACE)]


def test_a_hub_that_was_held_up_blames_nobody() -> None:
    watchdog = Watchdog(10, 0.0)
    assert turns(watchdog, 0.0, [True] * 2) == []
    assert watchdog.turn(False, 61.0) is Liveness.FINE  # it asked nobody for a minute
    assert turns(watchdog, 61.0, [False] * 3) == [(62.5, Liveness.SILENT)]
