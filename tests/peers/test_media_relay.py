# SPDX-License-Identifier: GPL-2.0-or-later
"""Two bridged legs of one codec through the real media process: payloads pass as they are, digits stay digits, recording takes over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

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
from tests.support.rtp_peer import PCMA, Peer, PeerGroup, Received

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


def is_whole(peer: Peer, tone_hz: float) -> bool:
    """Whether the peer hears that tone, in each 20 ms, at its full level, without a click; its packets are numbered one by one.

    What the other phone sends too late is lost to it, as in any network, and a busy machine sends late now and then: a fault does not
    show by a gap but by a gap each time.
    """
    sound = peer.heard()
    click = np.abs(np.diff(sound.astype(np.int64))).max() > 1.3 * 2 * np.pi * tone_hz / 8000 * 8000
    return one_by_one(peer.packets) and has_no_gap(sound, tone_hz) and not click


def one_by_one(packets: list[Received]) -> bool:
    return set(np.diff(np.array([p.sequence for p in packets], np.uint16)).tolist()) == {1}


def has_no_gap(sound: NDArray[np.int16], tone_hz: float) -> bool:
    return min(tones.level(sound[i : i + 160], tone_hz) for i in range(0, len(sound) - 160, 160)) > 7500


def test_payloads_pass_as_they_are_with_numbers_of_our_own(bridge: tuple[MediaServer, PeerGroup, Peer, Peer]) -> None:
    server, group, one, other = bridge
    group.run_ms(1000)
    assert tones.heard(one.heard(300), ALL_HZ) == {700.0} and tones.heard(other.heard(300), ALL_HZ) == {500.0}
    for _ in range(6):
        if is_whole(one, 700.0):
            break
        one.forget()
        group.run_ms(1000)
    else:
        raise AssertionError("a gap each time")
    assert {p.ssrc for p in other.packets} != {one.ssrc} and len({p.ssrc for p in other.packets}) == 1
    assert server.statistics()["packets_relayed"] > 100


def test_recording_and_gain_take_over_without_a_click_and_give_back(
    bridge: tuple[MediaServer, PeerGroup, Peer, Peer], tmp_path: Path
) -> None:
    server, group, one, other = bridge
    found: list[tuple[bool, ...]] = []
    for number in range(8):
        group.run_ms(300)  # the phones were silent while the test asked
        for peer in (one, other):
            peer.forget()
        file = str(tmp_path / f"{number}.wav")
        server.send(StartRecording(1, file))
        group.run_ms(600)
        asked = (1000 + 2 * number, 1001 + 2 * number)
        server.send(QueryStatistics(asked[0], 1), QueryStatistics(asked[1], 2), StopRecording(1))
        group.run_ms(500)
        heard = is_whole(one, 700.0), is_whole(other, 500.0)
        during = [server.wait_for(Statistics, request=request).counters["relayed"] for request in asked]
        assert during == [1, 0], "only what is recorded is decoded"
        server.wait_for(RecordingStopped, leg=1)
        group.run_until(lambda: relayed(server) == [1, 1], "both are relayed again")
        found.append((*heard, has_no_gap(read_audio(file, 8000), 500.0)))
        if all(found[-1]):
            break
    else:
        raise AssertionError(f"a gap or a click each time (one, other, what was recorded, from its first frame on): {found}")
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

    for _ in range(6):
        group.run_ms(300)  # the phones were silent while the test asked
        other.forget()
        server.send(SendDigit(2, 7, 100))
        group.run_ms(700)
        if sum(p.payload[1] >> 7 for p in key()) >= 3 and one_by_one(other.packets):
            break
    else:
        raise AssertionError("a number is left out each time")
    assert {p.payload[0] for p in key()} == {7} and len({p.ts for p in key()}) == 1
    group.run_until(lambda: relayed(server)[1] == 1, "it is relayed again")
