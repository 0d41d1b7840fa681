# SPDX-License-Identifier: GPL-2.0-or-later
"""Rooms over two real media processes, by real RTP: who hears whom and how loud, recordings, a process that is killed."""

from __future__ import annotations

import json
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.control.play_items import PlayBridge, PlayRoom, PlayTone
from media.control.recording_records import RoomRecordingStopped, StartRoomRecording, StopRoomRecording
from media.control.records import Announce, CloseLeg, Enqueue, FlushPlaylist, SpeakerChanged, TeeRoom
from tests.support import tones
from tests.support.media_cluster import MediaCluster
from tests.support.rtp_peer import Peer, PeerGroup
from tests.support.stalls import calm

pytestmark = pytest.mark.peers

TONES_HZ = [400.0, 650.0, 900.0, 1150.0]
SAID = 8000.0
"""Amplitude of a peer's tone."""


@pytest.fixture
def cluster() -> Iterator[MediaCluster]:
    with MediaCluster(most_legs=2) as running:
        yield running


@pytest.fixture
def group() -> Iterator[PeerGroup]:
    with PeerGroup() as peers:
        yield peers


def join(cluster: MediaCluster, leg: int, room: str = "r") -> None:
    cluster.send(Enqueue(leg, (PlayRoom(room),)))


def listen(group: PeerGroup, length_ms: int = 1500) -> None:
    """Hear afresh for so long."""
    for peer in group.peers:
        peer.forget()
    group.run_ms(length_ms)


def heard(peer: Peer) -> set[float]:
    return tones.heard(peer.heard(300), TONES_HZ)


def level(peer: Peer, tone_hz: float) -> float:
    """Median over 100 ms each: one lost packet of a busy machine does not count."""
    samples = peer.heard(300)
    parts = [samples[i : i + 800] for i in range(0, len(samples) - 800, 800)]
    return float(np.median([tones.level(part, tone_hz) for part in parts]))


def four_in_a_room(cluster: MediaCluster, group: PeerGroup) -> list[int]:
    """Two legs in each process; returns where each is."""
    places = []
    for leg, tone_hz in enumerate(TONES_HZ, 1):
        places.append(cluster.connect(leg, group.peer(tone_hz), room="r"))
        join(cluster, leg)
    assert sorted(places) == [0, 0, 1, 1]
    return places


def test_all_of_a_spanning_room_hear_each_other_and_never_themselves(cluster: MediaCluster, group: PeerGroup) -> None:
    four_in_a_room(cluster, group)
    group.hear({peer: set(TONES_HZ) - {own} for own, peer in zip(TONES_HZ, group.peers, strict=True)}, TONES_HZ)

    def measure() -> None:
        before = cluster.statistics()
        listen(group, 2000)
        statistics = cluster.statistics()
        missed, dropped, ticks = (statistics[name] - before[name] for name in ("span_missed", "span_dropped", "ticks"))
        assert missed < 0.05 * ticks and dropped <= 20, f"of {ticks} ticks {missed} had no sum, {dropped} sums came too late"
        for own, peer in zip(TONES_HZ, group.peers, strict=True):
            assert heard(peer) == set(TONES_HZ) - {own}
            for tone_hz in set(TONES_HZ) - {own}:
                assert level(peer, tone_hz) == pytest.approx(SAID, rel=0.05)

    calm(measure)
    statistics = cluster.statistics()
    assert (statistics["span_rooms"], statistics["span_unsent"]) == (2, 0)


def test_what_comes_over_has_no_gaps_that_the_own_process_has_not(cluster: MediaCluster, group: PeerGroup) -> None:
    """One says a tone for some seconds; a neighbour and somebody in the other process hear it."""
    for leg, tone_hz in ((1, 650.0), (2, 0.0), (3, 0.0)):
        cluster.connect(leg, group.peer(tone_hz), room="r")
        join(cluster, leg)
    _, near, far = group.peers
    group.hear({near: {650.0}, far: {650.0}}, TONES_HZ)

    def measure() -> None:
        before = cluster.statistics()["span_missed"]
        listen(group, 3000)
        assert level(far, 650.0) == pytest.approx(level(near, 650.0), rel=0.02)
        gaps = [sum(ms for ms in tones.silent_ms(peer.heard(300)) if ms >= 10) for peer in (near, far)]
        late = (cluster.statistics()["span_missed"] - before) * 20
        assert gaps[1] <= gaps[0] + late + 40

    calm(measure)


def test_a_bridge_over_processes(cluster: MediaCluster, group: PeerGroup) -> None:
    places = [cluster.connect(leg, group.peer(tone_hz)) for leg, tone_hz in ((1, 400.0), (2, 900.0))]
    assert places[0] != places[1]
    cluster.send(Enqueue(1, (PlayBridge(2),)))
    one, other = group.peers
    group.hear({one: set(), other: set()}, TONES_HZ)
    cluster.send(Enqueue(2, (PlayBridge(1),)))
    group.hear({one: {900.0}, other: {400.0}}, TONES_HZ)
    cluster.send(FlushPlaylist(2))
    group.hear({one: set(), other: set()}, TONES_HZ)


def test_a_tee_over_processes_and_what_is_played_to_the_room(cluster: MediaCluster, group: PeerGroup) -> None:
    for leg, tone_hz in ((1, 0.0), (2, 900.0)):
        cluster.connect(leg, group.peer(tone_hz))
    join(cluster, 1)
    cluster.send(TeeRoom(2, "r"))
    one, other = group.peers
    group.hear({one: {900.0}, other: set()}, TONES_HZ)
    join(cluster, 2)
    tone = PlayTone((1150,), on_ms=20_000, length_ms=20_000)
    cluster.send(Announce("r", (tone,)))
    group.hear({one: {900.0, 1150.0}, other: {1150.0}}, TONES_HZ)


def test_speakers_of_a_spanning_room_are_reported_once(cluster: MediaCluster, group: PeerGroup) -> None:
    four_in_a_room(cluster, group)

    def told() -> dict[int, list[bool]]:
        cluster.collect(0.1)
        found: dict[int, list[bool]] = {}
        for event in cluster.events:
            if isinstance(event, SpeakerChanged) and event.room == "r":
                found.setdefault(event.leg, []).append(event.speaking)
        return found

    group.run_until(lambda: told().keys() == {1, 2, 3, 4}, "all speak")
    group.run_ms(500)
    for changes in told().values():  # begun, on a busy machine perhaps ended and begun again; nothing is told by both processes
        assert changes == [True, False] * (len(changes) // 2) + [True] * (len(changes) % 2)


def read_wav(path: Path) -> Any:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels()) == (8000, 1)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def test_the_recording_of_a_spanning_room(cluster: MediaCluster, group: PeerGroup, tmp_path: Path) -> None:
    four_in_a_room(cluster, group)
    group.hear({peer: set(TONES_HZ) - {own} for own, peer in zip(TONES_HZ, group.peers, strict=True)}, TONES_HZ)
    cluster.send(StartRoomRecording("r", str(tmp_path / "all.wav"), "both"))
    group.run_ms(2000)
    cluster.send(CloseLeg(2))
    group.run_ms(2500)
    cluster.send(StopRoomRecording("r"))
    stopped = cluster.wait_for(RoomRecordingStopped, room="r")
    cluster.collect(0.3)
    assert not [e for e in cluster.events if isinstance(e, RoomRecordingStopped)], "one recording, one event"
    assert stopped.reason == "asked"
    names = {Path(path).name for path in stopped.paths}
    assert names == {"all.wav", *(f"all-{leg}.wav" for leg in (1, 2, 3, 4))}
    mix = read_wav(tmp_path / "all.wav")
    assert tones.heard(mix[4000:14000], TONES_HZ) == set(TONES_HZ)
    assert tones.heard(mix[-6000:], TONES_HZ) == {TONES_HZ[0], *TONES_HZ[2:]}
    assert len(mix) == stopped.length_ms * 8
    for leg, tone_hz in enumerate(TONES_HZ, 1):
        track = read_wav(tmp_path / f"all-{leg}.wav")
        assert tones.heard(track[4000:14000], TONES_HZ) == {tone_hz}
        assert abs(len(track) - len(mix)) < 8 * 2500
        if leg == 2:
            last_ms = int(np.flatnonzero(np.abs(track) > 1000)[-1]) // 8
    about = json.loads(stopped.about)
    assert set(about["tracks"]) == {"1", "2", "3", "4"}
    left = [event for event in about["events"] if event["event"] == "left" and event["leg"] == 2]
    assert len(left) == 1
    assert abs(left[0]["at_ms"] - last_ms) < 2500, "when its track falls silent"
    joined = [event["at_ms"] for event in about["events"] if event["event"] == "joined"]
    assert len(joined) == 4
    assert max(joined) < last_ms


def test_a_killed_process_takes_only_its_own_along_and_its_successor_spans_again(cluster: MediaCluster, group: PeerGroup) -> None:
    places = four_in_a_room(cluster, group)
    group.run_ms(600)
    gone = cluster.kill(1)
    assert sorted(gone) == [leg for leg, place in enumerate(places, 1) if place == 1]
    left = [peer for peer, place in zip(group.peers, places, strict=True) if place == 0]
    tones_left = {hz for hz, place in zip(TONES_HZ, places, strict=True) if place == 0}
    own = dict(zip(group.peers, TONES_HZ, strict=True))
    group.hear({peer: tones_left - {own[peer]} for peer in left}, TONES_HZ)
    assert cluster.statistics()["span_rooms"] == 0
    cluster.start(1)
    for peer in group.peers:
        if peer not in left:
            peer.close()
    group.peers[:] = left
    newcomer = group.peer(next(hz for hz in TONES_HZ if hz not in tones_left))
    assert cluster.connect(9, newcomer, room="r") == 1
    join(cluster, 9)
    own[newcomer] = next(hz for hz in TONES_HZ if hz not in tones_left)
    group.hear({newcomer: tones_left, **{peer: tones_left - {own[peer]} | {own[newcomer]} for peer in left}}, TONES_HZ)
