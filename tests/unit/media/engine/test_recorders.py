# SPDX-License-Identifier: GPL-2.0-or-later
"""Recordings of rooms and legs that have other rates than the file: what is written sounds as the room did; record items of playlists."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from media.control.play_items import PlayRecord, PlayRoom, PlaySeparator, PlayTone
from media.control.recording_records import (
    CallRecordingStopped,
    RecordingStopped,
    RoomRecordingStopped,
    StartCallRecording,
    StartRecording,
    StartRoomRecording,
    StopRecording,
    StopRoomRecording,
)
from media.control.records import ConnectLeg, Enqueue, FlushPlaylist, LegOpened, OpenLeg, PlaylistEmptied, SeparatorReached
from media.dsp.resample import FrameConverter
from media.engine.takes import Block, FileClosed, Take
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
    return files(rig)


def files(rig: EngineRig) -> dict[str, NDArray[np.int16]]:
    """What each file would hold, by its path; one that was opened anew holds what came since."""
    paths, blocks = {}, {}
    for work in rig.engine.recorders.work:
        if hasattr(work, "path"):
            paths[work.token] = work.path
        elif isinstance(work, Block):
            blocks.setdefault(work.token, []).append(work.samples)
    return {paths[token]: np.concatenate(parts) for token, parts in blocks.items()}


PHONE = ("10.0.0.1", 4001)


def say(rig: EngineRig, frequency_hz: int, rate_hz: int, start: int, ticks: int = TICKS) -> None:
    """Let leg 1 speak linear samples for so many ticks; `start`: how many it has spoken before."""
    for step, frame in enumerate(tone(frequency_hz, 20 * ticks, rate_hz).reshape(ticks, -1), start):
        rig.arrive(rig.ports[1], PHONE, rtp(step, step * rate_hz // 50, frame.astype(">i2").tobytes(), 96))
        rig.tick()


def again(rig: EngineRig, rate_hz: int) -> None:
    """A re-INVITE agrees on another rate."""
    rig.do(ConnectLeg(1, *PHONE, "L16", rate_hz, 96, 96))


def test_a_leg_is_recorded_on_when_its_rate_changes() -> None:
    rig = EngineRig()
    rig.connect(1, PHONE, "L16", 8000, 96)
    rig.do(StartRecording(1, "x.wav", silence_ms=800))
    say(rig, 500, 8000, 0)
    again(rig, 16000)
    say(rig, 700, 16000, TICKS)
    rig.do(StopRecording(1))
    samples = files(rig)["x.wav"]
    assert len(samples) == 2 * 8000 * TICKS // 50 and not [e for e in rig.events if isinstance(e, RecordingStopped)]
    for part, there, not_there in ((samples[800:7200], 500, 700), (samples[8800:15200], 700, 500)):
        assert level(part, there) == pytest.approx(8000, rel=0.05) and level(part, not_there) < 100


def test_a_recording_that_begins_before_the_leg_is_connected_has_what_is_said_then() -> None:
    rig = EngineRig()
    (opened,) = [e for e in rig.do(OpenLeg(1, *PHONE)) if isinstance(e, LegOpened)]
    rig.ports[1] = opened.port
    rig.do(StartRecording(1, "x.wav"))
    again(rig, 16000)
    say(rig, 700, 16000, 0)
    rig.do(StopRecording(1))
    assert level(files(rig)["x.wav"][800:7200], 700) == pytest.approx(8000, rel=0.05)


def item(rig: EngineRig, length_ms: int = 0) -> None:
    rig.connect(1, PHONE, "L16", 8000, 96)
    rig.do(Enqueue(1, (PlayRecord("x.wav", length_ms), PlaySeparator(7))))


def reached(rig: EngineRig) -> list[int]:
    return [e.number for e in rig.events if isinstance(e, SeparatorReached)]


def test_a_record_item_waits_while_others_are_played_before_it_and_loses_nothing() -> None:
    rig = EngineRig()
    item(rig, length_ms=600)
    say(rig, 500, 8000, 0, 20)
    rig.do(Enqueue(1, (PlayTone((900,), length_ms=200),), True))
    say(rig, 1300, 8000, 20, 10)
    assert not reached(rig)
    say(rig, 700, 8000, 30, 15)
    assert reached(rig) == [7]
    samples = files(rig)["x.wav"]
    assert len(samples) == 600 * 8
    assert level(samples[800:3000], 500) == pytest.approx(8000, rel=0.05)
    assert level(samples[3360:4700], 700) == pytest.approx(8000, rel=0.1) and level(samples, 1300) < 600


@pytest.mark.parametrize("played_before", [False, True])
@pytest.mark.parametrize("how", ["asked", "disk", "another"])
def test_a_record_item_is_over_with_its_recording(how: str, played_before: bool) -> None:
    rig = EngineRig()
    item(rig)
    say(rig, 500, 8000, 0, 20)
    if played_before:
        rig.do(Enqueue(1, (PlayTone((900,), length_ms=100),), True))
    if how == "asked":
        rig.do(StopRecording(1))
    elif how == "disk":
        rig.engine.recorders.written(1, 0, "No space left on device")
    else:
        rig.do(StartRecording(1, "y.wav"))
    say(rig, 500, 8000, 20, 10)
    assert reached(rig) == [7]
    assert sum(isinstance(e, PlaylistEmptied) for e in rig.events) == 1
    assert rig.engine.recorders.busy


def test_a_flush_finishes_the_file_of_a_record_item_that_waits() -> None:
    rig = EngineRig()
    item(rig)
    say(rig, 500, 8000, 0, 20)
    rig.do(Enqueue(1, (PlayTone((900,), length_ms=100),), True), FlushPlaylist(1))
    assert [work.path for work in rig.engine.recorders.work if isinstance(work, FileClosed)] == ["x.wav"]
    rig.do(Enqueue(1, (PlayRecord("y.wav"), PlaySeparator(8))))
    say(rig, 500, 8000, 20, 10)
    assert not reached(rig), "the end of the first is not the end of the second"


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


def test_a_fault_of_ours_costs_the_recordings_that_it_meets_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rig = EngineRig()
    rig.connect(1, PHONE, "L16", 8000, 96)
    rig.connect(2, ("10.0.0.2", 4002), "L16", 8000, 96)
    rig.do(Enqueue(1, (PlayRoom("r"),)), Enqueue(2, (PlayRoom("r"),)))
    rig.do(StartRecording(1, "leg.wav"), StartCallRecording(1, "call.wav", "both"), StartRoomRecording("r", "room.wav", "both"))
    say(rig, 500, 8000, 0, 5)
    with monkeypatch.context() as patched:
        patched.setattr(Take, "at_rate", lambda *_: 1 // 0)
        say(rig, 500, 8000, 5, 1)
    say(rig, 500, 8000, 6, 5)
    closed = [work for work in rig.engine.recorders.work if isinstance(work, FileClosed)]
    assert {work.path for work in closed} == {"leg.wav", "call.wav", "room.wav", "room-1.wav", "room-2.wav"}
    for work in closed:
        rig.engine.recorders.written(work.token, 100, "")
    ended = [e for e in rig.do() if isinstance(e, (RecordingStopped, CallRecordingStopped, RoomRecordingStopped))]
    assert len(ended) == 3 and {e.reason.partition(":")[0] for e in ended} == {"ZeroDivisionError"}
    assert caplog.text.count("cannot go on") == 3 and set(rig.engine.by_number) == {1, 2}
    assert rig.tick(), "the legs are sent packets still"
