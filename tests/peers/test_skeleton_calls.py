# SPDX-License-Identifier: GPL-2.0-or-later
"""The walking skeleton: real calls by sipp, real RTP, heard, seen and steered through both gateways."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import tones
from tests.support.ports import free_ports
from tests.support.rtp_peer import Peer, PeerGroup
from tests.support.server import Server, wait_until
from tests.support.sipp import Sipp, find_sipp, run_sipp

pytestmark = pytest.mark.peers

ANNOUNCE_HZ = [440.0, 660.0, 880.0]
ELSE_HZ = [520.0, 1000.0, 1200.0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    find_sipp()
    mapping = "^sip:announce=>announcement\n^sip:room=>webconference\n^sip:echo=>echo\n^sip:gone=>nothing-of-that-name\n"
    with Server(tmp_path_factory.mktemp("server"), {"app_mapping.conf": mapping}) as running:
        yield running


@pytest.fixture(params=["xml", "json"])
def call(request: pytest.FixtureRequest, server: Server) -> Callable[..., Any]:
    """`call(module, function, *args)` through one of the gateways."""
    if request.param == "xml":
        return server.xml.di  # type: ignore[no-any-return]
    return lambda module, function, *args: server.json(f"{module}.{function}", *args)


def on_ports(count: int, group: PeerGroup) -> int:
    """Peers on consecutive even ports, as sipp hands them out; returns the first port."""
    base = free_ports(2 * count)
    for number in range(count):
        peer = group.peer()
        peer.socket.close()
        peer.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.socket.bind(("127.0.0.1", base + 2 * number))
        peer.socket.setblocking(False)
    return base


def find_remote(group: PeerGroup) -> None:
    """Let each peer answer to where the server's RTP comes from."""
    for _ in range(100):
        group.run_ms(100)
        for peer in group.peers:
            if peer.packets:
                peer.remote = peer.packets[0].source
        if all(peer.remote for peer in group.peers):
            return
    raise AssertionError(f"{sum(not peer.remote for peer in group.peers)} peers hear nothing")


def assert_gapless(peer: Peer, at_least: int) -> None:
    """50 packets for each second of RTP time: every timestamp 160 after the one before."""
    stamps = [packet.ts for packet in peer.packets]
    assert len(stamps) >= at_least
    steps = {(b - a) & 0xFFFFFFFF for a, b in itertools.pairwise(stamps)}
    assert steps == {160}


def test_twenty_calls_hear_the_announcement(server: Server) -> None:
    before = set(server.xml.di("monitoring", "list"))
    with PeerGroup() as group, contextlib.ExitStack() as stack:
        base = on_ports(20, group)
        sipp = Sipp("call", server.sip_port, calls=20, user="announce", hold_ms=None, media_port_base=base, rate=20)
        stack.enter_context(sipp)
        find_remote(group)
        wait_until(lambda: sipp.answered == 20, "the last caller has its answer")
        assert server.xml.calls() == 20
        assert server.json("core.calls") == [20]
        for peer in group.peers:
            peer.samples = tones.tone(300, 1000)
        group.run_ms(2000)
        for peer in group.peers:
            assert_gapless(peer, 80)
            assert tones.heard(peer.heard(), ANNOUNCE_HZ + ELSE_HZ) == set(ANNOUNCE_HZ)
        new = set(server.xml.di("monitoring", "listActive")) - before
        assert len(new) == 20
        one = server.xml.di("monitoring", "get", next(iter(new)))[0]
        assert one["app"] == "announcement"
        assert one["dir"] == "in"
        assert one["ruri"].startswith("sip:announce@")
        assert "caller" in one["from"]
        assert one["to"].startswith("<sip:announce@")
        assert server.xml.di("monitoring", "listByFilter", ["callid", one["callid"]]) == [
            id for id in new if server.xml.di("monitoring", "get", id)[0]["callid"] == one["callid"]
        ]
        sipp.hang_up()
        ended = sipp.wait()
    assert (ended.successful, ended.failed) == (20, 0), ended.errors
    wait_until(lambda: server.xml.calls() == 0, "calls() is 0")
    assert new <= set(server.xml.di("monitoring", "listFinished"))
    assert not new & set(server.xml.di("monitoring", "listActive"))


def test_rooms_who_hears_whom_and_kickout(server: Server, call: Callable[..., Any]) -> None:
    room1, room2 = f"room1-{id(call)}", f"room2-{id(call)}"
    heard_hz = [500.0, 700.0, 900.0]
    with PeerGroup() as group, contextlib.ExitStack() as stack:
        peers = [group.peer(tone_hz=hz) for hz in heard_hz]
        plan = (("called_off", room1), ("call", room1), ("call", room2))
        sipps = [
            stack.enter_context(Sipp(name, server.sip_port, user=room, hold_ms=None, media_port_base=peer.port))
            for (name, room), peer in zip(plan, peers, strict=True)
        ]
        find_remote(group)
        group.hear(dict(zip(peers, [{700.0}, {500.0}, set()], strict=True)), heard_hz, 1000)

        members = call("monitoring", "listByFilter", ["conf_id", room1])
        assert len(members) == 2
        code, text, participants, info = call("webconference", "roomInfo", room1, "4711")
        assert (code, text) == (0, "OK")
        assert info.startswith("Server: cordboard calls: 3 active/")
        assert {p[0] for p in participants} == set(members)
        assert all(p[2] == 3 and p[3] == "direct access: entered" and p[4] == 0 for p in participants)
        tag = next(p[0] for p in participants if f":{sipps[0].local_port}>" in p[1])
        other = next(p[0] for p in participants if p[0] != tag)

        assert call("webconference", "kickout", room1, "wrong", tag)[:2] == [1, "wrong adminpin or inexisting room"]
        assert call("webconference", "kickout", room1, "4711", "nobody")[:2] == [2, "call does not exist"]
        assert call("webconference", "mute", room1, "4711", tag)[:2] == [0, "OK"]
        group.hear(dict(zip(peers, [{700.0}, set(), set()], strict=True)), heard_hz, 1000)
        assert call("webconference", "unmute", room1, "4711", tag)[:2] == [0, "OK"]
        assert call("webconference", "kickout", room1, "4711", tag)[:2] == [0, "OK"]
        kicked = sipps[0].wait()
        assert (kicked.successful, kicked.failed) == (1, 0), kicked.errors
        wait_until(lambda: call("monitoring", "listFinished") and tag in call("monitoring", "listFinished"), "record finished")
        assert other in call("monitoring", "listActive")
        for sipp in sipps[1:]:
            sipp.hang_up()
            assert sipp.wait().successful == 1
    wait_until(lambda: server.xml.calls() == 0, "calls() is 0")


def test_curl_spelling_of_the_same_calls(server: Server) -> None:
    assert server.json("core.calls") == [0]
    assert server.json("webconference.roomCreate", f"made{os.getpid()}")[:2] == [0, "OK"]
    assert server.xml.roomCreate(f"made{os.getpid()}")[:3] == [1, "room already opened", ""]
    assert server.xml.listByFilter(["conf_id", "nowhere"]) == []


def test_delayed_offer(server: Server) -> None:
    result = run_sipp("delayed_offer", server.sip_port, user="announce", hold_ms=300)
    assert (result.successful, result.failed) == (1, 0), result.errors


def test_unknown_codec_is_488(server: Server) -> None:
    result = run_sipp("unknown_codec", server.sip_port, user="announce")
    assert (result.successful, result.failed) == (1, 0), result.errors


@pytest.mark.parametrize(("user", "line"), [("nobody", "no application is mapped to it"), ("gone", "no application 'nothing-")])
def test_unknown_application_is_404(server: Server, user: str, line: str) -> None:
    result = run_sipp("refused", server.sip_port, user=user, replace={"CODE": "404"})
    assert (result.successful, result.failed) == (1, 0), result.errors
    wait_until(lambda: f"sip:{user}@" in server.log and line in server.log, "a line in the log")


def test_the_users_of_the_sample_configuration(tmp_path: Path) -> None:
    wanted = {
        "announce": "announcement",
        "conference7": "webconference",
        "room7": "webconference",
        "echo": "echo",
        "you": "lobby",
    }
    with Server(tmp_path) as own, contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Sipp("call", own.sip_port, user=user, hold_ms=None)) for user in wanted]
        wait_until(lambda: own.xml.calls() == len(wanted), "a call each")
        found = {r["ruri"]: r["app"] for r in (own.xml.get(id)[0] for id in own.xml.listActive())}
        assert found == {f"sip:{user}@127.0.0.1:{own.sip_port}": app for user, app in wanted.items()}
        for sipp in peers:
            wait_until(lambda sipp=sipp: sipp.answered, "the caller has its answer, too")
            sipp.hang_up()
            assert sipp.wait().successful == 1


def test_missing_wav(tmp_path: Path) -> None:
    with Server(tmp_path) as own:
        (own.etc / "prompts" / "announce.wav").unlink()
        (own.etc / "prompts" / "default.wav").unlink()
        result = run_sipp("refused", own.sip_port, user="announce", replace={"CODE": "404"})
        assert result.successful == 1, result.errors
        wait_until(lambda: "announce.wav" in own.log and "announcement: no file for 'announce'" in own.log, "a line in the log")


def test_broken_wav_ends_the_call_and_says_why(tmp_path: Path) -> None:
    with Server(tmp_path) as own:
        (own.etc / "prompts" / "announce.wav").unlink()
        (own.etc / "prompts" / "announce.wav").write_bytes(b"RIFF this is no wav file")
        result = run_sipp("called_off", own.sip_port, user="announce")
        assert result.successful == 1, result.errors
        wait_until(lambda: "announce.wav cannot be played" in own.log, "a line in the log")


def test_garbage_on_the_rtp_port_is_dropped_and_counted(server: Server) -> None:
    with PeerGroup() as group, contextlib.ExitStack() as stack:
        peer = group.peer(tone_hz=500)
        sipp = stack.enter_context(Sipp("call", server.sip_port, user="echo", hold_ms=None, media_port_base=peer.port))
        find_remote(group)
        group.run_ms(500)
        for datagram in (b"", b"\0", b"\xff" * 3, b"\x80", os.urandom(200), b"\x80\x00" + b"\0" * 1400):
            peer.send_raw(datagram)
        group.hear({peer: {500.0}}, [500.0, 700.0], 1000)
        sipp.hang_up()
        assert sipp.wait().successful == 1


@pytest.mark.parametrize("role", ["sip", "media"])
def test_kill_9_of_a_process_ends_its_calls_and_the_next_one_works(tmp_path: Path, role: str) -> None:
    with Server(tmp_path) as own, PeerGroup() as group:
        peer = group.peer(tone_hz=500)
        scenario = "called_off" if role == "media" else "call"
        sipp = Sipp(scenario, own.sip_port, user="announce", hold_ms=1500, media_port_base=peer.port, timeout_s=20)
        find_remote(group)
        ids = own.xml.di("monitoring", "listActive")
        assert len(ids) == 1
        victim = own.children()[role]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: own.xml.di("monitoring", "listFinished") == ids, "the record is finished")
        wait_until(lambda: f"the {role} process is lost (pid {victim}, signal SIGKILL)" in own.log, "a line in the log")
        assert own.xml.calls() == 0
        wait_until(lambda: f"the {role} process is up again" in own.log, "the process is started again")
        if role == "media":
            assert sipp.wait().successful == 1, "the caller gets a BYE"
        sipp.stop()
        group.peers.remove(peer)
        peer.close()
        fresh = group.peer(tone_hz=500)
        with Sipp("call", own.sip_port, user="announce", hold_ms=None, media_port_base=fresh.port) as again:
            find_remote(group)
            group.run_ms(2000)
            assert tones.heard(fresh.heard(), ANNOUNCE_HZ) == set(ANNOUNCE_HZ)
            again.hang_up()
            assert again.wait().successful == 1


def test_sigterm_says_bye(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.start()
    sipp = Sipp("called_off", server.sip_port, calls=5, user="announce")
    wait_until(lambda: sipp.answered == 5, "five calls")
    os.kill(server.pid, signal.SIGTERM)
    result = sipp.wait()
    assert (result.successful, result.failed) == (5, 0), result.errors
    assert server.wait_status() == 0, server.log
