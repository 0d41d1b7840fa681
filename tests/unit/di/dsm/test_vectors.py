# SPDX-License-Identifier: GPL-2.0-or-later
"""The test vectors of spec dsm.md §12, as data files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from di.dsm.language.event import Event, Kind
from di.dsm.language.tokens import tokenise
from di.dsm.language.values import substitute
from di.dsm.run.engine import Machine, Run
from di.dsm.run.simulated import SimulatedSession
from tests.support.dsm_scripts import Scene, load

VECTORS = Path(__file__).parents[3] / "vectors" / "dsm"


def data(name: str) -> Any:
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


def scope(case: dict[str, Any]) -> Run:
    session = SimulatedSession()
    session.selects = case.get("selects", {})
    machine = Machine({}, session)
    machine.vars.update(case["vars"])
    return Run(machine, Event(Kind(case.get("kind", "event")), dict(case["params"])))


@pytest.mark.parametrize(("text", "tokens"), data("tokens.json"))
def test_tokens(text: str, tokens: list[str]) -> None:
    assert [token.text for token in tokenise(text)] == tokens


@pytest.mark.parametrize(("template", "result"), data("templates.json")["cases"])
def test_templates(template: str, result: str) -> None:
    assert substitute(template, scope(data("templates.json"))) == result


@pytest.mark.parametrize(("condition", "holds"), data("conditions.json")["cases"])
def test_conditions(condition: str, holds: bool) -> None:
    case = data("conditions.json")
    diagram = load(f"initial state A; state B; transition t A - {condition} -> B;")
    (test,) = diagram.by_name["A"].transitions[0].tests
    run = scope(case)
    matches = (test.kind is None or test.kind is run.event.kind) and (test.matches is None or bool(test.matches(run)))
    assert (matches is not test.negated) is holds


def test_less_or_equal_is_a_comparison_with_text() -> None:
    """`test($n <= 5)` is true for 7 as well (§12.3)."""
    scene = Scene("initial state A; state B; transition t A - test($n <= 5) -> B;", start=False)
    scene.vars["n"] = "7"
    from di.dsm.run.drivers import run_now

    run_now(scene.machine.start("t", Kind.START))
    assert scene.state == "B"


def test_engine() -> None:
    scene = Scene((VECTORS / "engine_12_4.dsm").read_text())
    assert (scene.state, scene.vars["log"]) == ("A", "eA,")
    scene.key(2)
    assert (scene.state, scene.vars["log"]) == ("A", "eA,xA,t2,")
    scene.key(1)
    assert (scene.state, scene.vars["log"]) == ("D", "eA,xA,t2,xA,t1,eB,xB,eC,demo")
