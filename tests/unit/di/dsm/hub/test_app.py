# SPDX-License-Identifier: GPL-2.0-or-later
"""The application on real sessions, with SIP and media played by hand."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from di.calls.events import EventPosted, SystemEvent
from di.calls.snapshot import restore, take
from di.dsm import PLUGIN
from di.dsm.language.draw import to_svg
from di.dsm.language.errors import DsmError
from di.dsm.language.graph import graph_of
from di.dsm.run import engine
from di.kernel.errors import CallFailed, ConfigError, OutOfBounds, TypeMismatch
from di.sip import records as sip
from media.control import records
from tests.support.dsm_scripts import load as load_script
from tests.support.playbook import Playbook

ETC = Path(__file__).parents[5] / "etc"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dsm").mkdir()
    return tmp_path


def server(folder: Path, scripts: dict[str, str], conf: str = "") -> Playbook:
    """A hub with these scripts loaded and registered."""
    for name, text in scripts.items():
        (folder / "dsm" / f"{name}.dsm").write_text(text)
    names = ",".join(scripts)
    text = f"diag_path=dsm/\nload_diags={names}\nregister_apps={names}\n{conf}\n"
    (folder / "dsm.conf").write_text(text)
    book = Playbook(conf_dir=folder)
    book.load(PLUGIN, text)
    return book


def played(book: Playbook, leg: int) -> list[str]:
    return [
        Path(item.path).name if isinstance(item, records.PlayFile) else type(item).__name__
        for item in book.media.legs[leg].playlist
    ]


TEE = """import(mod_conference);
initial state A;
transition go A - event(#do == go) / { conference.join(own, listenonly); conference.teejoin(other); conference.teejoin(other, again);
 conference.setupMixIn(0.5, 2); conference.playMixInList(over.wav, true); conference.size(other, $n); } -> A;
transition leave A - event(#do == leave) / { conference.teeleave(); set($first=$errno); conference.teeleave(again); } -> A;
transition early A - event(#do == early) / { disconnectMedia(); conference.teejoin(x); } -> A;
transition bad A - event(#do == bad) / { conference.playMixIn(/none.wav); } -> A;
transition x A - exception / { set($thrown=#type); set($cause=#cause); } -> A;
"""


def test_tee_and_mix_in(folder: Path) -> None:
    (folder / "over.wav").write_bytes(b"RIFF")
    book = server(folder, {"tee": TEE.replace("over.wav", str(folder / "over.wav"))})
    call, leg_of = (
        book.up("app-tee"),
        lambda: [c for c in book.media.commands if type(c).__name__ in ("TeeRoom", "SetupMixIn", "MixIn")],
    )
    book.invoke("dsm", "postDSMEvent", call.id, [["do", "go"]])
    assert leg_of() == [
        records.TeeRoom(call.leg, "other"), records.TeeRoom(call.leg, "other"), records.SetupMixIn(call.leg, 0.5, 2000),
        records.MixIn(call.leg, (records.PlayFile(str(folder / "over.wav"), loop=True),)),
    ]  # fmt: skip
    rooms = book.sessions.rooms
    assert (call.app.machine.vars["n"], rooms.members("own"), rooms.members("other")) == ("1", [call.id], [call.id])
    book.media.commands.clear()
    book.invoke("dsm", "postDSMEvent", call.id, [["do", "leave"]])
    assert (leg_of(), rooms.members("other")) == ([records.TeeRoom(call.leg, "other", False)], [])
    assert book.media.legs[call.leg].audio["attached_input"] is True
    book.invoke("dsm", "postDSMEvent", call.id, [["do", "bad"]])
    assert call.app.machine.vars["thrown"] == "file"
    book.invoke("dsm", "postDSMEvent", call.id, [["do", "early"]])
    assert call.app.machine.vars["thrown"] == "conference" and "no input" in call.app.machine.vars["cause"]
    book.invoke("dsm", "postDSMEvent", call.id, [["do", "go"]])
    book.bye(call)
    assert call.gone and rooms.names() == []


def test_the_lobby(folder: Path) -> None:
    shutil.copytree(ETC / "prompts", folder / "prompts")
    book = server(folder, {"lobby": (ETC / "dsm" / "lobby.dsm").read_text()}, "prompt_path=prompts/")
    call = book.up("app-lobby")
    assert call.attributes["dsm_state"] == "waiting" and call.attributes["dsm_diag"] == "lobby"
    assert played(book, call.leg) == ["welcome.wav"]
    assert book.media.legs[call.leg].audio["attached_output"] is True
    assert book.invoke("dsm", "postDSMEvent", call.id, [["action", "take"], ["roomname", "wonderland"]]) == [200, "OK"]
    assert played(book, call.leg) == ["taken.wav", "PlayRoom"]
    assert book.sessions.rooms.members("wonderland") == [call.id]
    assert book.invoke("dsm", "postDSMEvent", call.id, [["action", "take"], ["roomname", "other"]]) == [200, "OK"]
    assert book.sessions.rooms.members("wonderland") == [] and book.sessions.rooms.members("other") == [call.id]
    book.invoke("dsm", "postDSMEvent", call.id, [["action", "kick"]])
    assert call.gone
    assert book.invoke("dsm", "postDSMEvent", call.id, [["action", "kick"]]) == [404, "Session not found"]


def test_order_of_an_incoming_call(folder: Path) -> None:
    book = server(
        folder,
        {
            "t": 'initial state A enter { append($l,"enter:"); append($l,@user); }; state B;'
            'transition s A - start / append($l,",start") -> A; transition i A - invite / { append($l,",invite:"); append($l,@user) } -> A;'
            'transition c A - sessionStart / append($l,",session") -> B; transition h B - hangup / append($l,",hangup") -> B;'
            'transition d B - beforeDestroy / append($l,",destroy") -> B;'
        },
    )
    session = book.up("app-t")
    assert book.answers(session.call) == [200]
    app: Any = session.app
    book.bye(session)
    assert app.machine.vars["l"] == "enter:,startenter:,invite:app-tenter:app-t,session,hangup,destroy"


def test_a_refusing_script_and_its_reply_headers(folder: Path) -> None:
    text = 'import(mod_dlg); initial state A; transition i A - invite / { set($dlg.reply.hdrs="X-A: b\\r\\nX-C: d"); '
    text += "dlg.reply(486, Busy); stop(false) } -> A;"
    book = server(folder, {"t": text})
    call = book.offer("app-t")
    (hangup,) = book.sip.of(sip.Hangup, call)
    assert (hangup.code, hangup.reason, hangup.headers) == (486, "Busy", ("X-A: b", "X-C: d"))


def test_early_media_runs_early_session_inside_the_list(folder: Path) -> None:
    text = (
        "import(mod_dlg); initial state A; state W enter { dlg.acceptInvite(183, Progress); append($l, after) };"
        "transition i A - invite -> W; transition e W - earlySession / append($l, early) -> X; state X;"
        "transition t X - timer / dlg.acceptInvite() -> X;"
    )
    book = server(folder, {"t": text})
    session = book.session(book.offer("app-t"))
    app: Any = session.app
    assert (app.machine.vars["l"], app.machine.state.name) == ("earlyafter", "X")
    assert book.answers(session.call) == [183]


def test_no_answer_with_connect_session_0(folder: Path) -> None:
    book = server(folder, {"t": "initial state A; transition i A - invite / set($connect_session=0) -> A;"})
    assert book.answers(book.offer("app-t")) == []


@pytest.mark.parametrize(("action", "attached"), [("", False), ("connectMedia()", True), ("setInOutPlaylist()", True)])
def test_with_connect_session_0_the_playlist_stands_still(folder: Path, action: str, attached: bool) -> None:
    text = (
        "import(mod_dlg); initial state A enter { set($connect_session=0) }; transition i A - invite / dlg.acceptInvite() -> A;"
        f"transition e A - event / {{ playFile({ETC}/prompts/beep.wav); {action} }} -> A;"
    )
    book = server(folder, {"t": text})
    session = book.up("app-t")
    assert book.media.legs[session.leg].audio["attached_output"] is False
    book.invoke("dsm", "postDSMEvent", session.id, [])
    assert played(book, session.leg) == ["beep.wav"] and book.media.legs[session.leg].audio["attached_output"] is attached


def test_keys_timers_and_empty_playlists(folder: Path) -> None:
    text = (
        "initial state A; transition k A - key(#key==11) / { setTimer(1, 5); append($l, #duration) } -> A;"
        "transition t A - timer(#id==1) / append($l, T) -> A; transition n A - noAudio / append($l, #type) -> A;"
    )
    book = server(folder, {"t": text})
    session = book.up("app-t")
    app: Any = session.app
    book.sessions.on_media_event(records.DigitPressed(session.leg, 11, 120, "rtp"))
    book.run(5.1)
    book.sessions.on_media_event(records.PlaylistEmptied(session.leg))
    book.run()
    assert app.machine.vars["l"] == "120TnoAudio"


def test_a_running_call_keeps_its_diagram_over_a_reload(folder: Path) -> None:
    old = "initial state A; state OLD; transition e A - event -> OLD;"
    book = server(folder, {"t": old})
    before = book.up("app-t")
    (folder / "dsm" / "t.dsm").write_text(old.replace("OLD", "NEW"))
    assert book.invoke("dsm", "reloadDSMs") == [200, "DSMs reloaded"]
    after = book.up("app-t")
    for session in (before, after):
        book.invoke("dsm", "postDSMEvent", session.id, [])
    assert (before.attributes["dsm_state"], after.attributes["dsm_state"]) == ("OLD", "NEW")
    (folder / "dsm" / "t.dsm").write_text("state A")
    (folder / "dsm" / "t.dsm").write_text("nonsense")
    assert book.invoke("dsm", "reloadDSMs")[0] == 500
    assert book.up("app-t").attributes["dsm_state"] == "A"


def test_di_functions(folder: Path) -> None:
    book = server(folder, {"t": "initial state A;"})
    (folder / "dsm" / "u.dsm").write_text("initial state U;")
    assert book.invoke("dsm", "hasDSM", "t") == ["1"] and book.invoke("dsm", "hasDSM", "u") == ["0"]
    assert book.invoke("dsm", "loadDSM", "u")[0] == 200
    assert book.invoke("dsm", "loadDSM", "u")[0] == 400
    assert book.invoke("dsm", "loadDSM", "../u")[0] == 500
    assert book.invoke("dsm", "listDSMs") == ["t", "u"] and book.invoke("dsm", "listDSMs", "nope") == []
    assert book.invoke("dsm", "registerApplication", "u") == [200, "registered DSM application"]
    assert book.invoke("dsm", "registerApplication", "u")[0] == 500
    assert book.invoke("dsm", "registerApplication", "nope") == [400, "unknown application (DSM)"]
    assert book.up("app-u").attributes["dsm_state"] == "U"
    assert book.invoke("dsm", "preloadModule", "mod_utils", "") == [200, "module preloaded."]
    assert book.invoke("dsm", "preloadModule", "mod_nope", "")[0] == 500
    assert book.invoke("dsm", "preloadModules") == [200, "modules preloaded"]
    assert book.invoke("dsm", "createSystemDSM", "nope", "t") == [500, "Error: Script config 'nope' not found, in [main]"]
    with pytest.raises(TypeMismatch):
        book.invoke("dsm", "postDSMEvent", "x", [["a", 1]])
    with pytest.raises(OutOfBounds):
        book.invoke("dsm", "postDSMEvent", "x")


def test_parameter_names_are_the_callers_own(folder: Path) -> None:
    book = server(
        folder, {"t": "initial state A; transition e A - event(#kind==x); test(#self==y); test(#after==z) / set($ok=1) -> A;"}
    )
    session = book.up("app-t")
    app: Any = session.app
    book.invoke("dsm", "postDSMEvent", session.id, [["kind", "x"], ["self", "y"], ["after", "z"], ["params", ""], ["event", ""]])
    assert app.machine.vars["ok"] == "1"


def test_a_bundle_has_its_own_diagrams_and_variables(folder: Path) -> None:
    (folder / "b").mkdir()
    (folder / "bscripts").mkdir()
    (folder / "bscripts" / "special.dsm").write_text("initial state S; transition i S - invite / set($got=$config.color) -> S;")
    (folder / "b" / "blue.conf").write_text("diag_path=bscripts/\nload_diags=special\nregister_apps=special\ncolor=blue\n")
    book = server(folder, {"t": "initial state A;"}, "conf_dir=b/")
    session = book.up("app-special")
    app: Any = session.app
    assert app.machine.vars["got"] == "blue"
    assert book.invoke("dsm", "listDSMs", "special") == ["special"] and book.invoke("dsm", "listDSMs") == ["t"]
    (folder / "b" / "blue.conf").write_text("diag_path=bscripts/\nload_diags=special\nregister_apps=special\ncolor=navy\n")
    assert book.invoke("dsm", "loadConfig", str(folder / "b" / "blue.conf"), "blue.conf") == [200, "OK"]
    new: Any = book.up("app-special").app
    assert new.machine.vars["got"] == "navy"
    assert book.invoke("dsm", "loadConfig", "/nowhere.conf", "x.conf") == [500, "reload config failed"]


def test_a_system_dsm(folder: Path) -> None:
    text = (
        "initial state S enter { registerEventQueue(clerk) }; state T; transition a S - startup / setTimer(3, 2) -> S;"
        "transition e S - event / { set($a=#a); playFile(x.wav) } -> T; transition x S - exception; test(#type==core) / stop() -> T;"
    )
    book = server(folder, {"t": text}, "run_system_dsms=t")
    book.run(3)
    assert "clerk" in book.services.queues
    assert book.invoke("dsm", "postDSMEvent", "clerk", [["a", "1"]]) == [200, "OK"]
    assert "clerk" not in book.services.queues


def test_a_fault_ends_its_own_call_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "initial state A; transition e A - event / { for($i in range(2000000000)) { } } -> A;"
    book = server(folder, {"t": text})
    one, two = book.up("app-t"), book.up("app-t")
    monkeypatch.setattr(engine, "MAX_STEPS", 1000)
    book.invoke("dsm", "postDSMEvent", one.id, [])
    assert one.dialog.ending and not two.dialog.ending


def test_outgoing_call_with_variables(folder: Path) -> None:
    text = (
        "import(mod_dlg); initial state A; transition e A - event / { set($a_caller=x); set($a_callee=y); set($a_domain=d.example);"
        "set($a_app=out); set($a_var.color=red); dlg.dialout(a) } -> A;"
    )
    out = "initial state S; state R; transition s S - start / set($seen=@remote_uri) -> S; transition r S - ringing(#code==180) -> R;"
    out += "transition f R - failed / set($code=#code) -> R;"
    book = server(folder, {"t": text, "out": out})
    first: Any = book.up("app-t").app
    book.invoke("dsm", "postDSMEvent", first.session.id, [])
    second = book.sessions.find(first.machine.vars["a_ltag"])
    assert second is not None
    app: Any = second.app
    assert (app.machine.vars["color"], app.machine.vars["seen"]) == ("red", "sip:y@d.example")
    book.progress(second.call)
    book.fail(second.call)
    assert (app.machine.state.name, app.machine.vars["code"]) == ("R", "486")


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


@pytest.mark.parametrize("keep", [True, False])
def test_session_that_is_not_refreshed(folder: Path, keep: bool) -> None:
    processed = "set(#processed=true)" if keep else "set($x=1)"
    text = f"initial state A; transition t A - sessionTimeout / {{ append($told, x); {processed} }} -> A;"
    book = server(folder, {"t": text})
    a = book.up("app-t")
    book.sessions.on_sip_event(sip.SessionTimedOut(a.call))
    book.run()
    app: Any = a.app
    assert app.machine.vars["told"] == "x" and a.gone is not keep
    assert len(book.sip.of(sip.Hangup, a.call)) == (not keep)


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


def test_a_packed_call_goes_on_in_another_process(folder: Path) -> None:
    text = (
        "initial state A enter { registerEventQueue(desk) }; state B; transition e A - event / { set($x=1); setTimer(4, 10) } -> B;"
        "transition t B - timer(#id==4) / set($late=1) -> A;"
    )
    book = server(folder, {"t": text})
    one: Any = book.up("app-t").app
    book.invoke("dsm", "postDSMEvent", one.session.id, [])
    book.run(4)
    data = json.loads(json.dumps(take(one.session)))
    assert data["timers_ms"] == {"4": 6000} and data["dialog"]["call_id"] and data["app"]["queues"] == ["desk"]
    other = server(folder, {"t": text})
    two: Any = other.up("app-t").app
    restore(two.session, data)
    assert take(two.session) == {**data, "id": two.session.id}
    assert (two.machine.state.name, two.machine.vars["x"]) == ("B", "1") and "desk" in other.services.queues
    other.run(5.9)
    assert "late" not in two.machine.vars
    other.run(0.2)
    assert two.machine.vars["late"] == "1"
    with pytest.raises(DsmError, match="version"):
        two.restore({})


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


def test_as_up_to_sems_1_4_the_diagram_starts_with_the_answer(folder: Path) -> None:
    text = 'initial state A enter { append($l, @user) }; state B; transition s A - sessionStart / append($l, ":s") -> B;'
    book = server(folder, {"t": text}, "start_at_session=yes")
    app: Any = book.up("app-t").app
    assert app.machine.vars["l"] == "app-t:s"


def test_the_store_says_which_diagram(folder: Path) -> None:
    from di.stores.monitoring import PLUGIN as MONITORING

    (folder / "dsm" / "t.dsm").write_text("initial state A;")
    conf = "diag_path=dsm/\nload_diags=t\ninbound_start_diag=$(mon_select)\n"
    (folder / "dsm.conf").write_text(conf)
    book = Playbook(conf_dir=folder, mapping="^sip:=>dsm\n")
    book.load(MONITORING)
    book.load(PLUGIN, conf)
    assert book.answers(book.offer("bob")) == [500]
    book.invoke("monitoring", "set", "rec", "caller", "c", "callee", "bob", "app", "t", "appParams", {"color": "red"})
    app: Any = book.up("bob").app
    assert (app.machine.vars["color"], app.machine.vars["mon_session_record"]) == ("red", "rec")


def test_json_rpc_requests_and_other_posts(folder: Path) -> None:
    text = (
        "initial state A; transition j A - jsonRpcRequest(#method==m) / { set($a=#params.a[1]); set($n=#params.n) } -> A;"
        "transition b A - B2Bevent / set($b=#x) -> A;"
    )
    book = server(folder, {"t": text})
    session = book.up("app-t")
    app: Any = session.app
    session.post(EventPosted({"ev_type": "JsonRpcRequest", "method": "m"}, "jsonrpc", {"params": {"a": [1, True], "n": None}}))
    session.post(EventPosted({"ev_type": "JsonRpcConnection"}, "jsonrpc"))
    session.post(EventPosted({"x": "y"}, "b2b"))
    book.run()
    assert (app.machine.vars["a"], app.machine.vars["n"], app.machine.vars["b"]) == ("true", "null", "y")


def test_requests_and_replies_where_the_script_asks_for_them(folder: Path) -> None:
    text = (
        "initial state A enter { set($enable_request_events=true); set($enable_reply_events=true) };"
        "transition b A - sipRequest(#method==BYE) / { append($l, #method); set(#processed=true) } -> A;"
        "transition q A - sipRequest / { append($l, #method); append($l, ' ') } -> A; transition r A - sipReply / append($l, #code) -> A;"
        "transition h A - hangup / append($l, never) -> A;"
    )
    book = server(folder, {"t": text})
    session = book.up("app-t")
    app: Any = session.app
    book.sessions.on_sip_event(sip.RequestReceived(session.call, 5, "OPTIONS", (), "", b"", True))
    book.run()
    assert [reply.code for reply in book.sip.of(sip.SendReply, session.call)] == [200]
    book.sessions.on_sip_event(sip.ReplyReceived(session.call, 6, 202, "Accepted"))
    book.run()
    book.bye(session)
    assert app.machine.vars["l"] == "INVITE OPTIONS 202BYE"


def test_the_end_of_the_server_reaches_calls_and_system_dsms(folder: Path) -> None:
    text = (
        'initial state S; transition e S - system(#type==ServerShutdown); test(@remote_uri == "") / stop() -> S;'
        "transition k S - system(#type==User1) / set($u=1) -> S;"
    )
    book = server(folder, {"t": text}, "run_system_dsms=t")
    session = book.up("app-t")
    systems = [name for name in book.services.queues._queues if name.startswith("SystemDSM_")]
    assert len(systems) == 1
    for kind in ("user1", "shutdown"):
        book.services.queues.broadcast(SystemEvent(kind))
        book.run()
    app: Any = session.app
    assert session.gone and app.machine.vars["u"] == "1"
    assert not [name for name in book.services.queues._queues if name.startswith("SystemDSM_")]


async def test_a_module_of_ones_own_sees_every_call_and_may_keep_it_from_being_answered(folder: Path) -> None:
    (folder / "mods").mkdir()
    (folder / "mods" / "mod_gate.py").write_text(
        "from di.dsm.api import Run, hook\n\n@hook('on_invite')\ndef ask(run: Run, headers: str) -> bool:\n"
        "    run.vars['seen'] = headers\n    return 'X-Open' in headers\n\n"
        "@hook('on_destroy')\nasync def over(run: Run) -> None:\n    run.vars['over'] = run.session.id\n"
    )
    book = server(folder, {"t": "import(mod_gate); initial state A;"}, "mod_path=mods/")
    assert book.answers(book.offer("app-t")) == []
    session = book.up("app-t", (("X-Open", "yes"),))
    app: Any = session.app
    assert book.answers(session.call) == [200] and app.machine.vars["seen"] == "X-Open: yes\r\n"
    book.bye(session)
    assert len(book.waiting) == 1 and not session.gone, "the end of the call waits for the module"
    await book.waiting.pop()
    assert session.gone and app.machine.vars["over"] == session.id


def test_names_of_audio_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory first, then the configuration's folder; without suffix a WAV file, nothing else."""
    here = folder / "working"
    here.mkdir()
    monkeypatch.chdir(here)
    for path in (folder / "both.wav", here / "both.wav", folder / "conf.wav", folder / "plain", folder / "voice.flac"):
        path.write_bytes(b"RIFF")
    text = "initial state A; transition e A - event / { playFile(#f); append($l, y) } -> A; transition x A - exception / append($l, n) -> A;"
    book = server(folder, {"t": text})
    call = book.up("app-t")
    app: Any = call.app
    for name in ("both.wav", "both", "conf", "plain", "voice", "none", "voice.flac", "both.wave"):
        book.invoke("dsm", "postDSMEvent", call.id, [["f", name]])
    paths = [Path(item.path).relative_to(folder) for item in book.media.legs[call.leg].playlist]
    assert [str(path) for path in paths] == ["working/both.wav", "working/both.wav", "conf.wav", "voice.flac"]
    assert app.machine.vars["l"] == "yyynnnyn"


def test_media_root_is_a_jail(folder: Path) -> None:
    (folder / "in").mkdir()
    for name in ("in/a.wav", "out.wav"):
        (folder / name).write_bytes(b"RIFF")
    os.symlink(folder / "out.wav", folder / "in" / "link.wav")
    text = "initial state A; transition e A - event / { playFile(#f); append($l, ok) } -> A;"
    text += "transition x A - exception; test(#type==file) / append($l, no) -> A;"
    book = server(folder, {"t": text}, f"media_root={folder}/in")
    session = book.up("app-t")
    app: Any = session.app
    for path in (
        "in/a.wav",
        "in/../in/a.wav",
        "in/../out.wav",
        f"{folder}/out.wav",
        "in/link.wav",
        "in/a.txt",
        "in",
        "",
        "a\0.wav",
    ):
        book.invoke("dsm", "postDSMEvent", session.id, [["f", str(folder / path) if path and not path.startswith("/") else path]])
    assert app.machine.vars["l"] == "okoknononononono" + "no"


def test_prompts_and_sets(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / f"{name}.wav").write_bytes(b"RIFF")
    (folder / "p.list").write_text(f"# prompts\nhello={folder}/a.wav\nbye={folder}/a.wav\ngone={folder}/none.wav\n")
    (folder / "german").write_text(f"hello={folder}/b.wav\n")
    text = (
        "initial state A enter { playPrompt(hello); setPrompts(german); playPrompt(hello); set($prompts.default_fallback=yes);"
        "playPrompt(bye); playPrompt(gone) };"
        "state B; transition x A - exception; test(#name==gone) -> B;"
    )
    conf = "load_prompts=p.list\nrequired_prompts=hello\nprompts_sets_path=.\nload_prompts_sets=german"
    book = server(folder, {"t": text}, conf)
    session = book.up("app-t")
    assert played(book, session.leg) == ["a.wav", "b.wav", "a.wav"]
    assert session.attributes["dsm_state"] == "B"


def test_the_graph_has_live_counts(folder: Path) -> None:
    book = server(folder, {"t": "initial state A; state B; transition e A - event -> B;"})
    calls = [book.up("app-t") for _ in range(3)]
    book.invoke("dsm", "postDSMEvent", calls[0].id, [])
    assert [node["calls"] for node in book.invoke("dsm", "diagramGraph", "t")["nodes"]] == [2, 1]
    for call in calls:
        book.bye(call)
    assert [node["calls"] for node in book.invoke("dsm", "diagramGraph", "t")["nodes"]] == [0, 0]
    with pytest.raises(CallFailed):
        book.invoke("dsm", "diagramGraph", "nope")


async def test_the_picture_is_the_commands_with_a_badge_for_each_count(folder: Path) -> None:
    book = server(folder, {"t": "initial state A; state B; transition e A - event -> B;", "u": "initial state <&>;"})
    book.up("app-t")
    assert book.invoke("dsm", "diagrams") == [
        {"name": "t", "application": "", "states": 2, "calls": 1}, {"name": "u", "application": "", "states": 1, "calls": 0},
    ]  # fmt: skip
    drawn = await book.services.registry.call("dsm", "diagramSvg", ["t"])
    assert isinstance(drawn, dict) and drawn["calls"] == {"A": 1}
    svg = str(drawn["svg"])
    graph = graph_of(load_script((folder / "dsm" / "t.dsm").read_text()))
    badge = re.compile(r'<g class="count" visibility="hidden">.*?</g>')
    assert badge.sub("", svg) == to_svg(graph) and len(badge.findall(svg)) == 2
    assert badge.sub("", to_svg(graph, {"A": 0})) == to_svg(graph) != badge.sub("", to_svg(graph, {"A": 12}))
    hostile = await book.services.registry.call("dsm", "diagramSvg", ["u", "u"])
    assert isinstance(hostile, dict) and 'data-state="&lt;&amp;&gt;"' in str(hostile["svg"])
    with pytest.raises(CallFailed):
        await book.services.registry.call("dsm", "diagramSvg", ["nope"])
    (folder / "dsm" / "t.dsm").write_text("initial state C;")
    assert book.invoke("dsm", "reloadDSMs")[0] == 200
    again = await book.services.registry.call("dsm", "diagramSvg", ["t"])
    assert isinstance(again, dict) and 'data-state="C"' in str(again["svg"]) and 'data-state="A"' not in str(again["svg"])


@pytest.mark.parametrize(
    ("conf", "hint"),
    [
        ("load_diags=nope", "nope.dsm cannot be read"), ("register_apps=x", "not among load_diags"), ("preload_mods=mod_x", "no module"),
        ("inbound_start_diag=x", "not among load_diags"), ("load_prompts=nope", "cannot be read"), ("required_prompts=p", "required_prompts: p"),
        ("run_system_dsms=x", "run_system_dsms: x"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_stops_the_start(folder: Path, conf: str, hint: str) -> None:
    (folder / "dsm.conf").write_text(conf)
    book = Playbook(conf_dir=folder)
    with pytest.raises(ConfigError, match=hint):
        book.load(PLUGIN, conf)
