# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole calls with what phones and carriers write into session descriptions: who hears whom, at the far end."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Iterator

import numpy as np
import pytest
import websockets

from tests.support import tones
from tests.support.phone import Phone
from tests.support.rtp_peer import PCMA, PCMU, PeerGroup
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


def test_a_phone_behind_nat_holds_by_no_address_and_is_heard_again(server: Server) -> None:
    """It says an address of its own network; its audio comes from where its signalling does, and goes back there after the hold."""

    def inside(body: str) -> str:
        return body.replace("c=IN IP4 127.0.0.1", "c=IN IP4 10.11.12.13")

    with PeerGroup() as group, Phone(server.sip_port, group.peer()) as phone:
        phone.edit = inside
        phone.call("echo")
        natted = group.peer(HZ)
        natted.remote = phone.peer.remote
        group.run_ms(800)
        assert hears_itself(natted.heard())
        phone.edit = lambda body: body.replace("c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0")
        phone.invite()
        group.run_ms(300)
        assert phone.answered() == 200 and "0.0.0.0" not in phone.answer and "a=recvonly" in phone.answer
        natted.forget()
        group.run_ms(300)
        assert not natted.packets, "who is on hold is sent nothing"
        phone.edit = inside
        phone.invite()
        group.run_ms(200)
        assert phone.answered() == 200
        natted.forget()
        group.run_ms(600)
        assert hears_itself(natted.heard())
        phone.bye()


def test_each_codec_of_the_answer_is_heard(server: Server) -> None:
    """We dial; the answer lists two codecs, and the peer sends the second (RFC 3264 §7)."""
    with PeerGroup() as group, Phone(server.sip_port, group.peer(HZ)) as phone:
        call = server.json("core.dialout", "echo", "phone", phone.uri, "sip:us@127.0.0.1")
        phone.called(f"{PCMU} {PCMA} 101")
        for kind in (PCMU, PCMA, PCMU):
            phone.peer.payload_type = kind
            group.run_ms(200)
            phone.peer.forget()
            group.run_ms(600)
            assert hears_itself(phone.peer.heard()), f"payload type {kind}"
        server.json("core.hangup", call)
        phone.hung_up()


def test_reports_come_to_where_the_phone_wants_them(server: Server) -> None:
    with PeerGroup() as group, Phone(server.sip_port, group.peer(HZ)) as phone, socket.socket(type=socket.SOCK_DGRAM) as reports:
        reports.bind(("127.0.0.1", 0))
        reports.settimeout(5)
        phone.call("echo", (f"a=rtcp:{reports.getsockname()[1]} IN IP4 127.0.0.1",))
        group.run_ms(5600)
        report = reports.recv(2048)
        assert report[0] >> 6 == 2 and report[1] == 200, "a sender report"
        assert int.from_bytes(report[4:8], "big") == phone.peer.packets[0].ssrc
        phone.bye()


def test_a_host_name_is_resolved(server: Server) -> None:
    with PeerGroup() as group, Phone(server.sip_port, group.peer(HZ)) as phone:
        phone.edit = lambda body: body.replace("c=IN IP4 127.0.0.1", "c=IN IP4 localhost")
        phone.call("echo")
        group.run_ms(800)
        assert hears_itself(phone.peer.heard())
        phone.bye()


def test_a_host_name_that_nobody_knows_ends_the_call_and_says_why(server: Server) -> None:
    with PeerGroup() as group, Phone(server.sip_port, group.peer(HZ)) as phone:
        phone.edit = lambda body: body.replace("c=IN IP4 127.0.0.1", "c=IN IP4 no-such-host-here")
        phone.call("echo")
        if phone.code < 300:
            phone.hung_up(10)
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
                params = json.loads(await asyncio.wait_for(feed.recv(), 20)).get("params", {})
                if params.get("type") == "dtmf":
                    break
        assert (params["attributes"]["key"], params["attributes"]["duration_ms"]) == (5, 100)
        await asyncio.to_thread(phone.bye)
