# SPDX-License-Identifier: GPL-2.0-or-later
"""Recordings of rooms whose members have other rates than the file: what is written sounds as the room did."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from media.control.play_items import PlayRoom
from media.control.recording_records import RoomRecordingStopped, StartRoomRecording, StopRoomRecording
from media.control.records import Enqueue
from media.dsp.resample import FrameConverter
from media.engine.takes import Block, FileClosed
from tests.support.engine_rig import EngineRig, rtp
from tests.support.tones import level, tone

TICKS = 50


def record(speakers: dict[int, tuple[int, int]], mode: str, file_hz: int = 8000) -> dict[str, NDArray[np.int16]]:
    """Let legs (leg → rate, frequency) speak in one room for a second; return what each file would hold, by its path."""
    rig = EngineRig()
    sounds = {}
    for leg, (rate_hz, frequency_hz) in speakers.items():
        rig.connect(leg, ("10.0.0.1", 4000 + leg), "L16", rate_hz, 96)
        rig.do(Enqueue(leg, (PlayRoom("r"),)))
        sounds[leg] = tone(frequency_hz, 20 * TICKS, rate_hz).reshape(TICKS, -1)
    rig.do(StartRoomRecording("r", "x.wav", mode, rate_hz=file_hz))
    for step in range(TICKS):
        for leg, (rate_hz, _) in speakers.items():
            packet = rtp(step, step * rate_hz // 50, sounds[leg][step].astype(">i2").tobytes(), 96)
            rig.arrive(rig.ports[leg], ("10.0.0.1", 4000 + leg), packet)
        rig.tick()
    rig.do(StopRoomRecording("r"))
    paths, blocks = {}, {}
    for work in rig.engine.recorders.work:
        if hasattr(work, "path"):
            paths[work.token] = work.path
        elif isinstance(work, Block):
            blocks.setdefault(work.token, []).append(work.samples)
    return {paths[token]: np.concatenate(parts) for token, parts in blocks.items()}


@pytest.mark.parametrize("rate_hz", [16000, 32000, 48000])
def test_what_the_file_has_no_room_for_is_left_out_and_not_folded_into_it(rate_hz: int) -> None:
    mix = record({1: (rate_hz, 6500), 2: (8000, 1000)}, "mix")["x.wav"][800:7200]
    assert level(mix, 1500) < 40, "6500 Hz came back as 1500 Hz"
    assert level(mix, 1000) == pytest.approx(8000, rel=0.03)


def test_members_of_several_rates_are_all_in_the_mix_and_each_in_its_track() -> None:
    files = record({1: (16000, 500), 2: (48000, 1100), 3: (8000, 1700)}, "both")
    assert set(files) == {"x.wav", "x-1.wav", "x-2.wav", "x-3.wav"}
    for frequency_hz, path in ((500, "x-1.wav"), (1100, "x-2.wav"), (1700, "x-3.wav")):
        for name in files:
            heard = level(files[name][800:7200], frequency_hz)
            assert (heard == pytest.approx(8000, rel=0.03)) if name in (path, "x.wav") else heard < 40, (frequency_hz, name)


def test_converted_frames_join_without_a_seam() -> None:
    converter = FrameConverter(16000, 8000)
    out = np.concatenate([converter.convert(frame) for frame in tone(700, 200, 16000).reshape(10, 320)])
    steps = np.abs(np.diff(out[160:].astype(int), 2))
    assert steps.max() < 1.1 * 8000 * (2 * np.pi * 700 / 8000) ** 2


def test_a_wideband_recording_keeps_what_wideband_members_say() -> None:
    files = record({1: (16000, 6500), 2: (48000, 5000), 3: (8000, 1700)}, "both", 16000)
    for frequency_hz, path in ((6500, "x-1.wav"), (5000, "x-2.wav"), (1700, "x-3.wav")):
        for name, samples in files.items():
            assert len(samples) == 16000 * TICKS // 50
            heard = level(samples[1600:14400], frequency_hz, 16000)
            assert (heard == pytest.approx(8000, rel=0.05)) if name in (path, "x.wav") else heard < 60, (frequency_hz, name)


def test_another_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="8000, 16000"):
        EngineRig().do(StartRoomRecording("r", "x.wav", rate_hz=44100))


def test_who_is_inside_is_in_it_from_its_beginning_however_late_its_first_tick_comes() -> None:
    rig = EngineRig()
    for leg in (1, 2):
        rig.connect(leg, ("10.0.0.1", 4000 + leg))
    rig.do(Enqueue(1, (PlayRoom("r"),)))
    rig.do(StartRoomRecording("r", "x.wav", "both", clock_ns=rig.now_ns - 30_000_000))  # the process was not there for two ticks
    rig.tick()
    rig.do(Enqueue(2, (PlayRoom("r"),)))
    rig.tick()
    rig.do(StopRoomRecording("r"))
    for work in rig.engine.recorders.work:
        if isinstance(work, FileClosed):
            rig.engine.recorders.written(work.token, 0, "")
    (stopped,) = (event for event in rig.do() if isinstance(event, RoomRecordingStopped))
    joined = {told["leg"]: told["at_ms"] for told in json.loads(stopped.about)["events"] if told["event"] == "joined"}
    assert (joined, stopped.length_ms) == ({1: 0, 2: 60}, 80)
