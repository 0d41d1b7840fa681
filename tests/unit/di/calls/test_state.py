# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of phases: whole, without a way back, and every call can end."""

from __future__ import annotations

from itertools import pairwise

import pytest

from di.calls.state import ENDING, PHASES, UNANSWERED, UP, AudioPhase, Phase, dialog_word


def reachable(start: Phase) -> set[Phase]:
    found, todo = set(), [start]
    while todo:
        phase = todo.pop()
        for following in PHASES[phase] - found:
            found.add(following)
            todo.append(following)
    return found


def test_every_phase_stands_in_the_table_and_is_reached() -> None:
    assert set(PHASES) == set(Phase)
    assert reachable(Phase.IDLE) == set(Phase) - {Phase.IDLE}


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.GONE])
def test_every_call_can_end_and_none_comes_back(phase: Phase) -> None:
    assert Phase.GONE in reachable(phase)
    assert phase not in reachable(phase)


def test_gone_is_the_only_end() -> None:
    assert [phase for phase, following in PHASES.items() if not following] == [Phase.GONE]


def test_nothing_is_answered_once_it_is_being_ended() -> None:
    for phase in ENDING:
        assert not PHASES[phase] & (UNANSWERED | UP)


def test_each_phase_is_unanswered_or_up_or_ending() -> None:
    assert not UNANSWERED & UP and not UP & ENDING and not UNANSWERED & ENDING
    assert set(Phase) == UNANSWERED | UP | ENDING


def test_words_are_those_of_sems() -> None:
    known = {"Disconnected", "Trying", "Proceeding", "Cancelling", "Early", "Connected", "Disconnecting"}
    assert {dialog_word(phase) for phase in Phase} == known


def test_audio_goes_forward_only() -> None:
    order = [AudioPhase.CLOSED, AudioPhase.OPENING, AudioPhase.OPEN, AudioPhase.EARLY, AudioPhase.STARTED]
    assert sorted(AudioPhase, key=lambda phase: phase.value) == order
    assert all(one < other and one <= other and not other <= one for one, other in pairwise(order))
