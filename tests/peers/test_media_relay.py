# SPDX-License-Identifier: GPL-2.0-or-later
"""Two bridged legs of one codec through the real media process: payloads pass as they are, digits stay digits, recording takes over."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from media.control.play_items import PlayBridge
from media.control.recording_records import RecordingStopped, StartRecording, StopRecording
from media.control.records import DigitPressed, Enqueue, QueryStatistics, SendDigit, SetLegAudio, Statistics
from media.files.audio_file import read_audio
from tests.support import tones
from tests.support.media_server import MediaServer
from tests.support.rtp_peer import PCMA, Peer, PeerGroup, Received
from tests.support.stalls import calm

pytestmark = pytest.mark.peers

ALL_HZ = [500.0, 700.0]


@pytest.fixture
def bridge() -> Iterator[tuple[MediaServer, PeerGroup, Peer, Peer]]:
    """Legs 1 (500 Hz) and 2 (700 Hz), bridged, both PCMA."""
    with MediaServer() as server, PeerGroup() as group:
        one, other = group.peer(500, PCMA), group.peer(700, PCMA)
        server.connect(1, one)
        server.connect(2, other)
        server.send(Enqueue(1, (PlayBridge(2),)), Enqueue(2, (PlayBridge(1),)))
        group.run_until(lambda: relayed(server) == [1, 1], "both are relayed")
        group.run_ms(300)
        for peer in (one, other):
            peer.forget()
        yield server, group, one, other


def relayed(server: MediaServer) -> list[float]:
    """Which legs' payloads pass as they are."""
    return [server.statistics(leg)["relayed"] for leg in (1, 2)]


def judged(peer: Peer, tone_hz: float) -> None:
    """The peer hears that tone, in each 20 ms, at its full level, without a click; its packets are numbered one by one. For `calm`: what the
    other phone sends too late is lost to it, as in any network."""
    sound = peer.heard()
    assert one_by_one(peer.packets), "a number is left out"
    assert has_no_gap(sound, tone_hz), f"a gap in {tone_hz} Hz"
    assert np.abs(np.diff(sound.astype(np.int64))).max() <= 1.3 * 2 * np.pi * tone_hz / 8000 * 8000, f"a click in {tone_hz} Hz"


def one_by_one(packets: list[Received]) -> bool:
    return set(np.diff(np.array([p.sequence for p in packets], np.uint16)).tolist()) == {1}


def has_no_gap(sound: NDArray[np.int16], tone_hz: float) -> bool:
    return min(tones.level(sound[i : i + 160], tone_hz) for i in range(0, len(sound) - 160, 160)) > 7500


def begin(group: PeerGroup, *peers: Peer) -> None:
    """Talk, for the phones were silent while the test asked; what was heard before does not count."""
    group.run_ms(300)
    for peer in peers:
        peer.forget()


def test_payloads_pass_as_they_are_with_numbers_of_our_own(bridge: tuple[MediaServer, PeerGroup, Peer, Peer]) -> None:
    server, group, one, other = bridge
    group.hear({one: {700.0}, other: {500.0}}, ALL_HZ)

    def measure() -> None:
        begin(group, one, other)
        group.run_ms(1000)
        judged(one, 700.0)
        judged(other, 500.0)

    calm(measure)
    assert {p.ssrc for p in other.packets} != {one.ssrc} and len({p.ssrc for p in other.packets}) == 1
    assert server.statistics()["packets_relayed"] > 100


def test_recording_and_gain_take_over_without_a_click_and_give_back(
    bridge: tuple[MediaServer, PeerGroup, Peer, Peer], tmp_path: Path
) -> None:
    server, group, one, other = bridge
    numbers = itertools.count()

    def measure() -> None:
        number = next(numbers)
        file = str(tmp_path / f"{number}.wav")
        begin(group, one, other)
        server.send(StartRecording(1, file))
        group.run_ms(600)
        asked = (1000 + 2 * number, 1001 + 2 * number)
        server.send(QueryStatistics(asked[0], 1), QueryStatistics(asked[1], 2), StopRecording(1))
        group.run_ms(500)
        during = [server.wait_for(Statistics, request=request).counters["relayed"] for request in asked]
        server.wait_for(RecordingStopped, leg=1)
        heard = list(one.packets), list(other.packets)
        group.run_until(lambda: relayed(server) == [1, 1], "both are relayed again")
        one.packets[:], other.packets[:] = heard
        assert during == [1, 0], "only what is recorded is decoded"
        judged(one, 700.0)
        judged(other, 500.0)
        assert has_no_gap(read_audio(file, 8000), 500.0), "what was recorded has no gap, from its first frame on"

    calm(measure)
    server.send(SetLegAudio(2, muted=True))
    group.hear({one: set(), other: {500.0}}, ALL_HZ, 300)


def test_digits_are_reported_and_sent_and_not_passed_through(bridge: tuple[MediaServer, PeerGroup, Peer, Peer]) -> None:
    server, group, one, other = bridge
    one.press(5, 100)
    pressed = server.wait_for(DigitPressed, leg=1)
    group.run_ms(400)
    assert (pressed.event, pressed.duration_ms) == (5, 100)
    assert not [p for p in other.packets if p.payload_type == 101]

    def key() -> list[Received]:
        return [p for p in other.packets if p.payload_type == 101]

    def measure() -> None:
        begin(group, one, other)
        server.send(SendDigit(2, 7, 100))
        group.run_ms(700)
        assert sum(p.payload[1] >> 7 for p in key()) == 3, "its end is said three times"
        assert one_by_one(other.packets), "a number is left out"

    calm(measure)
    assert {p.payload[0] for p in key()} == {7} and len({p.ts for p in key()}) == 1
    group.run_until(lambda: relayed(server)[1] == 1, "it is relayed again")
