# SPDX-License-Identifier: GPL-2.0-or-later
"""Rooms over several engines by ear: levels across rates, who is teed, recordings, many rooms in one tick."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from media import codecs
from media.control import recording_records, records
from media.control.play_items import PlayRoom
from media.control.recording_records import StartRoomRecording, StopRoomRecording
from media.control.records import Enqueue, SpanRoom, TeeRoom
from media.engine.takes import Block, FileClosed, FileOpened, Padding
from tests.support import tones
from tests.support.engine_rig import EngineRig, rtp

RATES = {"PCMU": 8000, "L16": 16000}


class Party:
    """A leg that says a tone and keeps what it hears."""

    def __init__(self, rig: EngineRig, leg: int, tone_hz: float, codec: str = "PCMU", room: str = "r") -> None:
        self.rig, self.leg, self.rate_hz = rig, leg, RATES[codec]
        self.source = ("10.0.0.1", 5000 + 2 * leg)
        self.kind = 0 if codec == "PCMU" else 96
        found = codecs.find(codec, self.rate_hz)
        assert found is not None
        self.codec = found
        self.samples = tones.tone(tone_hz, 1000, self.rate_hz) if tone_hz else np.zeros(self.rate_hz, np.int16)
        self.heard: list[Any] = []
        rig.connect(leg, self.source, codec, self.rate_hz, self.kind)
        if room:
            rig.do(Enqueue(leg, (PlayRoom(room),)))

    def say(self, tick: int) -> None:
        count = self.rate_hz // 50
        frame = self.samples[(tick % 50) * count : (tick % 50 + 1) * count]
        packet = rtp(tick, tick * count, self.codec.encode(frame).tobytes(), self.kind, self.leg)
        self.rig.arrive(self.rig.ports[self.leg], self.source, packet)

    def level(self, tone_hz: float) -> float:
        heard = np.concatenate(self.heard)[self.rate_hz // 5 :]
        return tones.level(heard, tone_hz, self.rate_hz)


class Cluster:
    """Engines in step that carry over each other's sums."""

    def __init__(self, count: int = 2) -> None:
        self.rigs = [EngineRig() for _ in range(count)]
        self.parties: list[Party] = []
        self.tick = 0

    def party(self, place: int, tone_hz: float, codec: str = "PCMU", room: str = "r") -> Party:
        party = Party(self.rigs[place], len(self.parties) + 1, tone_hz, codec, room)
        self.parties.append(party)
        return party

    def span(self, room: str = "r", number: int = 9) -> None:
        for place, rig in enumerate(self.rigs):
            rig.do(SpanRoom(room, number, tuple(p for p in range(len(self.rigs)) if p != place)))

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            for party in self.parties:
                party.say(self.tick)
            for place, rig in enumerate(self.rigs):
                packets = rig.tick()
                for party in self.parties:
                    if party.rig is self.rigs[place] and party.leg in packets:
                        payload = np.frombuffer(packets[party.leg][12:], np.uint8)
                        party.heard.append(party.codec.decode(payload))
            for place, rig in enumerate(self.rigs):
                for peer, words in rig.engine.span_datagrams:
                    self.rigs[peer].engine.spans.put(place, words)
            self.tick += 1


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    yield Cluster()


@pytest.mark.parametrize(("here", "there"), [("PCMU", "PCMU"), ("PCMU", "L16"), ("L16", "PCMU"), ("L16", "L16")])
def test_levels_are_kept_across_rates(cluster: Cluster, here: str, there: str) -> None:
    a, b, c = cluster.party(0, 400, here), cluster.party(1, 700, there), cluster.party(1, 1000, there)
    cluster.span()
    cluster.run(60)
    for party, hears in ((a, (700, 1000)), (b, (400, 1000)), (c, (400, 700))):
        for tone_hz in (400, 700, 1000):
            if tone_hz in hears:
                assert party.level(tone_hz) == pytest.approx(8000, rel=0.03)
            else:
                assert party.level(tone_hz) < 50


def test_nothing_comes_back_and_nothing_is_passed_on() -> None:
    cluster = Cluster(3)
    parties = [cluster.party(place, tone) for place, tone in enumerate((400, 700, 1000))]
    cluster.span()
    cluster.run(60)
    for party, own in zip(parties, (400, 700, 1000), strict=True):
        levels = {tone: party.level(tone) for tone in (400, 700, 1000)}
        assert levels.pop(own) < 50
        assert all(level == pytest.approx(8000, rel=0.03) for level in levels.values())


def test_a_tee_feeds_a_room_that_is_elsewhere(cluster: Cluster) -> None:
    listener, feeder = cluster.party(0, 0), cluster.party(1, 700, room="")
    cluster.rigs[1].do(TeeRoom(feeder.leg, "r"))
    cluster.run(10)
    cluster.span()
    cluster.run(60)
    assert listener.level(700) == pytest.approx(8000, rel=0.2)
    assert feeder.level(700) < 50
    cluster.rigs[1].do(TeeRoom(feeder.leg, "r", False))
    listener.heard.clear()
    cluster.run(30)
    assert listener.level(700) < 50


def test_a_room_that_does_not_span_sends_nothing(cluster: Cluster) -> None:
    cluster.party(0, 400)
    cluster.party(0, 700)
    cluster.run(3)
    assert cluster.rigs[0].engine.span_datagrams == []
    cluster.span()
    cluster.run(3)
    assert [peer for peer, _ in cluster.rigs[0].engine.span_datagrams] == [1]
    for rig in cluster.rigs:
        rig.do(SpanRoom("r", 9))
    cluster.run(1)
    assert cluster.rigs[0].engine.span_datagrams == []


def test_many_rooms_that_talk_take_several_datagrams(cluster: Cluster) -> None:
    rooms = 250
    for number in range(1, rooms + 1):
        cluster.span(f"r{number}", number)
    speakers = [cluster.party(0, 400, room=f"r{number}") for number in range(1, rooms + 1)]
    listener = cluster.party(1, 0, room=f"r{rooms}")
    cluster.run(40)
    assert len(cluster.rigs[0].engine.span_datagrams) == 2
    assert listener.level(400) == pytest.approx(8000, rel=0.03)
    assert speakers[0].level(400) < 50


def audio_of(work: list[Any], path: str) -> Any:
    """Samples that a recorder asked to be written into a file."""
    token = next(w.token for w in work if isinstance(w, FileOpened) and w.path == path)
    parts = [
        w.samples if isinstance(w, Block) else np.zeros(w.samples, np.int16)
        for w in work
        if isinstance(w, (Block, Padding)) and w.token == token
    ]
    return np.concatenate(parts)


def finish(rig: EngineRig, work: list[Any]) -> recording_records.RoomRecordingStopped:
    """Let the shell report every file as written; return what comes of it."""
    for item in work:
        if isinstance(item, FileClosed):
            rig.engine.recorders.written(item.token, 1, "")
    return next(e for e in rig.do() if isinstance(e, recording_records.RoomRecordingStopped))


def test_a_recording_of_a_spanning_room_is_one(cluster: Cluster) -> None:
    a, b = cluster.party(0, 400), cluster.party(1, 700, "L16")
    cluster.span()
    cluster.run(5)
    clock_ns = cluster.rigs[0].now_ns + 20_000_000
    cluster.rigs[0].do(StartRoomRecording("r", "/x/all.wav", "both", clock_ns))
    cluster.run(10)
    cluster.rigs[1].do(StartRoomRecording("r", "/x/all.wav", "both", clock_ns, part=True))
    cluster.run(50)
    cluster.rigs[1].do(StopRoomRecording("r"))
    part_work = cluster.rigs[1].engine.recorders.work
    part = finish(cluster.rigs[1], part_work)
    assert part.paths == (f"/x/all-{b.leg}.wav",)
    cluster.rigs[0].do(StopRoomRecording("r", (part.about,)))
    work = cluster.rigs[0].engine.recorders.work
    whole = finish(cluster.rigs[0], work)
    assert whole.length_ms == 1200
    mix = audio_of(work, "/x/all.wav")
    assert len(mix) == 9600
    assert tones.level(mix[1600:], 400) == pytest.approx(8000, rel=0.05)
    assert tones.level(mix[1600:], 700) == pytest.approx(8000, rel=0.05)
    track = audio_of(part_work, f"/x/all-{b.leg}.wav")
    assert len(track) == 9600
    assert not np.any(track[:1600])
    assert tones.level(track[2000:], 700) == pytest.approx(8000, rel=0.05)
    about = json.loads(whole.about)
    assert about["tracks"] == {str(a.leg): f"all-{a.leg}.wav", str(b.leg): f"all-{b.leg}.wav"}
    joined = {e["leg"]: e["at_ms"] for e in about["events"] if e["event"] == "joined"}
    assert joined == {a.leg: 0, b.leg: 200}
    assert [e["at_ms"] for e in about["events"]] == sorted(e["at_ms"] for e in about["events"])


def test_late_ticks_are_not_part_of_a_recording_that_began_after_them(cluster: Cluster) -> None:
    cluster.party(0, 400)
    rig = cluster.rigs[0]
    rig.do(StartRoomRecording("r", "/x/all.wav", clock_ns=rig.now_ns + 5 * 20_000_000))
    cluster.run(9)
    rig.do(StopRoomRecording("r"))
    assert finish(rig, rig.engine.recorders.work).length_ms == 5 * 20


def test_a_mix_goes_on_where_nobody_is_left(cluster: Cluster) -> None:
    a = cluster.party(0, 400)
    cluster.party(1, 700)
    cluster.span()
    cluster.rigs[0].do(StartRoomRecording("r", "/x/all.wav"))
    cluster.run(20)
    cluster.rigs[0].do(records.CloseLeg(a.leg))
    cluster.parties.remove(a)
    cluster.run(40)
    cluster.rigs[0].do(StopRoomRecording("r"))
    mix = audio_of(cluster.rigs[0].engine.recorders.work, "/x/all.wav")
    assert tones.level(mix[5000:], 700) == pytest.approx(8000, rel=0.05)
    assert tones.level(mix[5000:], 400) < 100


def test_a_part_without_members_still_answers(cluster: Cluster) -> None:
    cluster.rigs[1].do(StartRoomRecording("r", "/x/all.wav", "tracks", 0, part=True))
    cluster.run(3)
    stopped = cluster.rigs[1].do(StopRoomRecording("r"))
    assert [type(e) for e in stopped] == [recording_records.RoomRecordingStopped]
