# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls whose phones ask for packets of another length than 20 ms: what they get, hear and read in the answer."""

from __future__ import annotations

import itertools
import socket
import struct
from collections.abc import Iterator

import numpy as np
import pytest

from tests.support import tones
from tests.support.phone import Phone
from tests.support.rtp_peer import PCMA, PCMU, Peer, PeerGroup
from tests.support.server import Server
from tests.support.stalls import calm

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


def assert_whole(peer: Peer) -> None:
    """The tone has no gap: it is in each 20 ms."""
    sound = peer.heard(400)
    assert len(sound) > 3200
    levels = [tones.level(sound[i : i + 160], TONE_HZ) for i in range(0, len(sound) - 160, 160)]
    assert min(levels) > 6500 and not tones.silent_ms(sound), f"the quietest 20 ms: {min(levels):.0f}"


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
    """Without a gap, where the machine is calm: on a busy one the phone's own packets come late. All else holds there, too."""
    peers: list[Peer] = []
    answers: list[list[str]] = []

    def measure() -> None:
        with PeerGroup() as group, Phone(server.sip_port, group.peer(TONE_HZ, PCMA)) as phone:
            phone.call("echo", lines)
            group.run_ms(1500)
            phone.bye()
        told = [line for line in phone.answer.split("\r\n") if line.startswith("a=ptime")]
        answers.append(told)
        peers.append(phone.peer)
        assert_whole(phone.peer)

    calm(measure)
    for peer in peers:
        check_stream(peer, ptime_ms)
    assert answers == [[] if ptime_ms == 20 else [f"a=ptime:{ptime_ms}"]] * len(peers)


def test_members_of_a_room_have_their_own_lengths(server: Server) -> None:
    with PeerGroup() as group:
        peers = [group.peer(hz) for hz in (450.0, 650.0, 850.0)]
        phones = [
            Phone(server.sip_port, peer).call("room1", (f"a=ptime:{ms}",)) for peer, ms in zip(peers, (10, 20, 60), strict=True)
        ]
        assert [phone.code for phone in phones] == [200] * 3, server.log[-2000:]
        whom = [{650.0, 850.0}, {450.0, 850.0}, {450.0, 650.0}]
        group.hear(dict(zip(peers, whom, strict=True)), [450.0, 650.0, 850.0])
        assert [{len(p.payload) for p in peer.packets} for peer in peers] == [{80}, {160}, {480}]
        for phone in phones:
            phone.bye()


def test_a_reinvite_changes_the_length_without_a_gap(server: Server) -> None:
    def measure() -> None:
        with PeerGroup() as group, Phone(server.sip_port, group.peer(TONE_HZ)) as phone:
            phone.call("echo", ("a=ptime:60",))
            group.run_ms(700)
            for ptime_ms in (20, 40):
                phone.invite((f"a=ptime:{ptime_ms}",))
                group.run_until(lambda size=8 * ptime_ms: len(phone.peer.packets[-1].payload) == size, f"{ptime_ms} ms")  # type: ignore[misc]
                group.run_ms(600)
                assert phone.answered() == 200
            phone.bye()
        lengths = [len(p.payload) for p in phone.peer.packets]
        assert [length for length, _ in itertools.groupby(lengths)] == [480, 160, 320]
        sound = phone.peer.heard(400)
        levels = [tones.level(sound[i : i + 160], TONE_HZ) for i in range(0, len(sound) - 160, 160)]
        lost = [level for level in levels if level < 6500]
        assert len(lost) <= 4, "only what had been gathered for a longer packet when it changed is missing"

    calm(measure)


def test_reports_count_packets_and_bytes_of_that_length(server: Server) -> None:
    """The sender report's figures are those of the packets that came (RFC 3550 §6.4.1)."""
    with PeerGroup() as group:
        peer, reports = with_reports(group)
        with Phone(server.sip_port, peer) as phone:
            phone.call("echo", ("a=ptime:40",))
            group.run_until(lambda: reports.others, "a report")
            kind, ssrc, _, _, ts, packets, count = struct.unpack(">xBxxIIIIII", reports.others[0][:28])
            assert (kind, ssrc) == (200, peer.packets[0].ssrc)
            since_first = (ts - peer.packets[0].ts) & 0xFFFFFFFF  # by its own timestamp, whenever it is read
            assert count == packets * 320 and since_first % 320 == 0
            assert abs(packets - since_first // 320) <= 1
            phone.bye()
