# SPDX-License-Identifier: GPL-2.0-or-later
"""Two bridged legs of one codec through the real media process: payloads pass as they are, digits stay digits, recording takes over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from media.control.play_items import PlayBridge
from media.control.records import (
    DigitPressed,
    Enqueue,
    QueryStatistics,
    RecordingStopped,
    SendDigit,
    SetLegAudio,
    StartRecording,
    Statistics,
    StopRecording,
)
from media.files.audio_file import read_audio
from tests.support import tones
from tests.support.media_server import MediaServer
from tests.support.rtp_peer import PCMA, Peer, PeerGroup

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
        group.run_ms(600)
        assert [server.statistics(leg)["relayed"] for leg in (1, 2)] == [1, 1]
        group.run_ms(300)
        for peer in (one, other):
            peer.forget()
        yield server, group, one, other


def whole(peer: Peer, tone_hz: float) -> None:
    """The peer hears that tone, in each 20 ms, at its full level, in packets whose timestamps go on."""
    sound = peer.heard()
    assert min(tones.level(sound[i : i + 160], tone_hz) for i in range(0, len(sound) - 160, 160)) > 7500
    steps = np.abs(np.diff(sound.astype(np.int64))).max()
    assert steps < 1.3 * 2 * np.pi * tone_hz / 8000 * 8000, "no click"
    assert set(np.diff(np.array([p.sequence for p in peer.packets], np.uint16)).tolist()) == {1}


def test_payloads_pass_as_they_are_with_numbers_of_our_own(bridge: tuple[MediaServer, PeerGroup, Peer, Peer]) -> None:
    server, group, one, other = bridge
    group.run_ms(1000)
    said = one.samples
    assert said is not None
    assert tones.heard(one.heard(300), ALL_HZ) == {700.0} and tones.heard(other.heard(300), ALL_HZ) == {500.0}
    whole(one, 700.0)
    assert {p.ssrc for p in other.packets} != {one.ssrc} and len({p.ssrc for p in other.packets}) == 1
    assert server.statistics()["packets_relayed"] > 100


def test_recording_and_gain_take_over_without_a_click_and_give_back(
    bridge: tuple[MediaServer, PeerGroup, Peer, Peer], tmp_path: Path
) -> None:
    server, group, one, other = bridge
    server.send(StartRecording(1, str(tmp_path / "x.wav")))
    group.run_ms(600)
    server.send(QueryStatistics(1001, 1), QueryStatistics(1002, 2), StopRecording(1))
    group.run_ms(500)
    whole(one, 700.0)
    whole(other, 500.0)
    assert [server.statistics(leg)["relayed"] for leg in (1, 2)] == [1, 1]
    during = [server.wait_for(Statistics, request=number).counters["relayed"] for number in (1001, 1002)]
    assert during == [1, 0], "only what is recorded is decoded"
    server.wait_for(RecordingStopped, leg=1)
    taped = read_audio(str(tmp_path / "x.wav"), 8000)
    assert min(tones.level(taped[i : i + 160], 500.0) for i in range(0, len(taped) - 160, 160)) > 7500, "from the first frame on"
    server.send(SetLegAudio(2, muted=True))
    group.run_ms(500)
    assert tones.heard(one.heard()[-1600:], ALL_HZ) == set()
    assert tones.heard(other.heard()[-1600:], ALL_HZ) == {500.0}


def test_digits_are_reported_and_sent_and_not_passed_through(bridge: tuple[MediaServer, PeerGroup, Peer, Peer]) -> None:
    server, group, one, other = bridge
    one.press(5, 100)
    group.run_ms(400)
    pressed = server.wait_for(DigitPressed, leg=1)
    assert (pressed.event, pressed.duration_ms) == (5, 100)
    assert not [p for p in other.packets if p.payload_type == 101]
    server.send(SendDigit(2, 7, 100))
    group.run_ms(700)
    events = [p for p in other.packets if p.payload_type == 101]
    assert {p.payload[0] for p in events} == {7} and len({p.ts for p in events}) == 1
    assert set(np.diff(np.array([p.sequence for p in other.packets[-60:]], np.uint16)).tolist()) == {1}
    assert server.statistics(2)["relayed"] == 1
