# SPDX-License-Identifier: GPL-2.0-or-later
"""Python applications of a whole server in real calls: the calling card, the class of 2009, and programs that misbehave."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support import tones
from tests.support.server import ROOT, Server, wait_until
from tests.support.sip_peer import PeerCall
from tests.support.switchboard import Switchboard, Talker

pytestmark = pytest.mark.peers

APPS = ROOT / "tests" / "support" / "python_apps"
PROMPTS_HZ = {"enter_pin": 500.0, "wrong_pin": 700.0, "enter_number": 1000.0, "music": 1700.0}
CONF = "script_path={apps}\naudio_path={prompts}\nrecord_path={recordings}\nsilent_after=2\nkill_after=5\n"


def write_tone(path: Path, hz: float, ms: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((8000 * np.sin(2 * np.pi * hz * np.arange(ms * 8) / 8000)).astype("<i2").tobytes())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("apps")
    shutil.copytree(APPS, folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "prompts").mkdir()
    for name, hz in PROMPTS_HZ.items():
        write_tone(folder / "prompts" / f"{name}.wav", hz, 400 if name != "music" else 5000)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    files = {
        "apps.conf": CONF.format(apps=folder / "scripts", prompts=folder / "prompts", recordings=folder / "recordings"),
        "app_mapping.conf": "^sip:(card|oldstyle|survey)=>\\1\n",
    }
    environment = {"CORDBOARD_TEST_SECRET": "geheim"}
    with Server(folder, files, plugins="monitoring;echo;dsm;apps;xmlrpc2di;web", environment=environment) as running:
        yield running
    of_the_server = [
        line for line in running.log.splitlines() if not any(f" {name}: " in line for name in ("card", "survey", "oldstyle"))
    ]
    assert "Traceback" not in "\n".join(of_the_server)


async def press(call: PeerCall, keys: str) -> None:
    for key in keys:
        assert await call.request("INFO", "application/dtmf-relay", f"Signal={key}\r\nDuration=160\r\n") == 200


async def hears(board: Switchboard, phone: Talker, name: str) -> None:
    """Let the phones talk until this one hears a prompt."""
    for _ in range(60):
        phone.rtp.forget()
        await board.run(160)
        if PROMPTS_HZ[name] in tones.heard(phone.rtp.heard(), list(PROMPTS_HZ.values())):
            return
    raise AssertionError(f"{name} was not heard\n{board.server.log[-3000:]}")


async def up(board: Switchboard, user: str, headers: str = "") -> tuple[Talker, PeerCall]:
    phone = await board.phone()
    call = phone.invite(headers, user=user)
    await phone.answered(call)
    return phone, call


# ------------------------------------------------------------------------------------------------------------- the calling card
async def test_the_calling_card(board: Switchboard, server: Server) -> None:
    callee = await board.phone()
    phone, call = await up(board, "card", f"X-Callee: {callee.sip.port}\r\n")
    await hears(board, phone, "enter_pin")
    await press(call, "99#")
    await hears(board, phone, "wrong_pin")
    await hears(board, phone, "enter_pin")
    await press(call, "1234#")
    await board.logged(call, "account", lambda text: text == "acme")
    await hears(board, phone, "enter_number")
    await press(call, "42#")
    other = await callee.called()
    assert other.invite_message is not None and other.invite_message.start_line.startswith("INVITE sip:42@127.0.0.1:")
    assert ("X-Tenant", "acme") in other.invite_message.headers
    await hears(board, phone, "music")
    await callee.accept(other)
    await board.logged(call, "connected")
    await board.hear({phone: {callee}, callee: {phone}})
    # keys by INFO go to both; the other is hung up before it has answered
    assert await call.request("INFO", "application/dtmf-relay", "Signal=*\r\nDuration=160\r\n") == 481
    await other.taken_off()
    await hears(board, phone, "enter_number")
    await press(call, "43#")
    busy = await callee.called()
    await busy.refuse(486)
    await board.logged(call, "failed", lambda text: text == "486")
    await hears(board, phone, "wrong_pin")
    assert await call.bye() == 200
    await asyncio.to_thread(wait_until, lambda: server.json("apps.calls", "card") == [], "the program has let it go")


async def test_events_of_others_steer_it_into_a_room(board: Switchboard, server: Server) -> None:
    phone, call = await up(board, "card-room")
    await board.logged(call, "conf_id", lambda text: text == "lobby")
    (id,) = server.xml.listByFilter(["callid", call.call_id])
    assert server.json("core.post_event", id, {"action": "take", "roomname": "wonderland"}) == [200, "OK"]
    await board.logged(call, "position", lambda text: text == "wonderland")
    assert server.xml.listByFilter(["conf_id", "wonderland"]) == [id]
    assert server.json("rooms.kick", id)[0] == 200
    await hears(board, phone, "wrong_pin")
    await call.next("BYE")


async def test_a_recording_is_what_was_said(board: Switchboard, folder: Path) -> None:
    phone, call = await up(board, "card-record")
    await board.run(1500)
    await press(call, "1")
    await board.logged(call, "why", lambda text: text == "asked")
    with wave.open(str(folder / "recordings" / "card" / "said.wav")) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert tones.heard(sound, [phone.hz, 1000.0]) == {phone.hz}
    await call.next("BYE", patience_s=60)


async def test_it_reaches_no_file_but_its_own_and_none_of_the_servers_secrets(board: Switchboard) -> None:
    _, call = await up(board, "card-escape")
    assert await board.logged(call, "refused") == " ".join(["400"] * 6)
    assert await board.logged(call, "secret") == "none"
    assert await call.bye() == 200


async def test_it_may_refuse_and_it_may_ask_other_modules(board: Switchboard) -> None:
    phone = await board.phone()
    refused = phone.invite(user="card-busy")
    reply = await phone.answered(refused, 486)
    assert ("X-Why", "test") in reply.headers
    await board.all_gone()  # before the calls that are up are counted
    _, call = await up(board, "card-di")
    assert "'calls': 1" in await board.logged(call, "calls_up")
    assert await call.bye() == 200


# ------------------------------------------------------------------------------------------------------------- the class of 2009
async def test_the_presentations_callbacks(board: Switchboard) -> None:
    callee = await board.phone()
    phone, call = await up(board, "oldstyle", f"X-Callee: {callee.sip.port}\r\n")
    await board.logged(call, "heard", lambda text: f"start invite-{callee.sip.port} session timer1" in text)
    await press(call, "1")
    await hears(board, phone, "wrong_pin")
    await board.logged(call, "heard", lambda text: "key1 empty" in text)
    assert await call.request("MESSAGE", body="hello") == 299
    assert await call.request("OPTIONS") in (200, 501)
    await press(call, "3")
    await press(call, "2")
    other = await callee.called()
    other.ring()
    await callee.accept(other)
    heard = await board.logged(call, "heard", lambda text: "other200" in text)
    assert heard.index("key3") < heard.index("woke") < heard.index("key2") < heard.index("other180") < heard.index("other200")
    await board.hear({phone: {callee}, callee: {phone}})
    assert await other.bye() == 200
    await call.next("BYE")  # by onOtherBye


# ----------------------------------------------------------------------------------------------------------- a script of SEMS's
async def test_a_script_for_sems_runs_unchanged(board: Switchboard, folder: Path) -> None:
    callee = await board.phone()
    phone, call = await up(board, "survey", f"X-Callee: {callee.sip.port}\r\nP-App-Param: uid=42\r\n")

    async def heard(*words: str) -> str:
        return await board.logged(call, "heard", lambda text: all(word in text.split() for word in words))

    await hears(board, phone, "enter_pin")
    assert (await heard("session", "empty")).startswith(f"invite:{callee.sip.port}:42:survey session empty")
    await press(call, "1")
    await hears(board, phone, "wrong_pin")
    await press(call, "2")
    await board.run(1200)
    await press(call, "8")
    assert (await heard("timer3", "notimer0")).count("timer") == 2
    await press(call, "7")
    await heard("message-hello")
    await press(call, "6")
    await call.answer_request("OPTIONS", 200)
    await heard("reply-OPTIONS-200")
    assert await call.request("MESSAGE", body="hello") == 202
    await heard("MESSAGE-hello")
    await press(call, "45")
    await hears(board, phone, "music")
    await hears(board, phone, "enter_number")
    await press(call, "*")
    await heard("flushed")
    await press(call, "3")
    other = await callee.called()
    await callee.accept(other)
    await heard("other200")
    await board.hear({phone: {callee}, callee: {phone}})
    assert await other.bye() == 200
    await heard("otherbye")
    await press(call, "9")
    await call.next("BYE")
    with wave.open(str(folder / "recordings" / "survey" / "survey.wav")) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert 560 <= len(sound) / 8 <= 640 and tones.heard(sound, [phone.hz, 1000.0]) == {phone.hz}


async def test_a_scripts_semserror_refuses_the_call(board: Switchboard) -> None:
    phone = await board.phone()
    reply = await phone.answered(phone.invite("X-Refuse: 1\r\n", user="survey"), 488)
    assert "Not Today" in reply.start_line


# ------------------------------------------------------------------------------------------------------------------ functions
def test_functions_of_a_program_stand_among_all_others(server: Server) -> None:
    assert server.json("card.add_pin", "5678", "globex") == "globex"
    assert server.json("card.add_pin", "5679") == "new"
    workers = server.json("apps.workers", "card")
    assert server.json("card.pid") == workers[0]["pid"]
    names = [method["name"] for method in server.json("rpc.discover")["methods"]]
    assert {"card.add_pin", "card.pid", "apps.list"} <= set(names)
    for wrong in (("card.add_pin",), ("card.nothing", 1)):
        with pytest.raises(AssertionError):
            server.json(*wrong)


# ---------------------------------------------------------------------------------------------------------------- misbehaviour
async def test_a_fault_costs_its_own_call(board: Switchboard, server: Server) -> None:
    (_, waiting), (_, raising) = await up(board, "card-wait"), await up(board, "card-raise")
    await raising.next("BYE")
    await asyncio.to_thread(wait_until, lambda: "a mistake in line 7" in server.log, "the line")
    assert await waiting.request("OPTIONS") in (200, 501)
    assert await waiting.bye() == 200


async def test_a_program_that_ends_costs_the_calls_of_its_process_and_is_started_again(
    board: Switchboard, server: Server
) -> None:
    (_, old), (_, waiting) = await up(board, "oldstyle"), await up(board, "card-wait")
    _, exiting = await up(board, "card-exit")
    await exiting.next("BYE")
    await waiting.next("BYE")
    await asyncio.to_thread(wait_until, lambda: "ended with status 3; 2 calls had their program there" in server.log, "the line")
    await asyncio.to_thread(
        wait_until, lambda: any(one["ready"] for one in server.json("apps.workers", "card")), "it is there again"
    )
    _, again = await up(board, "card-wait")
    assert await again.bye() == 200
    assert await old.bye() == 200


async def test_a_program_that_blocks_is_shown_and_killed_while_others_go_on(board: Switchboard, server: Server) -> None:
    (_, old), (_, blocked) = await up(board, "oldstyle"), await up(board, "card-block")
    await asyncio.to_thread(wait_until, lambda: "new calls go elsewhere" in server.log, "it is missed")
    phone = await board.phone()
    await phone.answered(phone.invite(user="card-wait"), 503)
    await asyncio.to_thread(wait_until, lambda: "in do_block" in server.log, "its stacks")
    await press(old, "3")
    await blocked.next("BYE")
    await asyncio.to_thread(
        wait_until, lambda: any(one["ready"] for one in server.json("apps.workers", "card")), "it is there again"
    )
    assert await old.bye() == 200


async def test_killed_by_the_system(board: Switchboard, server: Server) -> None:
    _, waiting = await up(board, "card-wait")
    (ready,) = (one for one in server.json("apps.workers", "card") if one["ready"])
    os.kill(ready["pid"], signal.SIGKILL)
    await waiting.next("BYE")
    await asyncio.to_thread(
        wait_until, lambda: any(one["ready"] for one in server.json("apps.workers", "card")), "it is there again"
    )


async def test_a_new_generation_takes_new_calls_and_one_that_fails_none(board: Switchboard, server: Server, folder: Path) -> None:
    script = folder / "scripts" / "card.py"
    good = script.read_text()
    _, first = await up(board, "card-wait")
    await board.logged(first, "card_version", lambda text: text == "one")
    script.write_text(good + "\nraise RuntimeError('not ready')\n")
    code, why = server.json("apps.reload", "card")
    assert code == 500 and "not ready" in why
    _, still = await up(board, "card-wait")
    await board.logged(still, "card_version", lambda text: text == "one")
    script.write_text(good.replace('VERSION = "one"', 'VERSION = "two"'))
    assert server.json("apps.reload", "card") == [200, "OK"]
    _, second = await up(board, "card-wait")
    await board.logged(second, "card_version", lambda text: text == "two")
    assert await first.request("OPTIONS") in (200, 501), "the old one goes on"
    for call in (first, still, second):
        assert await call.bye() == 200
    await asyncio.to_thread(wait_until, lambda: len(server.json("apps.workers", "card")) == 1, "the old generation has ended")
    script.write_text(good)


def test_an_unknown_application_is_named(server: Server) -> None:
    with pytest.raises((AssertionError, urllib.error.HTTPError), match="out of bounds"):
        server.json("apps.reload", "nobody")


async def test_the_plugin_under_its_old_name_leaves_out_what_cannot_be_imported(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(APPS / "survey.py", tmp_path / "scripts")
    (tmp_path / "scripts" / "broken.py").write_text("import nothing_of_that_name\n")
    files = {
        "ivr.conf": f"script_path={tmp_path}/scripts\n",
        "survey.conf": "greeting=none.wav\n",
        "app_mapping.conf": "^sip:survey=>survey\n",
    }
    with Server(tmp_path, files, plugins="monitoring;ivr;xmlrpc2di;web") as server:
        assert [one["name"] for one in server.json("ivr.list")] == ["survey"]
        assert (
            "broken.py cannot be run and is left out: ModuleNotFoundError: No module named 'nothing_of_that_name'" in server.log
        )
        board = Switchboard(server)
        _, call = await up(board, "survey")
        await board.logged(call, "heard", lambda text: "session" in text)
        assert await call.bye() == 200
        board.close()


@pytest.mark.parametrize(("text", "right"), [("app = 1\n", ""), ("def broken(:\n", "card.py cannot be run")])
def test_check_config_runs_nothing_and_finds_what_is_no_python(tmp_path: Path, text: str, right: str) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "card.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n{text}")
    server = Server(tmp_path, {"apps.conf": f"script_path={tmp_path}/scripts\n"}, plugins="monitoring;echo;apps", start=False)
    command = [sys.executable, "-m", "di", "check-config", "-f", str(server.etc / "sems.conf")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    said = done.stdout + done.stderr
    assert (right in said and done.returncode != 0) if right else "card.py" not in said, said
    assert not (tmp_path / "ran").exists()
