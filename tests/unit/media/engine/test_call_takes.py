# SPDX-License-Identifier: GPL-2.0-or-later
"""Recordings of calls: what is said and what is heard, in step, whatever the call plays, hears or bridges."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from media.control.play_items import PlayBridge, PlayEcho, PlayRoom, PlayTone
from media.control.recording_records import CallRecordingStopped, StartCallRecording, StartRecording, StopCallRecording
from media.control.records import CloseLeg, Enqueue, FlushPlaylist
from media.engine.takes import Block, FileClosed, FileOpened
from tests.support.engine_rig import EngineRig, rtp
from tests.support.tones import level, tone

HZ = {1: 400, 2: 900, 3: 1500}


class CallRig(EngineRig):
    """Legs that say a tone each."""

    def __init__(self) -> None:
        super().__init__()
        self.step = 0
        self.rates: dict[int, int] = {}

    def party(self, leg: int, codec: str = "PCMU", rate_hz: int = 8000, **more: object) -> None:
        self.connect(leg, ("10.0.0.1", 4000 + leg), codec, rate_hz, 0 if codec == "PCMU" else 96, **more)
        self.rates[leg] = rate_hz

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            for leg, rate_hz in self.rates.items():
                sound = tone(HZ[leg], 1000, rate_hz).reshape(50, -1)[self.step % 50]
                codec = self.engine.by_number[leg].codec
                assert codec is not None
                payload = sound.astype(">i2").tobytes() if codec.rtpmap == "L16" else codec.encode(sound).tobytes()
                kind = 96 if codec.rtpmap == "L16" else 0
                packet = rtp(self.step, self.step * rate_hz // 50, payload, kind)
                self.arrive(self.ports[leg], ("10.0.0.1", 4000 + leg), packet)
            self.step += 1
            self.tick()

    def written(self) -> dict[str, NDArray[np.int16]]:
        """What each finished file holds: (n,) or (n, 2)."""
        opened: dict[int, FileOpened] = {}
        blocks: dict[int, list[NDArray[np.int16]]] = {}
        for work in self.engine.recorders.work:
            if isinstance(work, FileOpened):
                opened[work.token] = work
            elif isinstance(work, Block):
                blocks.setdefault(work.token, []).append(work.samples)
            elif isinstance(work, FileClosed):
                self.engine.recorders.written(work.token, 99, "")
        files = {}
        for token, about in opened.items():
            samples = np.concatenate(blocks.get(token, [np.zeros(0, np.int16)]))
            files[about.path] = samples.reshape(-1, 2) if about.channels == 2 else samples
        return files

    def stopped(self) -> list[CallRecordingStopped]:
        self.do()
        return [e for e in self.events if isinstance(e, CallRecordingStopped)]


def assert_hears(samples: NDArray[np.int16], wanted: set[int], rate_hz: int = 8000) -> None:
    for frequency_hz in {*HZ.values(), 650}:
        found = level(samples, frequency_hz, rate_hz)
        assert (found > 5000) if frequency_hz in wanted else (found < 100), (frequency_hz, found)


def test_said_left_and_heard_right() -> None:
    rig = CallRig()
    rig.party(1)
    rig.do(Enqueue(1, (PlayTone((650,), length_ms=60_000),)), StartCallRecording(1, "c.wav"))
    rig.run(100)
    rig.do(StopCallRecording(1))
    both = rig.written()["c.wav"]
    assert both.shape == (16000, 2)
    assert_hears(both[4000:, 0], {400})
    assert_hears(both[4000:, 1], {650})
    assert rig.stopped() == [CallRecordingStopped(1, "c.wav", 16000, 8000, 2, 99, "asked")]


def test_an_echo_is_heard_in_the_tick_in_which_it_is_said() -> None:
    rig = CallRig()
    rig.party(1, "L16")
    rig.do(Enqueue(1, (PlayEcho(),)), StartCallRecording(1, "c.wav"))
    rig.run(60)
    rig.do(StopCallRecording(1))
    both = rig.written()["c.wav"]
    assert_hears(both[4000:, 0], {400})
    assert np.array_equal(both[:, 0], both[:, 1])


@pytest.mark.parametrize("sides", ["said", "heard"])
def test_one_side(sides: str) -> None:
    rig = CallRig()
    rig.party(1)
    rig.do(Enqueue(1, (PlayTone((650,), length_ms=60_000),)), StartCallRecording(1, "c.wav", sides))
    rig.run(50)
    rig.do(StopCallRecording(1))
    samples = rig.written()["c.wav"]
    assert samples.shape == (8000,)
    assert_hears(samples[2000:], {400} if sides == "said" else {650})


def test_a_bridge_whose_payloads_were_passed_on_is_decoded_while_it_is_recorded() -> None:
    rig = CallRig()
    rig.party(1)
    rig.party(2)
    rig.do(Enqueue(1, (PlayBridge(2),)), Enqueue(2, (PlayBridge(1),)))
    rig.run(50)
    passed = rig.engine.relays.passed_on
    assert passed > 20
    rig.do(StartCallRecording(1, "c.wav"))
    rig.run(100)
    assert rig.engine.relays.passed_on <= passed + 2
    rig.do(StopCallRecording(1))
    rig.run(50)
    assert rig.engine.relays.passed_on > passed + 20, "afterwards they are passed on again"
    both = rig.written()["c.wav"]
    assert_hears(both[4000:, 0], {400})
    assert_hears(both[4000:, 1], {900})


def test_in_a_room_each_hears_the_others_and_the_application_records_beside() -> None:
    rig = CallRig()
    for leg, (codec, rate_hz) in enumerate([("PCMU", 8000), ("L16", 16000), ("L16", 48000)], 1):
        rig.party(leg, codec, rate_hz)
        rig.do(Enqueue(leg, (PlayRoom("r"),)), StartCallRecording(leg, f"c{leg}.wav"))
    rig.do(StartRecording(1, "own.wav"))
    rig.run(100)
    rig.do(*(StopCallRecording(leg) for leg in (1, 2, 3)))
    files = rig.written()
    for leg, rate_hz in ((1, 8000), (2, 16000), (3, 16000)):
        both = files[f"c{leg}.wav"]
        assert both.shape == (2 * rate_hz, 2)
        assert_hears(both[rate_hz:, 0], {HZ[leg]}, rate_hz)
        assert_hears(both[rate_hz:, 1], {*HZ.values()} - {HZ[leg]}, rate_hz)
    assert not [e for e in rig.stopped() if e.path == "own.wav"], "the application's recording goes on"


def test_longer_packets_and_a_flushed_playlist_leave_no_gap_in_time() -> None:
    rig = CallRig()
    rig.party(1, ptime_ms=60)
    rig.do(StartCallRecording(1, "c.wav"), Enqueue(1, (PlayTone((650,), length_ms=60_000),)))
    rig.run(50)
    rig.do(FlushPlaylist(1))
    rig.run(50)
    rig.do(StopCallRecording(1))
    heard = rig.written()["c.wav"][:, 1]
    assert len(heard) == 16000
    assert_hears(heard[400:7800], {650})
    assert not np.any(np.abs(heard[8400:].astype(int)) > 10)


def test_it_ends_by_its_length_with_the_call_and_by_an_error() -> None:
    rig = CallRig()
    for leg in (1, 2, 3):
        rig.party(leg)
    rig.do(StartCallRecording(1, "1.wav", length_ms=500), StartCallRecording(2, "2.wav"), StartCallRecording(3, "3.wav"))
    rig.run(30)
    assert 1 not in rig.engine.recorders.tapped
    rig.do(CloseLeg(2))
    del rig.rates[2]
    token = next(w.token for w in rig.engine.recorders.work if isinstance(w, FileOpened) and w.path == "3.wav")
    rig.engine.recorders.written(token, 0, "no space")
    assert not rig.engine.recorders.tapped
    assert rig.written()["1.wav"].shape == (4000, 2)
    assert {(e.leg, e.samples, e.reason) for e in rig.stopped()} == {
        (1, 4000, "length"),
        (2, 4800, "closed"),
        (3, 4800, "no space"),
    }
    rig.engine.recorders.work = []
    assert not rig.engine.recorders.others
    assert not rig.engine.recorders.busy


def test_a_second_start_finishes_the_first_and_other_sides_are_refused() -> None:
    rig = CallRig()
    rig.party(1)
    rig.do(StartCallRecording(1, "a.wav"))
    rig.run(10)
    rig.do(StartCallRecording(1, "b.wav"))
    rig.run(10)
    with pytest.raises(ValueError, match="said, heard, both"):
        rig.do(StartCallRecording(1, "c.wav", "left"))
    rig.do(StopCallRecording(1))
    files = rig.written()
    assert {path: len(samples) for path, samples in files.items()} == {"a.wav": 1600, "b.wav": 1600}
    assert [e.path for e in rig.stopped()] == ["a.wav", "b.wav"]
