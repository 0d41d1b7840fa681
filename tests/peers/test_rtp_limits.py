# SPDX-License-Identifier: GPL-2.0-or-later
"""What fits into no field or frame, through a whole server: keys longer than a duration field holds, packets of up to 200 ms and more."""

from __future__ import annotations

import itertools
import re
import struct
import urllib.request
from collections.abc import Iterator

import numpy as np
import pytest

from media.codecs import find
from tests.support import tones
from tests.support.phone import Phone
from tests.support.rtp_peer import PCMU, Peer, PeerGroup
from tests.support.server import WITH_APPS, Server, wait_until
from tests.support.stalls import calm

pytestmark = pytest.mark.peers
TONE_HZ = 450.0
FIELD = 0xFFFF
STEP = 1600
"""Ticks from one packet of a key to the next: a key of ten seconds is sent in half of one."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    files = {"app_mapping.conf": "^sip:=>listener\n"}
    plugins = "monitoring;listener;xmlrpc2di;web"
    with Server(tmp_path_factory.mktemp("server"), files, "codec_order=opus", plugins, program=WITH_APPS) as running:
        yield running
    assert "Traceback" not in running.log, running.log


def long_key(group: PeerGroup, peer: Peer, event: int, ticks: int, kind: int = 101, lost: tuple[int, ...] = ()) -> None:
    """A key as RFC 4733 §2.5.1.3 has it: when the field is full a next segment begins, with its own timestamp. `lost`: packets by number."""
    sequence, start = itertools.count(1), 0
    ends = [min(end, ticks) for end in range(STEP, ticks + STEP, STEP)]
    for number, at in enumerate(ends):
        if at - start > FIELD:
            _key_packet(peer, event, kind, next(sequence), start, FIELD, end=False, marker=False)
            start += FIELD
        if number not in lost:
            _key_packet(peer, event, kind, next(sequence), start, at - start, end=False, marker=number == 0)
        group.run_ms(4)
    for _ in range(3):
        _key_packet(peer, event, kind, next(sequence), start, ticks - start, end=True, marker=False)


def _key_packet(peer: Peer, event: int, kind: int, sequence: int, ts: int, duration: int, *, end: bool, marker: bool) -> None:
    body = struct.pack(">BBH", event, 10 | (128 if end else 0), duration)
    head = struct.pack(">BBHII", 0x80, kind | (128 if marker else 0), sequence & 0xFFFF, (7000 + ts) & 0xFFFFFFFF, peer.ssrc)
    peer.send_raw(head + body)


def connected(group: PeerGroup, phone: Phone) -> None:
    """Talk until the leg is connected: what comes before is nobody's."""
    group.run_until(lambda: phone.peer.packets, "its leg is connected")


def keys_of(server: Server, user: str) -> object:
    return server.record_of(user).get("keys")


@pytest.mark.parametrize("lost", [(), (39, 40, 41)], ids=["none lost", "lost where a segment ends"])
def test_a_key_longer_than_its_field_is_one_key(server: Server, lost: tuple[int, ...]) -> None:
    """Ten and more seconds at 8000 Hz, then another key, which says that the first is over for good."""
    user = f"long{len(lost)}"
    with PeerGroup() as group, Phone(server.sip_port, group.peer()) as phone:
        phone.call(user)
        connected(group, phone)
        long_key(group, phone.peer, 6, 3 * FIELD // 2, lost=lost)
        wait_until(lambda: keys_of(server, user) == "6", "the key is over")
        group.run_ms(300)
        phone.peer.ts = phone.peer.ts + 200_000
        phone.peer.sequence += 500
        phone.peer.press(5)
        wait_until(lambda: keys_of(server, user) == "65", "the second key came")
        phone.bye()


def test_a_key_beside_opus_has_the_same_field_at_48000(server: Server) -> None:
    """There it is full after 1.4 s: four segments."""
    maps = ("111 opus/48000/2", "110 telephone-event/48000")
    with PeerGroup() as group, Phone(server.sip_port, group.peer(), "111 110", maps) as phone:
        phone.call("opus")
        connected(group, phone)
        long_key(group, phone.peer, 9, 4 * FIELD - 5000, kind=110)
        wait_until(lambda: keys_of(server, "opus"), "the key is over")
        phone.peer.ts += 1_000_000
        phone.peer.sequence += 500
        phone.peer.press(5, 600, 110)  # 100 ms at this clock
        wait_until(lambda: str(keys_of(server, "opus")).endswith("5"), "the second key came")
        assert keys_of(server, "opus") == "95"
        phone.bye()


def send_long(group: PeerGroup, peer: Peer, packet_ms: int, length_ms: int) -> None:
    """A tone in packets of that length, in real time."""
    codec = find("PCMU", 8000)
    assert codec is not None
    sound, size = tones.tone(TONE_HZ, length_ms), 8 * packet_ms
    for number in range(length_ms // packet_ms):
        payload = codec.encode(sound[number * size :][:size]).tobytes()
        peer.send_raw(struct.pack(">BBHII", 0x80, PCMU, number, number * size, peer.ssrc) + payload)
        group.run_ms(packet_ms)


@pytest.mark.parametrize("packet_ms", [130, 200])
def test_long_packets_are_played(server: Server, packet_ms: int) -> None:
    """Without a gap, where the machine is calm."""

    def measure() -> None:
        with PeerGroup() as group, Phone(server.sip_port, group.peer()) as phone:
            phone.call(f"packets{packet_ms}")
            connected(group, phone)
            phone.peer.forget()
            send_long(group, phone.peer, packet_ms, 1600)
            sound = phone.peer.heard(1000)
            phone.bye()
        assert len(sound) > 3000
        quietest = float(np.min([tones.level(sound[at : at + 160], TONE_HZ) for at in range(0, 3000, 160)]))
        assert quietest > 6000, f"the quietest 20 ms: {quietest:.0f}"

    calm(measure)


def test_longer_packets_are_said_in_the_calls_line_and_in_the_metrics(server: Server) -> None:
    with PeerGroup() as group, Phone(server.sip_port, group.peer()) as phone:
        phone.call("toolong")
        connected(group, phone)
        send_long(group, phone.peer, 240, 1200)
        wait_until(lambda: dropped(server) >= 5, "all five are counted")
        assert not tones.heard(phone.peer.heard(), [TONE_HZ])
        phone.bye()
    line = wait_until(lambda: re.search(r"sip:toolong@.*", server.log), "the call's line")[0]
    assert "0 of 5 packets lost, 5 over 200 ms long and not played" in line


def dropped(server: Server) -> float:
    """How many packets were too long, by the metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.web_port}/metrics", timeout=40) as page:
        found = re.search(r"\ncordboard_media_packets_dropped_too_long_total\{.*\} (\S+)", page.read().decode())
    return float(found[1]) if found else 0.0
