# SPDX-License-Identifier: GPL-2.0-or-later
"""The application on real sessions, with SIP and media played by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from di.calls.application import Application
from di.calls.snapshot import restore, take
from di.dsm import PLUGIN
from di.dsm.language.errors import DsmError
from di.dsm.run import engine
from di.kernel.errors import ConfigError
from di.sip import records as sip
from media.control import records
from tests.support.dsm_server import ETC, played, server
from tests.support.playbook import Playbook

LOOK = """
import asyncio
from pathlib import Path
from di.dsm.language.library import hook

def look():
    try:
        asyncio.get_running_loop()
        where = "in the loop"
    except RuntimeError:
        where = "beside"
    with Path(__file__).with_suffix(".log").open("a") as log:
        print(where, file=log)

look()

@hook("preload")
def preload(settings, shared):
    look()
"""
"""A module that says where it is imported and prepared."""


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
    assert app.machine.vars["l"] == "enter:app-t,startenter:app-t,invite:app-tenter:app-t,session,hangup,destroy"


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


@pytest.mark.parametrize("fault", ["register_apps=special\nrun_system_dsms=nope", "register_apps=special,more,taken"])
def test_a_bundle_that_is_refused_changes_nothing(folder: Path, fault: str, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "b").mkdir()
    (folder / "dsm" / "special.dsm").write_text("initial state OLD;")
    (folder / "dsm" / "more.dsm").write_text("initial state MORE;")
    (folder / "b" / "blue.conf").write_text("diag_path=dsm/\nload_diags=special\nregister_apps=special\n")
    book = server(folder, {"t": "initial state A;"}, "conf_dir=b/")
    book.services.applications.register("taken", Application)
    (folder / "dsm" / "taken.dsm").write_text("initial state T;")
    (folder / "dsm" / "special.dsm").write_text("initial state NEW;")
    (folder / "b" / "blue.conf").write_text(f"diag_path=dsm/\nload_diags=special,more,taken\n{fault}\n")
    assert book.invoke("dsm", "loadConfig", str(folder / "b" / "blue.conf"), "blue.conf") == [500, "reload config failed"]
    assert "nope" in caplog.text or "taken" in caplog.text
    assert book.up("app-special").attributes["dsm_state"] == "OLD"
    assert book.invoke("dsm", "listDSMs", "special") == ["special"] and book.services.applications.find("more") is None


async def test_modules_are_prepared_beside_the_loop(folder: Path) -> None:
    """Reading what a service is like takes a quarter of a second; nobody is heard meanwhile if the hub's loop does it."""
    (folder / "mod_look.py").write_text(LOOK)
    (folder / "b.conf").write_text(f"mod_path={folder}\npreload_mods=mod_look\n")
    book = server(folder, {"t": "initial state A;"}, f"mod_path={folder}\npreload_mods=mod_look\nload_folders={folder}")
    seen = folder / "mod_look.log"
    seen.unlink()  # nobody calls at the start
    call = book.services.registry.call
    assert await call("dsm", "loadConfig", [str(folder / "b.conf"), "b.conf"]) == [200, "OK"]
    assert await call("dsm", "preloadModules", []) == [200, "modules preloaded"]
    (folder / "other").mkdir()
    (folder / "other" / "mod_look.py").write_text(LOOK)
    assert await call("dsm", "preloadModule", ["mod_look", str(folder / "other")]) == [200, "module preloaded."]
    other = folder / "other" / "mod_look.log"
    assert seen.read_text() + other.read_text() == "beside\n" * 4, "two were prepared again, one was imported and prepared"


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


def test_as_up_to_sems_1_4_the_diagram_starts_with_the_answer(folder: Path) -> None:
    text = 'initial state A enter { append($l, @user) }; state B; transition s A - sessionStart / append($l, ":s") -> B;'
    book = server(folder, {"t": text}, "start_at_session=yes")
    app: Any = book.up("app-t").app
    assert app.machine.vars["l"] == "app-t:s"


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
