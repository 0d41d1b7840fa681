# SPDX-License-Identifier: GPL-2.0-or-later
"""A second leg that has a diagram of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.dsm_server import played, server
from tests.support.playbook import Playbook

STEERED = {
    "a": "initial state A; state C; transition s A - sessionStart / { set($b2b_diag=b); set($b2b_var.who=me); set($x=1);"
    ' B2B.connectCallee("<sip:b@d.example>", sip:b@d.example); B2B.relayEvent(x) } -> A;'
    "transition r A - B2B.otherReply(#code==200) -> C; transition f A - B2B.otherReply / set($code=#code) -> C;"
    "transition e (A, C) - B2Bevent / { set($got=#answer); set($p.z=9); B2B.relayEvent(x;p.) } -> C;"
    "transition b C - B2B.otherBye / { set($bye=1); set(#processed=$keep) } -> C;",
    "b": "import(mod_dlg); initial state A;"
    "transition s A - sessionStart / { set($answer=hello); dlg.getOtherId($other); B2B.relayEvent(answer) } -> A;"
    "transition e A - B2Bevent / { append($seen, #x); append($seen, #p.z) } -> A; transition t A - event(#do==end) / B2B.terminateOtherLeg() -> A;"
    "transition c A - event(#do==call) / B2B.connectCallee(sip:c@d.example, sip:c@d.example) -> A;"
    "transition x A - exception / set($thrown=#type) -> A; transition h A - hangup / { set($hung=1); stop(false) } -> A;",
}  # fmt: skip


def steered(folder: Path, **variables: str) -> tuple[Playbook, Any, Any]:
    """Two legs, each with its diagram; the B leg rings."""
    book = server(folder, STEERED)
    a = book.session(book.offer("app-a"))
    a.app.machine.vars.update(variables)
    book.confirm(a.call)
    return book, a, next(s for s in book.sessions if s is not a)


def test_events_between_two_legs(folder: Path) -> None:
    book, a, b = steered(folder)
    one, two = a.app.machine.vars, b.app.machine.vars
    assert (two["who"], two["seen"]) == ("me", "1"), "an event comes through while the B leg still rings"
    book.confirm(b.call)
    assert (one["got"], two["seen"], two["other"]) == ("hello", "119", a.id)
    assert a.attributes["dsm_state"] == "C" and b.attributes["dsm_diag"] == "b" and two["answer"] == "hello"
    assert played(book, a.leg) == ["PlayBridge"] and played(book, b.leg) == ["PlayBridge"]
    book.invoke("dsm", "postDSMEvent", b.id, [["do", "call"]])
    assert two["thrown"] == "script" and len(book.sessions) == 2
    book.bye(b)
    assert (one["bye"], two["hung"]) == ("1", "1") and a.gone and b.gone


def test_a_leg_may_stay_when_a_steered_leg_goes(folder: Path) -> None:
    book, a, b = steered(folder, keep="true")
    book.confirm(b.call)
    book.invoke("dsm", "postDSMEvent", b.id, [["do", "end"]])
    assert a.app.machine.vars["bye"] == "1" and not a.gone and not b.gone
    book.bye(b)
    assert not a.gone and a.app.second_leg.id == ""


def test_a_steered_leg_ends_with_its_first_leg(folder: Path) -> None:
    book, a, b = steered(folder)
    book.confirm(b.call)
    book.bye(a)
    assert b.gone and len(book.sessions) == 0


def test_a_steered_leg_that_is_refused(folder: Path) -> None:
    book, a, b = steered(folder)
    book.fail(b.call, 486)
    assert a.app.machine.vars["code"] == "486" and not a.gone and b.gone


def test_a_diagram_for_the_second_leg_that_is_not_there(folder: Path) -> None:
    text = (
        "initial state A; transition s A - sessionStart / { set($b2b_diag=none); B2B.connectCallee(sip:b@d, sip:b@d.example) } -> A;"
        "transition x A - exception / { set($thrown=#type); set($cause=#cause) } -> A;"
    )
    book = server(folder, {"t": text})
    a: Any = book.up("app-t").app
    assert a.machine.vars["thrown"] == "script" and "'none'" in a.machine.vars["cause"] and len(book.sessions) == 1
