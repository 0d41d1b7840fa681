# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole calls with what phones and carriers write into session descriptions: who hears whom, at the far end."""

from __future__ import annotations

import asyncio
import json
import select
import socket
import struct
from collections.abc import Iterator

import numpy as np
import pytest
import websockets

from tests.support import tones
from tests.support.phone import Phone
from tests.support.rtp_peer import PCMA, PCMU, Peer, PeerGroup
from tests.support.server import Server, wait_until

pytestmark = pytest.mark.peers

HZ = 700.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server"), {"app_mapping.conf": "^sip:echo=>echo\n"}) as running:
        yield running
    assert "Traceback" not in running.log, running.log


def hears_itself(sound: np.ndarray) -> bool:
    return tones.heard(sound[-2400:], [HZ, 1100.0]) == {HZ}


def comes_back(group: PeerGroup, peer: Peer) -> bool:
    """Let all talk until this one hears itself."""
    for _ in range(60):
        group.run_ms(300)
        if len(peer.heard()) >= 2400 and hears_itself(peer.heard()):
            return True
    return False


def forget(group: PeerGroup, peer: Peer) -> None:
    """What came before, also what has not been read yet, does not count."""
    group.run_ms(200)
    peer.forget()


def test_a_phone_behind_nat_holds_by_no_address_and_is_heard_again(server: Server) -> None:
    """It says an address of its own network; its audio comes from where its signalling does, and goes back there after the hold."""

    def inside(body: str) -> str:
        return body.replace("c=IN IP4 127.0.0.1", "c=IN IP4 10.11.12.13")

    with PeerGroup() as group, Phone(server.sip_port, group.peer()) as phone:
        phone.edit = inside
        phone.call("echo")
        natted = group.peer(HZ)
        natted.remote = phone.peer.remote
        assert comes_back(group, natted)
        phone.edit = lambda body: body.replace("c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0")
        phone.invite()
        group.run_ms(300)
        assert phone.answered() == 200 and "0.0.0.0" not in phone.answer and "a=recvonly" in phone.answer
        for _ in range(30):
            forget(group, natted)
            group.run_ms(300)
            if not natted.packets:
                break
        assert not natted.packets, "who is on hold is sent nothing"
        phone.edit = inside
        phone.invite()
        group.run_ms(200)
        assert phone.answered() == 200
        natted.forget()
        assert comes_back(group, natted)
        phone.bye()


def test_each_codec_of_the_answer_is_heard(server: Server) -> None:
    """We dial; the answer lists two codecs, and the peer sends the second (RFC 3264 §7)."""
    with PeerGroup() as group, Phone(server.sip_port, group.peer(HZ)) as phone:
        call = server.json("core.dialout", "echo", "phone", phone.uri, "sip:us@127.0.0.1")
        phone.called(f"{PCMU} {PCMA} 101")
        for kind in (PCMU, PCMA, PCMU):
            phone.peer.payload_type = kind
            forget(group, phone.peer)
            assert comes_back(group, phone.peer), f"payload type {kind}"
        server.json("core.hangup", call)
        phone.hung_up()


def test_reports_come_to_where_the_phone_wants_them(server: Server) -> None:
    with PeerGroup() as group, Phone(server.sip_port, group.peer(HZ)) as phone, socket.socket(type=socket.SOCK_DGRAM) as reports:
        reports.bind(("127.0.0.1", 0))
        reports.setblocking(False)
        phone.call("echo", (f"a=rtcp:{reports.getsockname()[1]} IN IP4 127.0.0.1",))
        for _ in range(200):
            group.run_ms(200)
            if select.select([reports], [], [], 0)[0]:
                break
        report = reports.recv(2048)
        assert report[0] >> 6 == 2 and report[1] == 200, "a sender report"
        assert int.from_bytes(report[4:8], "big") == phone.peer.packets[0].ssrc
        phone.bye()


def test_a_host_name_is_resolved(server: Server) -> None:
    with PeerGroup() as group, Phone(server.sip_port, group.peer(HZ)) as phone:
        phone.edit = lambda body: body.replace("c=IN IP4 127.0.0.1", "c=IN IP4 localhost")
        phone.call("echo")
        assert comes_back(group, phone.peer)
        phone.bye()


def test_a_host_name_that_nobody_knows_ends_the_call_and_says_why(server: Server) -> None:
    with PeerGroup() as group, Phone(server.sip_port, group.peer(HZ)) as phone:
        phone.edit = lambda body: body.replace("c=IN IP4 127.0.0.1", "c=IN IP4 no-such-host-here")
        phone.call("echo")
        if phone.code < 300:
            phone.hung_up()
        else:
            assert phone.code == 488
        wait_until(lambda: "'no-such-host-here' cannot be resolved" in server.log, "the log says why")


def test_a_phone_at_the_other_family_is_told_so(server: Server) -> None:
    """A server without IPv6 still serves others: no 503, after which a proxy would leave it alone."""
    with PeerGroup() as group, Phone(server.sip_port, group.peer()) as phone:
        phone.edit = lambda body: body.replace("IN IP4 127.0.0.1", "IN IP6 2001:db8::1")
        phone.call("echo")
        assert phone.code == 488 and phone.warning == '300 cordboard "Incompatible network protocol"'
        wait_until(
            lambda: "the peer is at IPv6, where we have no media address: name one as further_media_ip" in server.log, "why"
        )


OPUS = ("111 opus/48000/2", "110 telephone-event/48000")


async def test_keys_at_48_khz_last_as_long_as_they_were_pressed(server: Server) -> None:
    with PeerGroup() as group, Phone(server.sip_port, group.peer(), "111 110", OPUS) as phone:
        await asyncio.to_thread(phone.call, "echo")
        assert "a=rtpmap:110 telephone-event/48000" in phone.answer
        async with websockets.connect(f"ws://127.0.0.1:{server.web_port}/ws") as feed:
            wanted = {"jsonrpc": "2.0", "id": 1, "method": "events.subscribe", "params": {"filter": {"types": ["dtmf"]}}}
            await feed.send(json.dumps(wanted))
            await feed.recv()
            for step in (1, 2, 3, 4, 5, 5, 5, 5):
                end = 128 if step == 5 else 0
                phone.peer.send_raw(phone.peer.packet(struct.pack(">BBH", 5, 10 | end, 960 * step), 110, step == 1))
                phone.peer.sequence += 1
            while True:
                params = json.loads(await asyncio.wait_for(feed.recv(), 40)).get("params", {})
                if params.get("type") == "dtmf":
                    break
        assert (params["attributes"]["key"], params["attributes"]["duration_ms"]) == (5, 100)
        await asyncio.to_thread(phone.bye)
