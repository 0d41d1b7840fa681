# SPDX-License-Identifier: GPL-2.0-or-later
"""A phone that can send no telephone-event enters a room by its tones, or by INFO `application/dtmf`; one that can is not searched for tones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from tests.support import tones
from tests.support.rtp_peer import PeerGroup
from tests.support.sdp import audio_address
from tests.support.server import Server, wait_until
from tests.support.sip_peer import PeerCall, UdpPeer, description
from tests.support.stalls import calmly

pytestmark = [pytest.mark.peers, pytest.mark.timeout(120)]

ROWS_HZ, COLUMNS_HZ = (697.0, 770.0, 852.0, 941.0), (1209.0, 1336.0, 1477.0)
KEYS = "123456789*0#"
EVENTS = "0123456789*#"
"""By their numbers in RFC 4733 §3.2."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    files = {"app_mapping.conf": "^sip:=>webconference\n"}
    with Server(tmp_path_factory.mktemp("server"), files, "", "monitoring;webconference;xmlrpc2di;web") as running:
        yield running


def pressed(keys: str) -> np.ndarray:
    """The tones of keys, 120 ms each, with pauses."""
    parts = [np.zeros(4000, np.int16)]
    for key in keys:
        place = KEYS.index(key)
        low, high = (tones.tone(hz, 120, amplitude=6000.0) for hz in (ROWS_HZ[place // 3], COLUMNS_HZ[place % 3]))
        parts += [(low + high).astype(np.int16), np.zeros(960, np.int16)]
    return np.concatenate([*parts, np.zeros(80_000, np.int16)])


def in_room(server: Server, *rooms: str) -> list[str]:
    """Which of these rooms have somebody in them."""
    return [room for room in rooms if server.xml.di("webconference", "roomInfo", room, "1")[2]]


async def enter(server: Server, keys: str, telephone_event: bool, by_info: bool = False, then: str = "") -> list[str]:
    """Call, press the keys, `then` others by telephone-event; the rooms that the server then has, when it has one."""
    phone = await UdpPeer.open(server.sip_port)
    with PeerGroup() as group:
        peer = group.peer()
        text = description(peer.port)
        if not telephone_event:
            text = text.replace(" 101\r\n", "\r\n").replace("a=rtpmap:101 telephone-event/8000\r\n", "")
        call = PeerCall(phone, f"{keys}-{telephone_event}-{by_info}@inband", "pbx")
        phone.calls[call.call_id] = call
        call.send_request("INVITE", text)
        reply = await call.next(200)
        assert ("telephone-event" in reply.body.decode()) is telephone_event
        call.ack()
        peer.remote = audio_address(reply.body.decode())
        if by_info:
            for key in keys:
                assert await call.request("INFO", "application/dtmf", key) == 200
        else:
            peer.samples = pressed(keys)
        await asyncio.to_thread(group.run_ms, 500 + 260 * len(keys) + 500)
        for key in then:
            peer.press(EVENTS.index(key))
            await asyncio.to_thread(group.run_ms, 200)
        rooms = [entered.rstrip("#") for entered in (keys, then) if entered]
        found: list[str] = []
        for _ in range(100):
            if found := in_room(server, *rooms):
                break
            await asyncio.to_thread(group.run_ms, 100)
        assert await call.bye() == 200
    await asyncio.to_thread(wait_until, lambda: server.xml.calls() == 0, "no call is left")
    phone.close()
    return found


async def test_a_pin_by_tones(server: Server) -> None:
    """A stall of the phone brings a burst, of which what is too early is skipped: a key may be lost."""

    async def measure() -> None:
        assert await enter(server, "4711#", telephone_event=False) == ["4711"]

    await calmly(measure, 4)


async def test_a_pin_by_info(server: Server) -> None:
    assert await enter(server, "4712#", telephone_event=False, by_info=True) == ["4712"]


async def test_tones_of_a_phone_with_telephone_event_are_audio(server: Server) -> None:
    """It enters by its events, sent behind the tones: had these been keys, it would stand in their room."""
    assert await enter(server, "4713#", telephone_event=True, then="4714#") == ["4714"]
