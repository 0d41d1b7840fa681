# SPDX-License-Identifier: GPL-2.0-or-later
"""What a script does not take notice of is a warning with its line, once; what it looks at is its own business."""

from __future__ import annotations

import pytest

from di.dsm.language.event import Event, Kind
from di.dsm.run.drivers import run_now
from di.dsm.run.engine import Machine
from di.dsm.run.simulated import SimulatedSession
from tests.support.dsm_scripts import load

BAD = "setTimer(one, two);"
"""An action that sets errno `arg`."""


def run(text: str, caplog: pytest.LogCaptureFixture, events: int = 3) -> list[str]:
    machine = Machine({"d": load(text, "d")}, SimulatedSession())
    run_now(machine.start("d", Kind.START))
    for _ in range(events):
        run_now(machine.run(Event(Kind.KEY, {"key": "1"})))
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING" and "unhandled" in record.pathname]


def test_errno_that_nobody_looks_at_is_told_with_the_scripts_line(caplog: pytest.LogCaptureFixture) -> None:
    (told,) = run(f"initial state A\nenter {{\n  {BAD}\n}};", caplog)
    assert ":3:3: setTimer: arg: " in told and "'one'" in told


@pytest.mark.parametrize(
    "look",
    [
        f"initial state A enter {{ {BAD} if test($errno == arg) {{ set($x=1); }} }};",
        f"initial state A enter {{ {BAD} throwOnError(); }}; transition t A - exception / set($x=1) -> B; state B;",
        f'initial state A enter {{ {BAD} sets($x="what $errno"); }};',
        f"initial state A enter {{ {BAD} set($errno=); }};",
        f"initial state A enter {{ {BAD} }}; transition t A - keyPress(1); test($errno == arg) -> B; state B;",
        f"initial state A enter {{ {BAD} log(1, $strerror); }};",
    ],
)
def test_errno_that_the_script_looks_at_is_its_own_business(look: str, caplog: pytest.LogCaptureFixture) -> None:
    assert run(look, caplog) == []


def test_the_first_of_two_is_told_when_the_second_hides_it(caplog: pytest.LogCaptureFixture) -> None:
    first, second = run(f"initial state A enter {{\n{BAD}\nremoveTimer(x);\n}};", caplog)
    assert ":2:1: setTimer" in first and ":3:1: removeTimer" in second


def test_it_is_told_once_a_call_not_once_an_event(caplog: pytest.LogCaptureFixture) -> None:
    text = f"initial state A; transition t A - keyPress(1) / {{ {BAD} }} -> A;"
    assert len(run(text, caplog, events=20)) == 1
    assert len(run(text, caplog, events=20)) == 2  # another call, once more


def test_an_exception_that_no_transition_takes(caplog: pytest.LogCaptureFixture) -> None:
    (told,) = run("initial state A; transition t A - keyPress(1) /\n throw(disk, full) -> A;", caplog)
    assert ":2:2: throw: exception disk: " in told and told.endswith("no transition takes it")


def test_an_exception_in_the_first_states_enter(caplog: pytest.LogCaptureFixture) -> None:
    (told,) = run("initial state A enter { throw(prompt, hello); };", caplog, events=0)
    assert "throw: exception prompt: " in told


def test_an_exception_that_is_taken_and_reposted(caplog: pytest.LogCaptureFixture) -> None:
    text = (
        "initial state A; state B; transition t A - keyPress(1) / throw(disk) -> A; transition e A - exception / repost() -> B;"
    )
    assert run(text, caplog) == []


def test_the_actions_text_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    """It may hold a password, as the URL of a database does."""
    assert len(run("initial state A enter { setTimer(one, 1); };", caplog)) == 1
    assert "setTimer(" not in caplog.text
