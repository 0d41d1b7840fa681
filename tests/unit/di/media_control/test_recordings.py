# SPDX-License-Identifier: GPL-2.0-or-later
"""A room that is recorded in several processes: the parts stop before the owner, one event tells of the whole, whoever is lost meanwhile."""

from __future__ import annotations

import random

import pytest

from di.media_control.recordings import MediaRecordings
from di.media_control.rooms import MediaRooms
from media.control.recording_records import RoomRecordingStopped, StartRoomRecording, StopRoomRecording
from media.control.records import Command, Event


class Desk:
    """What the processes are told, and what the hub hears. Process 0 is chosen as long as it is up."""

    def __init__(self) -> None:
        self.rooms = MediaRooms()
        self.told: list[tuple[int, Command]] = []
        self.heard: list[Event] = []
        self.up = True
        self.recordings = MediaRecordings(
            self.rooms,
            lambda process, command: self.told.append((process, command)),
            self.heard.append,
            lambda room: 0 if self.up else None,
        )

    def stopped(self, process: int, *paths: str, reason: str = "asked", length_ms: int = 1000, about: str = "") -> None:
        self.recordings.stopped(process, RoomRecordingStopped("r", paths, length_ms, reason, about))

    def orders(self) -> list[tuple[int, str]]:
        told, self.told = self.told, []
        return [(process, type(command).__name__) for process, command in told]


def begun(mode: str = "both") -> Desk:
    """Two processes have members of the room, and it is recorded."""
    desk = Desk()
    for leg, process in ((1, 0), (2, 1)):
        desk.rooms.enter(leg, process, "r")
    desk.recordings.start(StartRoomRecording("r", "/rec/one", mode=mode))
    return desk


def test_parts_stop_first_and_the_owner_gets_their_accounts() -> None:
    desk = begun()
    assert desk.orders() == [(0, "StartRoomRecording"), (1, "StartRoomRecording")]
    desk.recordings.stop("r")
    assert desk.told == [(1, StopRoomRecording("r"))]
    desk.stopped(1, "/rec/one-b", length_ms=5000, about="b")
    assert desk.told[1:] == [(0, StopRoomRecording("r", ("b",)))] and not desk.heard
    desk.stopped(0, "/rec/one-a", length_ms=4000, about="whole")
    assert desk.heard == [RoomRecordingStopped("r", ("/rec/one-b", "/rec/one-a"), 4000, "asked", "whole")]


def test_a_mix_has_no_parts_and_who_comes_later_adds_one_to_tracks() -> None:
    mix, tracks = begun("mix"), begun()
    assert mix.orders() == [(0, "StartRoomRecording")]
    tracks.orders()
    for desk in (mix, tracks):
        for _ in range(2):
            desk.recordings.entered("r", 2)
            desk.recordings.entered("other", 2)
    assert (mix.orders(), tracks.orders()) == ([], [(2, "StartRoomRecording")])


def test_a_new_recording_follows_the_one_that_is_being_finished() -> None:
    desk = begun("mix")
    desk.recordings.start(StartRoomRecording("r", "/rec/two", mode="mix"))
    assert desk.orders() == [(0, "StartRoomRecording"), (0, "StopRoomRecording")]
    desk.stopped(0, "/rec/one")
    assert desk.orders() == [(0, "StartRoomRecording")] and len(desk.heard) == 1
    desk.recordings.start(StartRoomRecording("r", "/rec/three", mode="mix"))
    desk.recordings.stop("r")  # the third, before it has begun
    assert desk.heard[1] == RoomRecordingStopped("r", (), 0, "asked")
    desk.stopped(0, "/rec/two")
    assert desk.orders() == [(0, "StopRoomRecording")] and len(desk.heard) == 3


def test_of_several_that_are_to_follow_the_last_one_does_and_each_is_told_of() -> None:
    desk = begun()
    for name in ("two", "three"):
        desk.recordings.start(StartRoomRecording("r", f"/rec/{name}", mode="mix"))
    assert desk.heard == [RoomRecordingStopped("r", (), 0, "asked")], "of the second, which has not begun"
    desk.orders()
    desk.stopped(1, "/rec/one-b")
    desk.stopped(0, "/rec/one-a")
    assert desk.orders() == [(0, "StopRoomRecording"), (0, "StartRoomRecording")] and len(desk.heard) == 2
    desk.stopped(0, "/rec/three")
    assert desk.heard[2] == RoomRecordingStopped("r", ("/rec/three",), 1000, "asked")


@pytest.mark.parametrize("lost", [0, 1])
def test_who_is_lost_ends_or_spoils_the_recording_and_says_so(lost: int) -> None:
    desk = begun()
    desk.recordings.lost(lost)
    desk.recordings.stop("r")
    if lost == 0:
        assert not desk.heard, "the part has yet to close its files"
    desk.stopped(1 - lost, "/rec/one-x")
    (event,) = desk.heard
    assert isinstance(event, RoomRecordingStopped) and event.paths == ("/rec/one-x",) and event.reason != "asked"


def test_while_no_process_is_up_the_answer_comes_at_once() -> None:
    desk = Desk()
    desk.up = False
    desk.recordings.start(StartRoomRecording("r", "/rec/one", mode="mix"))
    assert desk.heard == [RoomRecordingStopped("r", (), 0, "no media process is up")] and not desk.told
    desk.recordings.stop("r")
    desk.stopped(0, "/rec/one")
    assert len(desk.heard) == 1


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_each_recording_is_told_of_once_and_nothing_is_left(seed: int) -> None:
    rng, desk, begun_, running = random.Random(seed), Desk(), 0, set[int]()
    for _ in range(60):
        match rng.randrange(5):
            case 0:
                desk.recordings.start(StartRoomRecording("r", f"/rec/{begun_}", mode="both"))
                begun_ += 1
            case 1:
                desk.recordings.stop("r")
            case 2:
                desk.recordings.entered("r", rng.randrange(3))
            case 3 if running:
                process = rng.choice(sorted(running))
                running.discard(process)
                desk.recordings.lost(process)
            case 4 if running:
                process = rng.choice(sorted(running))
                running.discard(process)
                desk.stopped(process, f"/rec/{process}")
        for process, command in desk.told:
            if isinstance(command, StartRoomRecording):
                assert process not in running, "who records the room is not told to begin once more"
                running.add(process)
        desk.told.clear()
    desk.recordings.stop("r")
    while running:
        desk.stopped(running.pop(), "/rec/x")
    assert len(desk.heard) == begun_
    assert not desk.rooms.processes("r"), "nobody watches the room any more"
