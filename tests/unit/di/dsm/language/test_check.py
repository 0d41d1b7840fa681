# SPDX-License-Identifier: GPL-2.0-or-later
"""Doubts about a diagram that can be read: each script here has one fault, and its twin without it has none."""

from __future__ import annotations

import pytest

from di.dsm.language.check import findings
from tests.support.dsm_scripts import load

GOOD = """
initial state BEGIN enter { set($n=1) };
state TALK enter { playFile(a.wav) };
state END;
transition "on" BEGIN - timer -> TALK;
transition "bye" (BEGIN,TALK) - hangup / stop() -> END;
"""


def doubts(text: str, *, full: bool = True, known: tuple[str, ...] = ()) -> list[tuple[int, str]]:
    """Line and text of each."""
    return [(doubt.position.line, doubt.text) for doubt in findings(load(text), full=full, known=known)]


def test_a_diagram_without_faults_raises_no_doubt() -> None:
    assert doubts(GOOD) == doubts(GOOD, full=False) == []


@pytest.mark.parametrize(
    ("before", "after", "line", "text"),
    [
        ("initial state", "state", 1, "diagram t has no initial state; it cannot be started"),
        ("timer -> TALK", "timer -> TALKS", 5, "transition 'on' goes to TALKS, which is no state; did you mean TALK?"),
        ("timer -> TALK", "timer -> XYZ", 5, "transition 'on' goes to XYZ, which is no state"),
        ("(BEGIN,TALK) - hangup", "BEGIN - hangup", 3, "state TALK has no transition with the condition hangup"),
        ("hangup / stop() -> END", "hangup -> END", 4, "state END has no transition with the condition hangup"),
    ],
)
def test_what_sems_warns_of(before: str, after: str, line: int, text: str) -> None:
    assert before in GOOD
    assert (line, text) in doubts(GOOD.replace(before, after), full=False)


@pytest.mark.parametrize(
    ("before", "after", "line", "text"),
    [
        ("- timer -> TALK", "- timer -> BEGIN", 3, "state TALK cannot be reached from BEGIN"),
        ("hangup / stop() -> END", "hangup -> END", 4, "state END has no way out, and nothing stops the call before it"),
        ("set($n=1)", "set($number=1); log(1, $numbr)", 2, "variable $numbr is never set; did you mean $number?"),
        ("- timer ->", "- test($nn == 1) / set($nnn=1) ->", 5, "variable $nn is never set; did you mean $nnn?"),
    ],
)
def test_what_the_command_tells_beyond_that(before: str, after: str, line: int, text: str) -> None:
    assert before in GOOD
    script = GOOD.replace(before, after)
    assert (line, text) in doubts(script)
    assert (line, text) not in doubts(script, full=False), "SEMS says nothing of it"


@pytest.mark.parametrize(
    "actions",
    [
        "log(1, $from_who_knows_where)",  # like nothing that is set
        "set($errn=1); log(1, $errno)",  # the server sets it
        "set($orders_here.id=1); log(1, $orders_here)",  # a part of it is set
        "set($orders_here[0]=1); log(1, $orders_here)",
        "inc($count); log(1, $count)",
    ],
)
def test_variables_of_which_nothing_is_to_be_said(actions: str) -> None:
    assert doubts(GOOD.replace("set($n=1)", actions)) == []


@pytest.mark.parametrize("leave", ["stop()", "jumpFSM(other)", "callFSM(other)", "returnFSM()"])
def test_a_state_that_leaves_the_diagram_is_no_dead_end(leave: str) -> None:
    script = GOOD.replace("state END;", f"state END enter {{ {leave} }};").replace("hangup / stop() -> END", "hangup -> END")
    assert doubts(script) == []
    assert doubts(script.replace(leave, "log(1, x)")) != []


def test_one_way_that_does_not_stop_is_enough_for_a_dead_end() -> None:
    script = GOOD + 'transition "key" TALK - key -> END;\n'
    assert [line for line, _ in doubts(script)] == [4, 4]


@pytest.mark.parametrize("call", ["jumpFSM", "callFSM"])
def test_diagrams_that_are_not_there(call: str) -> None:
    script = GOOD.replace("playFile(a.wav)", f"{call}(lobby)")
    assert doubts(script, known=("other",)) == [(3, f"{call}(lobby): no diagram of this name is among those given")]
    for known in (("lobby",), ()):
        assert doubts(script, known=known) == [], "without any others nobody can know"
    for target in ("t", '"lobby"', "$next", "@user"):
        assert doubts(script.replace("(lobby)", f"({target})"), known=("lobby",)) == []


def test_a_variable_that_a_loop_or_a_branch_writes_is_set() -> None:
    script = GOOD.replace("set($n=1)", "if test(1 == 1) { for (key in range(0,2)) { log(1, $key) } }")
    assert doubts(script) == []
    assert doubts(script.replace("log(1, $key)", "log(1, $keys)")) == [(2, "variable $keys is never set; did you mean $key?")]


def test_doubts_come_in_the_order_of_the_script() -> None:
    script = GOOD.replace("state END;", "state END; state FAR;").replace("timer -> TALK", "timer -> NOWHERE")
    lines = [line for line, _ in doubts(script)]
    assert lines == sorted(lines) and len(set(lines)) > 2
