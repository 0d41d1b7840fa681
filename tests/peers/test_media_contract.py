# SPDX-License-Identifier: GPL-2.0-or-later
"""The fake media process, the real one and two of each behind a router give the same answers to the same commands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from di.media_control.router import MediaRouter
from media.control import recording_records, records
from media.control.play_items import PlayFile, PlayRoom, PlaySeparator, PlaySilence
from tests.support import tones
from tests.support.fake_media import FakeMedia
from tests.support.media_cluster import MediaCluster
from tests.support.media_server import MediaServer

pytestmark = pytest.mark.peers


class FakeSide:
    """The fake, with the real one's way of waiting."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.media = FakeMedia(self.events.append)
        self.media.finishes = True

    def send(self, *commands: object) -> None:
        for command in commands:
            self.media.send(command)

    def wait_for(self, kind: type, seconds: float = 0.0, **values: object) -> Any:
        for place, event in enumerate(self.events):
            if isinstance(event, kind) and all(getattr(event, k) == v for k, v in values.items()):
                return self.events.pop(place)
        raise AssertionError(f"no {kind.__name__} {values}; there were {self.events}")

    def collect(self, seconds: float = 0.0) -> None:
        """The fake's events come at once."""

    def let_end(self, leg: int) -> None:
        self.media.finish_item(leg)


class RealSide(MediaServer):
    """The real process; items end by themselves."""

    def let_end(self, leg: int) -> None:
        """Nothing to do."""


class FakePair(FakeSide):
    """Two fakes behind a router."""

    def __init__(self) -> None:
        super().__init__()
        self.router = MediaRouter(2, self.events.append)
        self.both = [FakeMedia(lambda event, place=place: self.router.on_event(place, event)) for place in (0, 1)]  # type: ignore[misc]
        for place, media in enumerate(self.both):
            media.finishes = True
            self.router.up(place, media)

    def send(self, *commands: object) -> None:
        for command in commands:
            self.router.send(command)

    def let_end(self, leg: int) -> None:
        next(media for media in self.both if leg in media.legs).finish_item(leg)


class RealPair(MediaCluster):
    """Two real processes behind a router; items end by themselves."""

    def let_end(self, leg: int) -> None:
        """Nothing to do."""


@pytest.fixture(params=["fake", "real", "two fakes", "two real"])
def side(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "fake":
        yield FakeSide()
        return
    if request.param == "two fakes":
        yield FakePair()
        return
    if request.param == "two real":
        with RealPair() as pair:
            yield pair
        return
    with RealSide() as real:
        yield real


@pytest.fixture
def beep(tmp_path: Path) -> str:
    return str(tones.write_wav(tmp_path / "beep.wav", tones.tone(1000, 60)))


def connect(side: Any, leg: int) -> None:
    side.send(records.OpenLeg(leg, "127.0.0.1", 40000 + 2 * leg))
    opened = side.wait_for(records.LegOpened, leg=leg)
    assert opened.ip == "127.0.0.1"
    assert opened.port % 2 == 0
    side.send(records.ConnectLeg(leg, "127.0.0.1", 40000 + 2 * leg, "PCMU", 8000, 0, 0))


def test_a_file_then_empty(side: Any, beep: str) -> None:
    connect(side, 1)
    side.send(records.Enqueue(1, (PlayFile(beep),)))
    side.let_end(1)
    side.wait_for(records.PlaylistEmptied, leg=1)


def test_separators_come_in_order_and_go(side: Any, beep: str) -> None:
    connect(side, 1)
    items = (PlaySeparator(1), PlayFile(beep), PlaySeparator(2))
    side.send(records.Enqueue(1, items))
    side.wait_for(records.SeparatorReached, leg=1, number=1)
    side.let_end(1)
    side.wait_for(records.SeparatorReached, leg=1, number=2)
    side.wait_for(records.PlaylistEmptied, leg=1)


def test_what_is_queued_before_the_leg_is_connected_waits(side: Any, beep: str) -> None:
    side.send(records.OpenLeg(1, "127.0.0.1", 40002))
    side.wait_for(records.LegOpened, leg=1)
    side.send(records.Enqueue(1, (PlayFile(beep), PlaySeparator(7))))
    side.collect(0.3)
    assert not [e for e in side.events if isinstance(e, records.SeparatorReached)]
    side.send(records.ConnectLeg(1, "127.0.0.1", 40002, "PCMU", 8000, 0, 0))
    side.let_end(1)
    side.wait_for(records.SeparatorReached, leg=1, number=7)


def test_a_missing_file_is_said_and_skipped(side: Any, tmp_path: Path) -> None:
    connect(side, 1)
    missing = str(tmp_path / "none.wav")
    side.send(records.Enqueue(1, (PlayFile(missing), PlaySeparator(1))))
    failed = side.wait_for(records.ItemFailed, leg=1)
    assert failed.path == missing
    assert failed.reason
    side.wait_for(records.SeparatorReached, leg=1, number=1)


def test_flush_makes_no_event(side: Any) -> None:
    connect(side, 1)
    side.send(records.Enqueue(1, (PlaySilence(),)), records.FlushPlaylist(1))
    side.send(records.Enqueue(1, (PlaySeparator(1), PlaySilence())))
    side.wait_for(records.SeparatorReached, leg=1, number=1)  # what comes of the flush came before it
    assert not [e for e in side.events if isinstance(e, records.PlaylistEmptied)]


def test_recordings_of_calls_and_rooms_are_told_once_when_they_are_complete(side: Any, tmp_path: Path) -> None:
    for leg in (1, 2):
        connect(side, leg)
        side.send(recording_records.StartCallRecording(leg, str(tmp_path / f"{leg}.wav"), "both" if leg == 1 else "said"))
    side.collect(0.2)
    side.send(recording_records.StopCallRecording(1), records.CloseLeg(2))
    for leg, reason, channels in ((1, "asked", 2), (2, "closed", 1)):
        stopped = side.wait_for(recording_records.CallRecordingStopped, leg=leg)
        assert (stopped.path, stopped.reason, stopped.channels) == (str(tmp_path / f"{leg}.wav"), reason, channels)
        assert stopped.size_bytes == 44 + stopped.samples * stopped.channels * 2
    side.send(recording_records.StopCallRecording(1))

    connect(side, 3)
    for leg in (1, 3):
        side.send(records.Enqueue(leg, (PlayRoom("r"),)))
    path = str(tmp_path / "r.wav")
    side.send(recording_records.StartRoomRecording("r", path))
    side.collect(0.3)
    side.send(recording_records.StopRoomRecording("r"), recording_records.StopRoomRecording("r"))
    stopped = side.wait_for(recording_records.RoomRecordingStopped, room="r")
    assert (stopped.reason, stopped.paths) == ("asked", (path,))
    about = json.loads(stopped.about)
    assert (about["room"], about["mix"], about["rate_hz"]) == ("r", "r.wav", 8000)
    assert about["samples"] == stopped.length_ms * 8
    side.collect(0.2)
    again = (recording_records.RoomRecordingStopped, recording_records.CallRecordingStopped)
    assert not [e for e in side.events if isinstance(e, again)], "there was nothing more to stop"


def test_load_prompt(side: Any, beep: str, tmp_path: Path) -> None:
    side.send(records.LoadPrompt(5, beep), records.LoadPrompt(6, str(tmp_path / "none.wav")))
    assert side.wait_for(records.PromptLoaded, request=5).error == ""
    assert side.wait_for(records.PromptLoaded, request=6).error


def test_two_legs_have_two_addresses_or_one_that_tells_them_apart(side: Any) -> None:
    connect(side, 1)
    connect(side, 2)
    side.send(records.CloseLeg(1), records.CloseLeg(2), records.QueryStatistics(9))
    assert side.wait_for(records.Statistics, request=9).counters["legs"] == 0
