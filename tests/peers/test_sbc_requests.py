# SPDX-License-Identifier: GPL-2.0-or-later
"""The sbc beside calls: requests outside calls that go on, strangers, and what is done to profiles while it runs."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clients.cli.sems_sbc import main as sems_sbc
from tests.support.border import MAPPING, PLUGINS, border_files
from tests.support.server import ROOT, Server, wait_until
from tests.support.sip_peer import UdpPeer, description
from tests.support.sipp import Sipp, run_sipp

pytestmark = pytest.mark.peers

PROFILES = {
    "plain": "RURI=$H(X-To)\n",
    "refuse": 'refuse_with="404 Nobody Here"\n',
    "onward": "",
    "hop": 'next_hop="$H(X-Hop)"\nFrom=<sip:relay@firm.example>\n',
}
FILES = border_files(PROFILES, "strangers=refuse\nenable_session_timer=yes\nsession_expires=130\n", "$(paramhdr),plain")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    files = FILES | {"cdr.conf": f"spool={folder}/cdr.db\nsinks=jsonl\njsonl_path={folder}/cdr.jsonl\n"}
    settings = "trusted_peers=127.0.0.1/32\nlog_sessions=yes"
    with Server(folder, files, settings, PLUGINS.replace("monitoring;", "monitoring;cdr;")) as running:
        yield running
    assert "Traceback" not in running.log, running.log


def towards(far: UdpPeer, profile: str = "plain") -> str:
    """Headers of a request that is to reach a phone."""
    return f"P-App-Param: profile={profile}\r\nX-To: sip:far@127.0.0.1:{far.port}\r\n"


# -------------------------------------------------------------------------------------------------------------- what goes on
@pytest.mark.parametrize("method", ["MESSAGE", "PUBLISH", "INFO", "NOTIFY", "OPTIONS"])
async def test_a_request_outside_calls_goes_on(phone: UdpPeer, far: UdpPeer, method: str) -> None:
    more = "Event: presence\r\nSubscription-State: active\r\nX-Mood: good\r\n"
    sent = asyncio.ensure_future(phone.exchange(method, body="hello", headers=towards(far) + more))
    came = await far.take_outside()
    message = came.request_message
    assert (message.method, message.request_uri, message.body) == (method, f"sip:far@127.0.0.1:{far.port}", b"hello")
    assert (message.header("X-Mood"), message.header("Event")) == ("good", "presence")
    assert message.header("Max-Forwards") == "69" and message.header("From").startswith("<sip:peer@127.0.0.1>;tag=")
    came.answer(202, "X-Read: yes\r\nSIP-ETag: 42\r\n")
    reply = await sent
    assert (reply.code, reply.header("X-Read"), reply.header("SIP-ETag")) == (202, "yes", "42")


async def test_a_registration_goes_on_with_its_challenge(phone: UdpPeer, far: UdpPeer) -> None:
    own = "Contact: <sip:anna@192.0.2.1:5080>;expires=60\r\nExpires: 120\r\n"
    sent = asyncio.ensure_future(phone.exchange("REGISTER", headers=towards(far) + own))
    came = await far.take_outside()
    assert ("Contact", "<sip:anna@192.0.2.1:5080>;expires=60") in came.request_message.headers
    assert came.request_message.header("Expires") == "120"
    came.answer(401)
    challenge = (await sent).header("WWW-Authenticate")
    assert 'realm="peer"' in challenge
    own += 'Authorization: Digest username="anna", realm="peer"\r\n'
    sent = asyncio.ensure_future(phone.exchange("REGISTER", headers=towards(far) + own))
    came = await far.take_outside()
    assert came.request_message.header("Authorization") == 'Digest username="anna", realm="peer"'
    came.answer(200, "Contact: <sip:anna@192.0.2.1:5080>;expires=55\r\n")
    reply = await sent
    assert reply.code == 200 and ("Contact", "<sip:anna@192.0.2.1:5080>;expires=55") in reply.headers


async def test_the_next_hop_of_a_request(phone: UdpPeer, far: UdpPeer) -> None:
    sent = asyncio.ensure_future(
        phone.exchange("MESSAGE", headers=f"P-App-Param: profile=hop\r\nX-Hop: 127.0.0.1:{far.port}\r\n")
    )
    came = await far.take_outside()
    assert came.request_message.header("From").startswith("<sip:relay@firm.example>;tag=")
    assert came.request_message.request_uri.startswith("sip:test@127.0.0.1")
    came.answer(200)
    assert (await sent).code == 200


async def test_who_asks_whether_we_are_there_is_answered_here(server: Server, phone: UdpPeer) -> None:
    call = phone.call()
    call.remote = f"<sip:127.0.0.1:{server.sip_port}>"
    call.target = f"sip:127.0.0.1:{server.sip_port}"
    reply = await call.exchange("OPTIONS", headers="P-App-Param: profile=onward\r\n")
    assert reply.code == 200 and "INVITE" in reply.header("Allow")


@pytest.mark.parametrize(("profile", "code", "reason"), [("refuse", 404, "Nobody Here"), ("gone", 500, "Server Internal Error")])
async def test_what_does_not_go_on(phone: UdpPeer, far: UdpPeer, profile: str, code: int, reason: str) -> None:
    reply = await phone.exchange("MESSAGE", headers=towards(far, profile))
    assert (reply.code, reply.reason) == (code, reason)


async def test_the_last_hop_of_a_request(phone: UdpPeer, far: UdpPeer) -> None:
    call = phone.call()
    call.max_forwards = 0
    assert (await call.exchange("MESSAGE", headers=towards(far))).code == 483


async def test_a_stranger_reaches_nobody(server: Server) -> None:
    stranger = await UdpPeer.open(server.sip_port, ip="127.0.0.2")
    try:
        assert (await stranger.exchange("MESSAGE", headers=towards(stranger))).code == 403
        call = stranger.invite("someone", headers=towards(stranger))
        refused = await call.next(*range(200, 700))
        assert refused.code == 403
        call.send_request("ACK", cseq=call.cseq, branch=call.branch)
    finally:
        stranger.close()
    await asyncio.to_thread(wait_until, lambda: "127.0.0.2 wants to reach" in server.log, "a line in the log")


# ---------------------------------------------------------------------------------------------------------- session timers
def records(folder: Path, *call_ids: str) -> list[tuple[str, str]]:
    """Leg and profile of the records of calls, once all are written."""
    file = folder / "cdr.jsonl"
    found = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    legs = [(one["leg"], one["profile"]) for one in found if one["call_id"] in call_ids]
    return legs if len(legs) == len(call_ids) else []


async def test_both_legs_have_the_interval_of_the_module(phone: UdpPeer, far: UdpPeer, folder: Path) -> None:
    call = phone.invite("someone", headers=towards(far))
    other = await far.take_invite()
    assert other.invite_message is not None
    assert other.invite_message.header("Session-Expires").partition(";")[0] == "130"
    other.reply(other.invite_message, 200, description(40000), "Require: timer\r\nSession-Expires: 130;refresher=uac\r\n")
    await other.next("ACK")
    answer = await call.next(200)
    assert answer.header("Session-Expires") == "130;refresher=uas", "the caller knows of no timers, so we refresh"
    call.ack()
    bye = asyncio.ensure_future(call.bye())
    await other.taken_off()
    assert await bye == 200
    both = (call.call_id, other.call_id)
    legs = await asyncio.to_thread(wait_until, lambda: records(folder, *both), "a record of each leg")
    assert sorted(legs) == [("a", "plain"), ("b", "plain")]
    small = phone.invite("someone", headers=towards(far) + "Session-Expires: 60\r\nSupported: timer\r\n")
    refusal = await small.next(*range(200, 700))
    assert (refusal.code, refusal.header("Min-SE")) == (422, "90")


# ------------------------------------------------------------------------------------------------------------ DI functions
def ask(server: Server, function: str, *arguments: object) -> Any:
    return server.json(f"sbc.{function}", *arguments)


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def path_of(server: Server, name: str) -> Path:
    return server.etc / f"{name}.sbcprofile.conf"


def shown(server: Server, name: str, text: str) -> dict[str, str]:
    return {"name": name, "md5": md5(text), "path": str(path_of(server, name))}


def test_profiles_are_listed(server: Server) -> None:
    assert ask(server, "listProfiles") == [shown(server, name, text) for name, text in PROFILES.items()]


async def test_a_profile_is_read_again(server: Server, phone: UdpPeer, far: UdpPeer) -> None:
    path_of(server, "refuse").write_text('refuse_with="410 Gone Away"\n')
    try:
        answer = await asyncio.to_thread(ask, server, "reloadProfile", {"name": "refuse"})
        assert answer == [200, "OK", shown(server, "refuse", 'refuse_with="410 Gone Away"\n')]
        assert (await phone.exchange("MESSAGE", headers=towards(far, "refuse"))).reason == "Gone Away"
    finally:
        path_of(server, "refuse").write_text(PROFILES["refuse"])
    answer = await asyncio.to_thread(ask, server, "reloadProfiles")
    assert answer == [200, "OK", [shown(server, name, text) for name, text in PROFILES.items()]], "md5 of what is read now"
    assert (await phone.exchange("MESSAGE", headers=towards(far, "refuse"))).reason == "Nobody Here"


def test_a_profile_that_cannot_be_read_changes_nothing(server: Server) -> None:
    path_of(server, "refuse").write_text("refuse_with=nonsense\n")
    before = [shown(server, name, text) for name, text in PROFILES.items()]
    try:
        text = f"Error reading call profile for refuse from {path_of(server, 'refuse')}"
        assert ask(server, "reloadProfile", {"name": "refuse"}) == [500, text]
        assert ask(server, "reloadProfiles") == [500, f"{text}; no profiles reloaded", before]
    finally:
        path_of(server, "refuse").write_text(PROFILES["refuse"])
    assert ask(server, "listProfiles") == before
    wait_until(lambda: "refuse_with: 'nonsense' cannot be used" in server.log, "a line in the log")


def test_answers_to_what_is_wrong(server: Server) -> None:
    assert ask(server, "reloadProfile", {"name": "none"}) == [500, "profile 'none' not found"]
    assert ask(server, "reloadProfile", {}) == [400, "Parameters error: expected ['name': profile_name] "]
    wrong = "Parameters error: expected ['name': profile_name] and ['path': profile_path]"
    assert ask(server, "loadProfile", {"name": "x"}) == [400, wrong]
    assert ask(server, "loadProfile", {"name": "x", "path": "/nowhere"}) == [
        500,
        "Error reading sbc call profile for x from file /nowhere",
    ]
    assert ask(server, "setActiveProfile", {}) == [400, "Parameters error: expected ['active_profile': <active_profile list>] "]
    assert ask(server, "setRegexMap", {"name": "x"}) == [400, "Parameters error: expected ['name': <name>, 'file': <file name>]"]
    assert ask(server, "setRegexMap", {"name": "x", "file": "/nowhere"}) == [401, "Error reading regex mapping from file"]
    assert ask(server, "postControlCmd", "nobody", "teardown") == [404, "Not found"]
    assert ask(server, "loadCallcontrolModules", "cc_nothing.so") == [500, "Failed - please see server logs\n"]
    assert ask(server, "loadCallcontrolModules", "cc_pcalls.so;cc_ctl") == [200, "OK"]


async def test_profiles_come_and_are_chosen_while_it_runs(server: Server, phone: UdpPeer, far: UdpPeer, tmp_path: Path) -> None:
    (tmp_path / "map.conf").write_text("^one$=>two\n")
    file = tmp_path / "new.conf"
    file.write_text('refuse_with="480 $M($H(X-Word)=>words)"\n')
    run = asyncio.to_thread
    assert await run(ask, server, "getRegexMapNames") == [200, "OK", None]
    assert await run(ask, server, "setRegexMap", {"name": "words", "file": str(tmp_path / "map.conf")}) == [200, "OK"]
    assert await run(ask, server, "getRegexMapNames") == [200, "OK", {"regex_maps": ["words"]}]
    loaded = await run(ask, server, "loadProfile", {"name": "new", "path": str(file)})
    assert loaded == [200, "OK", {"name": "new", "md5": md5(file.read_text()), "path": str(file)}]
    assert await run(ask, server, "getActiveProfile") == [200, "OK", {"active_profile": ["$(paramhdr)", "plain"]}]
    try:
        assert await run(ask, server, "setActiveProfile", {"active_profile": "new"}) == [200, "OK", {"active_profile": "new"}]
        reply = await phone.exchange("MESSAGE", headers=towards(far) + "X-Word: one\r\n")
        assert (reply.code, reply.reason) == (480, "two")
    finally:
        await run(ask, server, "setActiveProfile", "$(paramhdr),plain")
    assert await run(ask, server, "getActiveProfile") == [200, "OK", {"active_profile": ["$(paramhdr)", "plain"]}]
    assert await run(ask, server, "printCallStats") == {"read": [], "write": []}


async def test_sighup_reads_everything_again(server: Server, phone: UdpPeer, far: UdpPeer) -> None:
    conf, map_file = server.etc / "sbc.conf", server.etc / "numbers.conf"
    path_of(server, "late").write_text('refuse_with="486 $M(one=>numbers)"\n')
    map_file.write_text("^one$=>Number One\n")
    conf.write_text(FILES["sbc.conf"].replace("profiles=", "profiles=late,") + "regex_maps=numbers\n")
    os.kill(server.pid, signal.SIGHUP)

    async def said() -> str:
        return (await phone.exchange("MESSAGE", headers=towards(far, "late"))).reason

    async def until(wanted: str) -> None:
        for _ in range(200):
            if await said() == wanted:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"not {wanted!r}\n{server.log[-2000:]}")

    await until("Number One")
    map_file.write_text("^one$\n")
    path_of(server, "late").write_text('refuse_with="486 Later"\n')
    os.kill(server.pid, signal.SIGHUP)
    await asyncio.to_thread(wait_until, lambda: "numbers.conf:1" in server.log, "what is wrong stands in the log")
    assert await said() == "Number One", "nothing of a configuration that cannot be used"
    map_file.write_text("")
    os.kill(server.pid, signal.SIGHUP)
    await until("Later")


def test_the_samples_start_as_they_are(tmp_path: Path) -> None:
    """etc/sbc.conf and every profile beside it, by the command that tries a configuration out."""
    plugins = "uac_auth;cc_call_timer;cc_pcalls;cc_prepaid;call_control;sbc"
    samples = Server(tmp_path, {"app_mapping.conf": MAPPING}, "", plugins, start=False)
    names = sorted(path.name.removesuffix(".sbcprofile.conf") for path in samples.etc.glob("*.sbcprofile.conf"))
    conf = samples.etc / "sbc.conf"
    assert len(names) >= 11 and set(re.findall(r"^profiles=(.*)$", conf.read_text(), re.M)[0].split(",")) <= set(names)
    for all_of_them in (False, True):
        if all_of_them:
            text = re.sub(r"^profiles=.*$", f"profiles={','.join(names)}", conf.read_text(), flags=re.M)
            conf.write_text(text)
        command = [sys.executable, "-m", "di", "check-config", "-f", str(samples.etc / "sems.conf")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


def test_programs_of_the_shell(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """sems-sbc-…, by their names: what each says, and how it ends."""

    def run(name: str, *words: str) -> tuple[int, str]:
        status = sems_sbc([f"sems-sbc-{name}", *words, "--url", f"http://127.0.0.1:{server.xml_port}"])
        return status, capsys.readouterr().out

    (tmp_path / "map.conf").write_text("^a$=>b\n")
    (tmp_path / "more.conf").write_text('refuse_with="486 Busy"\n')
    status, out = run("list-profiles")
    assert status == 0 and all(f"'name': '{name}'" in out for name in PROFILES)
    for name, *words in (
        ("reload-profiles",), ("reload-profile", "plain"), ("load-profile", "more", str(tmp_path / "more.conf")),
        ("set-regex-map", "ab", str(tmp_path / "map.conf")), ("load-callcontrol-modules", "cc_pcalls"),
    ):  # fmt: skip
        assert run(name, *words)[0] == 0, name
    assert "'ab'" in run("get-regex-map-names")[1]
    assert run("set-activeprofile", "more") == (0, "[200, 'OK', {'active_profile': 'more'}]\n")
    assert run("get-activeprofile") == (0, "[200, 'OK', {'active_profile': ['more']}]\n")
    assert run("set-activeprofile", "$(paramhdr),plain")[0] == 0
    assert run("reload-profile", "none") == (2, "[500, \"profile 'none' not found\"]\n")
    assert run("teardown-call", "nobody") == (2, "[404, 'Not found']\n")
    for name, *words in (("teardown-call",), ("list-profiles", "x"), ("nonsense",), ("load-profile", "one")):
        assert run(name, *words) == (1, "")
    assert sems_sbc(["sems-sbc-list-profiles", "--url", "http://127.0.0.1:9"]) == 1


def test_calls_of_sipp_to_sipp(server: Server, tmp_path: Path) -> None:
    """Callers and called ones of another make, many at once; a callee that is busy, one that wants early media."""
    for callee, scenario, expected in (("uas", "call", 20), ("uas_early", "call", 3)):
        with Sipp(callee, calls=expected) as called:
            profile = tmp_path / f"{callee}.conf"
            profile.write_text(f"next_hop=127.0.0.1:{called.local_port}\n")
            assert ask(server, "loadProfile", {"name": callee, "path": str(profile)})[0] == 200
            ask(server, "setActiveProfile", callee)
            try:
                placed = run_sipp(scenario, server.sip_port, calls=expected, user="you", hold_ms=300, rate=20)
                heard = called.wait()
            finally:
                ask(server, "setActiveProfile", "$(paramhdr),plain")
        assert (placed.successful, placed.failed) == (expected, 0), placed.errors
        assert (heard.successful, heard.failed) == (expected, 0), heard.errors
    wait_until(lambda: server.xml.calls() == 0, "no call is left")
