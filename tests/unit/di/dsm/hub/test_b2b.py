# SPDX-License-Identifier: GPL-2.0-or-later
"""B2B actions of a script, and the events of the other leg."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from di.sip import records as sip
from media.control import records
from tests.support.dsm_server import played, server


def test_b2b_bridges_and_its_bye(folder: Path) -> None:
    text = (
        'initial state A; state C; transition s A - sessionStart / B2B.connectCallee("<sip:b@d.example>", sip:b@d.example) -> A;'
        "transition r A - B2B.otherReply(#code==200) -> C; transition b C - B2B.otherBye / stop(true) -> C;"
    )
    book = server(folder, {"t": text})
    a = book.up("app-t", (("X-Tenant", "7"), ("Via", "SIP/2.0/UDP 192.0.2.9"), ("Route", "<sip:192.0.2.8>")))
    b = next(s for s in book.sessions if s is not a)
    assert b.dialog.plan.headers == ["X-Tenant: 7"]
    book.progress(b.call)
    book.confirm(b.call)
    assert a.attributes["dsm_state"] == "C"
    assert played(book, a.leg) == ["PlayBridge"] and played(book, b.leg) == ["PlayBridge"]
    assert next(c for c in book.media.commands if isinstance(c, records.OpenLeg) and c.leg == b.leg).near == a.leg
    book.bye(b)
    assert a.gone


def test_events_for_a_bare_leg_are_lost(folder: Path) -> None:
    text = (
        'initial state A; transition s A - sessionStart / B2B.connectCallee("<sip:b@d.example>", sip:b@d.example) -> A;'
        "transition e A - event / { B2B.relayEvent(x); set($sent=1) } -> A; transition x A - exception / set($thrown=#type) -> A;"
    )
    book = server(folder, {"t": text})
    a = book.up("app-t")
    b = next(s for s in book.sessions if s is not a)
    book.confirm(b.call)
    book.invoke("dsm", "postDSMEvent", a.id, [])
    app: Any = a.app
    assert app.machine.vars["sent"] == "1" and "thrown" not in app.machine.vars and not b.gone


@pytest.mark.parametrize("of_callee", [True, False])
def test_session_timeout_of_one_leg_ends_both(folder: Path, of_callee: bool) -> None:
    text = (
        'initial state A; transition s A - sessionStart / B2B.connectCallee("<sip:b@d.example>", sip:b@d.example) -> A;'
        "transition t A - sessionTimeout / set($told=1) -> A; transition b A - B2B.otherBye / set($bye=1) -> A;"
    )
    book = server(folder, {"t": text})
    a = book.up("app-t")
    b = next(s for s in book.sessions if s is not a)
    book.confirm(b.call)
    book.sessions.on_sip_event(sip.SessionTimedOut((b if of_callee else a).call))
    book.run()
    app: Any = a.app
    assert a.gone and b.gone and ("told" in app.machine.vars, "bye" in app.machine.vars) == (not of_callee, of_callee)


def test_a_relayed_second_leg_answers_for_the_first(folder: Path) -> None:
    text = (
        'import(mod_dlg); initial state A; transition i A - invite / dlg.connectCalleeRelayed("<sip:b@d.example>", sip:b@d.example) -> A;'
        "transition r A - B2B.otherReply / append($codes, #code) -> A;"
    )
    book = server(folder, {"t": text})
    a = book.session(book.offer("app-t"))
    b = next(s for s in book.sessions if s is not a)
    assert book.answers(a.call) == []
    book.progress(b.call)
    assert book.answers(a.call) == [180]
    book.confirm(b.call)
    assert book.answers(a.call) == [180, 200]
    app: Any = a.app
    assert app.machine.vars["codes"] == "180200"
    book.confirm(a.call)
    book.bye(a)
    assert b.gone


def test_a_refused_second_leg_refuses_a_relayed_call(folder: Path) -> None:
    text = "initial state A; transition i A - invite / { set($b2b_relayed_invite=true); B2B.connectCallee(sip:b@d.example, sip:b@d.example) } -> A;"
    book = server(folder, {"t": text})
    a = book.session(book.offer("app-t"))
    b = next(s for s in book.sessions if s is not a)
    book.fail(b.call, 603, "Decline")
    assert book.answers(a.call) == [603]
