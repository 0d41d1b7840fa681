# SPDX-License-Identifier: GPL-2.0-or-later
"""The core actions on a simulated call (spec dsm.md §4.1), one table row a rule."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Any

import pytest

from di.dsm.language.event import Event, Kind
from di.dsm.run.drivers import deliver, run_now
from di.dsm.run.engine import Machine
from di.dsm.run.ports import Unsupported
from di.dsm.run.simulated import SimulatedSession
from di.kernel.errors import OutOfBounds
from tests.support.dsm_scripts import Scene, load


def run(body: str, session: SimulatedSession | None = None, **variables: str) -> Scene:
    """Run statements on one event with #p=P; exceptions are noted in $thrown."""
    scene = Scene(
        f"initial state A; state B; transition e A - event / {{ {body} }} -> B;"
        "transition x A - exception / { set($thrown=#type); set($why=#cause) } -> B;",
        session,
    )
    scene.vars.update(variables)
    scene.event(Kind.EVENT, p="P", n="3")
    return scene


@pytest.mark.parametrize(
    ("body", "name", "value"),
    [
        ("set($a=b)", "a", "b"), ("set(a=b)", "a", "b"), ('set($a="x=y")', "a", "x=y"), ("set($a=#p)", "a", "P"), ("set($a=$v)", "a", "V"),
        ('set($a="$v")', "a", "V"), ("set($a=)", "a", ""), ("set($a=$$x)", "a", "$"), ("set($a=@@x)", "a", "@"), ("set($a=@)", "a", "@"),
        ("set($a='it \"is\" ok')", "a", 'it "is" ok'), ("set(#q=1); set($a=#q)", "a", "1"), ('sets($a="<$(v1)>")', "a", "<V1>"),
        ("setVar(a=b)", "a", "b"), ("set($n=a); setVar($n=b)", "a", "b"), ("var($a=v)", "a", "V"), ("set($n=v); var($a=$n)", "a", "V"),
        ("param($a=p)", "a", "P"), ("set($n=p); param($a=$n)", "a", "P"), ("param($a=none)", "a", ""),
        ("eval($a=5-3+1)", "a", "1"), ("eval($a=9-3-2)", "a", "8"), ("eval($a=1 + #n)", "a", "4"), ("eval($a=x+1)", "a", "x+1"),
        ("eval($a=$v)", "a", "V"), ("append($v,W)", "v", "VW"), ("set($a=abcdef); substr($a, 2)", "a", "cdef"),
        ("set($a=abcdef); substr($a,2,3)", "a", "cde"), ("set($a=abcdef); substr($a, 2, $three)", "a", "cde"),
        ("set($a=abc); substr($a,9)", "a", "abc"), ("inc($a); inc($a)", "a", "2"), ("set($a=x); inc($a)", "a", "1"),
        ("set($s[0]=x); set($s[1].m=y); size($s,$a)", "a", "2"), ("set($s[0]=x); set($s[1]=y); arrayIndex($s,y)", "index", "1"),
        ("set($s[0]=V); arrayIndex($s,$v)", "v.index", "0"), ("arrayIndex($s,y)", "index", "nil"),
        ("setTimer(x,1)", "errno", "arg"), ("set($errno=old); setTimer(1,2)", "errno", ""), ("removeTimer(x)", "errno", "arg"),
        ("postEvent(nobody)", "errno", "arg"), ("stopRecord()", "errno", "script"), ("getRecordLength()", "record_length", "0"),
        ("recordFile(x.wav); getRecordLength(len)", "len", "1000"), ("addSeparator(x)", "errno", "arg"), ("freeObject(x)", "errno", "arg"),
        ("set($errno=e); set($strerror=t); throwOnError()", "thrown", "e"), ("throw(bad)", "thrown", "bad"),
        ("playSilence(x)", "thrown", "core"), ("sendDTMF(16)", "thrown", "core"), ("playRingtone(s,false)", "errno", ""),
        ("set($s.f=x); playRingtone(s,false)", "thrown", "core"), ("DI(a)", "errno", "arg"), ("DI(no,thing)", "errno", "config"),
    ],
)  # fmt: skip
def test_variables(body: str, name: str, value: str) -> None:
    scene = run(body, v="V", v1="V1", three="3")
    assert scene.vars.get(name) == value


def test_clearing() -> None:
    scene = run("clear($a); clearStruct($s); clearArray($r)", **{"a": "1", "s.x": "1", "sx": "1", "r[0]": "1", "r": "1"})
    assert set(scene.vars) == {"sx", "r"}


@pytest.mark.parametrize(
    ("body", "done"),
    [
        ("playFile(a.wav); playFile(b.wav, true); playFileFront(c.wav)", ["play a.wav", "play b.wav loop", "play c.wav front"]),
        ("playPrompt(p); playPromptFront(p); playPromptLooped(p); setPrompts(s)", ["prompt p", "prompt p front", "prompt p loop", "prompts s"]),
        ("playSilence(100); playSilenceFront(-5)", ["play_silence 100", "play_silence -5 front=True"]),
        ("set($r.length=9); set($r.on=1); set($r.off=2); set($r.f=3); playRingtone(r,true)", ["play_tone 9 1 2 3 0 front=True"]),
        ("addSeparator(5,true); flushPlaylist(); closePlaylist(true)", ["add_separator 5 front=True", "flush", "flush"]),
        ("connectMedia(); disconnectMedia(); mute(); unmute()", ["connect", "disconnect", "mute True", "mute False"]),
        ("setInOutPlaylist(); setInputPlaylist()", ["wire input=True output=True", "wire input=True"]),
        ("enableReceiving(); disableReceiving(); enableForceDTMFReceiving()", ["receive True", "receive False", "force_keys True"]),
        ("disableDTMFDetection(); monitorRTPTimeout(true); monitorRTPTimeout(no)", ["detect_keys False", "watch_rtp True", "watch_rtp False"]),
        ("sendDTMF(11); sendDTMF(1, 80); sendDTMFSequence(1*x#D, 90)", ["send_key 11 500", "send_key 1 80", "send_key 1 90", "send_key 10 90",
                                                                     "send_key 11 90", "send_key 15 90"]),
        ("stop(); stop(true); stop(false)", ["stop", "stop bye", "stop"]),
        ("postEvent(me, a;s.;none)", ["post me a=1 s.x=2"]), ("set($l=a); postEvent(me, $l)", ["post me a=1"]),
        ("createSystemDSM(main, t)", ["system_dsm main t"]),
        ("set($b2b_relayed_invite=true); B2B.connectCallee(p, u)", ["b2b connect p u relayed=True"]),
        ("B2B.addHeader(\"X: y\"); B2B.removeHeader(X); B2B.clearHeaders()", ["b2b set_headers X: y\r\n append=True", "b2b remove_header X",
                                                                          "b2b set_headers "]),
        ("B2B.setHeaders(\"A: b\"); B2B.setHeaders(\"A: b\\r\\nC: d\", true)", ["b2b set_headers A: b\r\n",
                                                                                  "b2b set_headers A: b\r\nC: d\r\n append=True"]),
        ("B2B.sendReinvite(true, \"X: y\"); B2B.enableEarlyMediaRelay(true)", ["b2b reinvite True ('X: y',)", "b2b relay_early_media True"]),
        ("B2B.setRelayOnly(false); B2B.relayEvent(a); B2B.terminateOtherLeg()", ["b2b set_relay_only False", "b2b relay_event {'a': '1'}",
                                                                                "b2b terminate"]),
    ],
)  # fmt: skip
def test_what_is_asked_of_the_call(body: str, done: list[str]) -> None:
    session = SimulatedSession()
    session.sessions.add("me")
    scene = run(body, session, **{"a": "1", "s.x": "2"})
    assert [line.removesuffix(" ") for line in session.done] == [line.removesuffix(" ") for line in done]
    assert "thrown" not in scene.vars


@pytest.mark.parametrize(
    ("raw", "args"),
    [
        ("f, g", []), ('f, "g", "a b", $v, 7', ["a b", "V", "7"]), ("f,g,(int)$n,(int)", [42, 0]), ("f,g,(struct)s", [{"a": "1", "b": {"c": "2"}}]),
        ("f,g,(array)r", [["x", "y"]]), ('f,g,(json)$j', [{"k": [1, None, True, 1.5]}]), ("f,g,(json)nonsense", [None]),
        ('f,g,"a,b"', ["a", "b"]), ('f,g,,""', [""]), ("f,g,#p", ["P"]),
    ],
)  # fmt: skip
def test_di_arguments(raw: str, args: list[object]) -> None:
    got: list[object] = []
    session = SimulatedSession()
    session.functions["f", "g"] = lambda *given: got.extend(given) or 0
    variables = {"v": "V", "n": "42", "s.a": "1", "s.b.c": "2", "r[0]": "x", "r[1]": "y", "j": '{"k": [1, null, true, 1.5]}'}
    scene = run(f"DI({raw})", session, **variables)
    assert got == args and scene.vars["errno"] == ""


@pytest.mark.parametrize(
    ("name", "answer", "variables"),
    [
        ("DIgetResult", "x", {"DI_res": "x", "errno": ""}), ("DIgetResult", 7, {"DI_res": "7", "errno": ""}),
        ("DIgetResult", [200, "OK"], {"DI_res0": "200", "DI_res1": "OK", "errno": ""}), ("DIgetResult", 1.5, {"errno": ""}),
        ("DIgetResultArray", ["a", [1], "b"], {"DI_res[0]": "a", "DI_res[2]": "b", "DI_res_size": "3", "errno": "arg"}),
        ("DI", "x", {"errno": ""}), ("DIgetResult", {"a": 1}, {"errno": ""}), ("DIgetResult", True, {"errno": ""}),
    ],
)  # fmt: skip
def test_di_results(name: str, answer: object, variables: dict[str, str]) -> None:
    session = SimulatedSession()
    session.functions["f", "g"] = lambda: answer
    scene = run(f"{name}(f,g)", session)
    assert {key: value for key, value in scene.vars.items() if key != "strerror"} == variables


async def test_di_that_waits_or_fails() -> None:
    async def slow() -> object:
        return ["done"]

    async def failing() -> object:
        raise OutOfBounds("missing")

    session = SimulatedSession()
    session.functions["f", "slow"], session.functions["f", "failing"] = slow, failing
    session.functions["f", "now"] = lambda: {}["nothing"]
    machine = Machine(
        {"t": load("initial state A enter { DIgetResult(f,slow); DI(f,failing); set($e1=$errno); DI(f,now); set($e2=$errno) };")},
        session,
    )
    waiting: Awaitable[Any] | None = deliver(machine.start("t", Kind.START))
    assert waiting is not None
    await waiting
    assert (machine.vars["DI_res0"], machine.vars["e1"], machine.vars["e2"]) == ("done", "arg", "arg")


def test_logging(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "di.dsm.script")
    run(
        'log(0, $v); logs(1, "v=$v"); info("i $(v2)"); dbg(d); warn(w); error("two\nlines"); logParams(3); logAll(2)',
        v="V",
        v2="V2",
    )
    assert [(record.levelname, record.getMessage().partition(": ")[2]) for record in caplog.records][:8] == [
        ("ERROR", "$v = V"), ("WARNING", "v=V"), ("INFO", "i V2"), ("DEBUG", "d"), ("WARNING", "w"), ("ERROR", "two\\nlines"),
        ("DEBUG", "#n = 3"), ("DEBUG", "#p = P"),
    ]  # fmt: skip


def test_a_system_dsm_has_no_media() -> None:
    class System(SimulatedSession):
        media = Unsupported("a system DSM")  # type: ignore[assignment]

    assert run("playFile(a.wav)", System()).vars["thrown"] == "core"
    assert "not implemented" in run("mute()", System()).vars["why"]


def test_objects_are_kept_by_name() -> None:
    scene = Scene("initial state A; transition e A - event / { trackObject(o); releaseObject(o); freeObject(o) } -> A;")
    scene.machine.avars["o"] = "anything"
    run_now(scene.machine.run(Event(Kind.EVENT, {})))
    assert "o" not in scene.machine.avars and "errno" not in scene.vars
