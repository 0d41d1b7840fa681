# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls whose phones ask for packets of another length than 20 ms: what they get, hear and read in the answer."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import numpy as np
import pytest

from tests.support import tones
from tests.support.phone import Phone
from tests.support.rtp_peer import PCMA, PCMU, Peer, PeerGroup
from tests.support.server import Server

pytestmark = pytest.mark.peers

TONE_HZ = 450.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(
        tmp_path_factory.mktemp("server"), {"app_mapping.conf": "^sip:echo=>echo\n^sip:room=>webconference\n"}
    ) as running:
        yield running


def check_stream(peer: Peer, ptime_ms: int) -> None:
    """Every packet has that length; timestamps and sequence numbers go on without a step, one marker begins."""
    audio = [p for p in peer.packets if p.payload_type in (PCMU, PCMA)]
    assert {len(p.payload) for p in audio} == {8 * ptime_ms}
    assert set(np.diff(np.array([p.ts for p in audio], np.uint32)).tolist()) == {8 * ptime_ms}
    assert set(np.diff(np.array([p.sequence for p in audio], np.uint16)).tolist()) == {1}
    assert [p.marker for p in audio] == [True] + [False] * (len(audio) - 1)


def is_whole(peer: Peer) -> bool:
    """Whether the tone has no gap: it is in each 20 ms."""
    sound = peer.heard(400)
    assert len(sound) > 3200
    levels = [tones.level(sound[i : i + 160], TONE_HZ) for i in range(0, len(sound) - 160, 160)]
    return min(levels) > 6500 and not tones.silent_ms(sound)


def with_reports(group: PeerGroup) -> tuple[Peer, Peer]:
    """A peer, and one on the port above that gets its RTCP."""
    while True:
        peer, reports = group.peer(TONE_HZ), group.peer()
        above = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            above.bind(("127.0.0.1", peer.port + 1))
        except OSError:
            above.close()
            continue
        above.setblocking(False)
        reports.socket.close()
        reports.socket = above
        return peer, reports


@pytest.mark.parametrize(
    ("lines", "ptime_ms"),
    [((), 20), (("a=ptime:10",), 10), (("a=ptime:30",), 30), (("a=ptime:40",), 40), (("a=ptime:60",), 60),
     (("a=ptime:60", "a=maxptime:40"), 40), (("a=maxptime:10",), 10), (("a=ptime:20", "a=maxptime:150"), 20)],
)  # fmt: skip
def test_the_phone_gets_the_packets_that_it_asked_for(server: Server, lines: tuple[str, ...], ptime_ms: int) -> None:
    """Without a gap; a busy machine, on which the phone's own packets come late, may tear one now and then, a fault does each time."""
    for _ in range(6):
        with PeerGroup() as group, Phone(server.sip_port, group.peer(TONE_HZ, PCMA)) as phone:
            phone.call("echo", lines)
            group.run_ms(1500)
            phone.bye()
            check_stream(phone.peer, ptime_ms)
            told = [line for line in phone.answer.split("\r\n") if line.startswith("a=ptime")]
            assert told == ([] if ptime_ms == 20 else [f"a=ptime:{ptime_ms}"])
            if is_whole(phone.peer):
                return
    raise AssertionError("a gap in each of six calls")


def test_members_of_a_room_have_their_own_lengths(server: Server) -> None:
    with PeerGroup() as group:
        peers = [group.peer(hz) for hz in (450.0, 650.0, 850.0)]
        phones = [
            Phone(server.sip_port, peer).call("room1", (f"a=ptime:{ms}",)) for peer, ms in zip(peers, (10, 20, 60), strict=True)
        ]
        whom = [{650.0, 850.0}, {450.0, 850.0}, {450.0, 650.0}]
        group.hear(dict(zip(peers, whom, strict=True)), [450.0, 650.0, 850.0])
        assert [{len(p.payload) for p in peer.packets} for peer in peers] == [{80}, {160}, {480}]
        for phone in phones:
            phone.bye()


def test_a_reinvite_changes_the_length_without_a_gap(server: Server) -> None:
    with PeerGroup() as group, Phone(server.sip_port, group.peer(TONE_HZ)) as phone:
        phone.call("echo", ("a=ptime:60",))
        group.run_ms(700)
        for wanted in ("a=ptime:20", "a=ptime:40"):
            phone.invite((wanted,))
            group.run_ms(700)
            assert phone.answered() == 200
        assert [len(p.payload) for p in phone.peer.packets][:: len(phone.peer.packets) - 1] == [480, 320]
        sound = phone.peer.heard(400)
        levels = [tones.level(sound[i : i + 160], TONE_HZ) for i in range(0, len(sound) - 160, 160)]
        lost = [level for level in levels if level < 6500]
        assert len(lost) <= 4, "only what had been gathered for a longer packet when it changed is missing"
        phone.bye()


def test_reports_count_packets_and_bytes_of_that_length(server: Server) -> None:
    """The sender report's figures are those of the packets that came (RFC 3550 §6.4.1)."""
    with PeerGroup() as group:
        peer, reports = with_reports(group)
        with Phone(server.sip_port, peer) as phone:
            phone.call("echo", ("a=ptime:40",))
            for _ in range(60):
                group.run_ms(100)
                if reports.others:
                    break
            count_then = len(peer.packets)
            kind, ssrc, _, _, ts, packets, count = struct.unpack(">xBxxIIIIII", reports.others[0][:28])
            assert (kind, ssrc) == (200, peer.packets[0].ssrc)
            assert count == packets * 320 and abs(packets - count_then) <= 4
            assert (ts - peer.packets[0].ts) % 320 == 0
            phone.bye()
