# SPDX-License-Identifier: GPL-2.0-or-later
"""Events of real sessions that few scripts meet, and what happens by default after them (spec dsm.md §3.8), options that show a call's way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from di.calls.events import EventPosted, SystemEvent
from di.calls.session import Session
from di.sip import records as sip
from media.control import recording_records, records
from tests.support.dsm_server import server
from tests.support.playbook import Playbook

NOTE = "append($l, #type); append($l, :); append($l, #code); append($l, #reason); append($l, #dlg_status); append($l, #timeout_value);"


def seen(session: Session) -> dict[str, str]:
    app: Any = session.app
    variables: dict[str, str] = app.machine.vars
    return variables


def media_event(book: Playbook, event: object) -> None:
    book.sessions.on_media_event(event)
    book.run()


# ------------------------------------------------------------------------------------------------------------------- media
@pytest.mark.parametrize("keep", [True, False])
def test_no_rtp_ends_the_call_unless_the_script_takes_care_of_it(folder: Path, keep: bool) -> None:
    processed = "set(#processed=true);" if keep else ""
    book = server(folder, {"t": f"initial state A; transition r A - rtpTimeout / {{ {NOTE} {processed} }} -> A;"})
    call = book.up("app-t")
    call.audio.rtp_timeout_ms = 30_000
    media_event(book, records.RtpTimedOut(call.leg, 30_000))
    assert seen(call)["l"] == "rtp_timeout:30"
    assert call.gone is not keep


def test_media_that_is_given_up_is_told_then_the_call_ends(folder: Path) -> None:
    text = f"initial state A; transition n A - noAudio(#type == cleared) / {{ {NOTE} }} -> B; state B; transition h B - hangup / set($bye=1) -> B;"
    book = server(folder, {"t": text})
    call = book.up("app-t")
    variables = seen(call)
    media_event(book, records.LegDropped(call.leg, "a fault"))
    assert (variables["l"], call.gone, "bye" in variables) == ("cleared:", True, False)


@pytest.mark.parametrize(
    "event",
    [
        lambda leg: records.ItemFailed(leg, "/srv/x.wav", "no audio"),
        lambda leg: recording_records.RecordingStopped(leg, "/srv/x.wav", 0, 0, "no audio"),
    ],
)
@pytest.mark.parametrize("handled", [True, False])
def test_a_file_that_failed_after_its_action_is_exception_file(
    folder: Path, event: Any, handled: bool, caplog: pytest.LogCaptureFixture
) -> None:
    handler = (
        "transition x A - exception; test(#type == file) / { append($l, #path); append($l, #text); } -> B;" if handled else ""
    )
    book = server(folder, {"t": f"initial state A; {handler} transition k A - keyPress(1) / append($l, key) -> A; state B;"})
    call = book.up("app-t")
    media_event(book, event(call.leg))
    assert seen(call).get("l", "") == ("/srv/x.wavno audio" if handled else "")
    assert not call.gone
    assert [r.getMessage() for r in caplog.records if call.id in r.getMessage() and "/srv/x.wav" in r.getMessage()]
    if not handled:
        book.media.press(call.leg, "1")
        book.run()
        assert seen(call)["l"] == "key", "the script goes on"


@pytest.mark.parametrize(("flag", "attached"), [("0", False), ("1", True)])
def test_early_media_without_the_playlist(folder: Path, flag: str, attached: bool) -> None:
    text = "import(mod_dlg); initial state A; transition i A - invite / "
    text += f"{{ set($connect_early_session={flag}); dlg.acceptInvite(183, Progress) }} -> A;"
    book = server(folder, {"t": text})
    call = book.session(book.offer("app-t"))
    book.negotiate(call.call)
    assert book.media.legs[call.leg].audio.get("attached_output", False) is attached


def test_who_comes_and_goes_in_the_room(folder: Path) -> None:
    text = "import(mod_conference); initial state A; transition j A - event(#do == join) / conference.join(room) -> A;"
    text += "transition c A - event(#type == conference_event) / append($l, #id) -> A;"
    book = server(folder, {"t": text})
    one, two = book.up("app-t"), book.up("app-t")
    for call in (one, two):
        book.invoke("dsm", "postDSMEvent", call.id, [["do", "join"]])
    book.bye(two)
    assert seen(one)["l"] == "112", "alone in the room; the second came; the second left"


# --------------------------------------------------------------------------------------------------------------------- SIP
@pytest.mark.parametrize(("code", "expected"), [(404, "gone404Disconnectedfailed404"), (486, "failed486")])
def test_a_call_out_that_fails(folder: Path, code: int, expected: str) -> None:
    """`remoteDisappeared` precedes `failed` for the codes that mean nobody is there (Q43)."""
    out = "initial state S; transition g S - remoteDisappeared / { append($l, gone); append($l, #code); append($l, #dlg_status) } -> S;"
    out += "transition f S - failed / { append($l, failed); append($l, #code) } -> S;"
    text = "import(mod_dlg); initial state A; transition e A - event / { set($a_caller=x); set($a_callee=y); set($a_domain=d.example);"
    text += "set($a_app=out); dlg.dialout(a) } -> A;"
    book = server(folder, {"t": text, "out": out})
    first = book.up("app-t")
    book.invoke("dsm", "postDSMEvent", first.id, [])
    second = book.sessions.find(seen(first)["a_ltag"])
    assert second is not None
    variables = seen(second)
    book.progress(second.call)
    book.fail(second.call, code, "No")
    assert (variables["l"], second.gone) == (expected, True)


def test_a_call_whose_ack_never_comes(folder: Path) -> None:
    text = "initial state A; transition h A - hangup / { append($l, #reason); append($l, #headers) } -> A;"
    book = server(folder, {"t": text})
    call = book.up("app-t")
    variables = seen(call)
    book.sessions.on_sip_event(sip.CallEnded(call.call, 408, "Request Timeout", "timeout"))
    book.run()
    assert (variables["l"], call.gone) == ("onNoAck", True)


def test_a_request_of_ours_that_nobody_answers_ends_a_connected_call(folder: Path) -> None:
    text = "initial state A; transition g A - remoteDisappeared / { append($l, #code); append($l, #dlg_status) } -> A;"
    book = server(folder, {"t": text})
    for keep in (False, True):
        call = book.up("app-t")
        if keep:
            seen(call)["l"] = "keep"
        variables = seen(call)
        book.sessions.on_sip_event(sip.ReplyReceived(call.call, 1, 481, "Gone"))
        book.run()
        assert variables["l"] == ("keep" if keep else "") + "481Connected" and call.gone


def test_every_reload_of_the_server_is_told(folder: Path) -> None:
    book = server(folder, {"t": "initial state A; transition s A - system / { append($l, #type); set(#processed=true) } -> A;"})
    call = book.up("app-t")
    for kind in ("user1", "user2", "something", "shutdown"):
        book.services.queues.broadcast(SystemEvent(kind))
        book.run()
    assert (seen(call)["l"], call.gone) == ("User1User2UnknownServerShutdown", False)


# ---------------------------------------------------------------------------------------------------------------- JSON-RPC
def test_objects_of_a_json_rpc_event_live_as_long_as_it(folder: Path) -> None:
    text = "initial state A; transition q A - jsonRpcRequest / set($q=#params.a[0]) -> A;"
    text += "transition r A - jsonRpcResponse / { append($r, #is_error); append($r, #result.x); append($r, #error.code); append($r, #udata) } -> A;"
    book = server(folder, {"t": text})
    call = book.up("app-t")
    app: Any = call.app
    during: list[dict[str, object]] = []
    run = app.machine.run
    app.machine.run = lambda event, **more: during.append(dict(app.machine.avars)) or run(event, **more)
    call.post(EventPosted({"ev_type": "JsonRpcRequest", "method": "m"}, "jsonrpc", {"params": {"a": [7]}}))
    call.post(
        EventPosted({"ev_type": "JsonRpcResponse", "is_error": "false"}, "jsonrpc", {"result": {"x": "y"}, "udata": "mine"})
    )
    call.post(EventPosted({"ev_type": "JsonRpcResponse", "is_error": "true"}, "jsonrpc", {"error": {"code": -1}, "udata": None}))
    book.run()
    assert (seen(call)["q"], seen(call)["r"]) == ("7", "falseymine" + "true-1null")
    assert during == [
        {"JsonRpcRequestParameters": {"a": [7]}},
        {"JsonRpcResponseParameters": {"x": "y"}, "JsonRpcResponseUData": "mine"},
        {"JsonRpcResponseParameters": {"code": -1}, "JsonRpcResponseUData": None},
    ]
    assert not app.machine.avars


# ------------------------------------------------------------------------------------------------------- what can be switched
@pytest.mark.parametrize(
    ("conf", "way"),
    [
        ("", None),
        ("monitoring_full_stategraph=yes", ["t/A", "t/B", "u/S"]),
        ("monitoring_full_transitions=yes", ["> to B >"]),
        ("monitoring_full_stategraph=yes\nmonitoring_full_transitions=yes", ["t/A", "> to B >", "t/B", "u/S"]),
    ],
)
def test_the_way_of_a_call_in_the_store(folder: Path, conf: str, way: list[str] | None) -> None:
    text = 'initial state A; state B enter { jumpFSM(u) }; transition "to B" A - event -> B;'
    for name, script in (("t", text), ("u", "initial state S;")):
        (folder / "dsm" / f"{name}.dsm").write_text(script)
    book = server(folder, {"t": text, "u": "initial state S;"}, conf).with_monitoring()
    call = book.up("app-t")
    book.invoke("dsm", "postDSMEvent", call.id, [])
    (attributes,) = book.invoke("monitoring", "get", call.id)
    assert (attributes["dsm_diag"], attributes["dsm_state"], attributes.get("dsm_stategraph")) == ("u", "S", way)


@pytest.mark.parametrize(("conf", "expected"), [("", "from conf"), ("set_param_variables=yes", "blue")])
def test_parameters_of_the_header_as_variables(folder: Path, conf: str, expected: str) -> None:
    book = server(folder, {"t": "initial state A;"}, f"colour=from conf\n{conf}".replace("from conf", '"from conf"'))
    call = book.up("app-t", (("P-App-Param", "config.colour=blue;x=1;broken;a=b=c"),))
    variables = seen(call)
    assert variables["config.colour"] == expected
    assert {name: variables[name] for name in ("x", "a", "broken") if name in variables} == (
        {"x": "1"} if expected == "blue" else {}
    )


@pytest.mark.parametrize("function", ["loadDSMWithPath", "loadDSMWithPaths"])
def test_scripts_from_another_folder(folder: Path, function: str) -> None:
    other = folder / "other"
    other.mkdir()
    (other / "more.dsm").write_text("import(mod_mine); initial state A enter { mine.note() };")
    (other / "mod_mine.py").write_text(
        "from di.dsm.api import action\n\n\n@action('mine.note')\ndef note(run) -> None:\n    '''Note it.'''\n    run.vars['noted'] = 'yes'\n"
    )
    book = server(folder, {"t": "initial state A;"}, f"load_folders={other}")
    assert book.invoke("dsm", function, "more", str(folder), str(other))[0] == 500
    assert book.invoke("dsm", function, "more", str(other), str(other))[0] == 200
    assert book.invoke("dsm", function, "more", str(other), str(other))[0] == 400
    assert book.invoke("dsm", "hasDSM", "more") == ["1"]
    assert book.invoke("dsm", "registerApplication", "more")[0] == 200
    assert seen(book.up("app-more"))["noted"] == "yes"
