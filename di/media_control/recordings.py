# SPDX-License-Identifier: GPL-2.0-or-later
"""Recordings of rooms that span media processes: one of them, the owner, has the mix and the account; others record their own tracks.

StartRoomRecording ─► owner, and as part to each other process that has members (or gets one later); one clock for all
StopRoomRecording ─► parts ─► what they recorded ─► owner, whose account takes it in ─► one RoomRecordingStopped
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from di.media_control.rooms import MediaRooms
from media.control.recording_records import RoomRecordingStopped, StartRoomRecording, StopRoomRecording
from media.control.records import Command, Event

_LOST = "a media process that recorded some of it is lost"


@dataclass(slots=True)
class _Recording:
    command: StartRoomRecording
    owner: int | None
    parts: set[int] = field(default_factory=set)
    waiting: set[int] = field(default_factory=set)  # parts that are to stop
    stopping: bool = False
    accounts: list[str] = field(default_factory=list)  # of the parts
    about: str = ""
    paths: list[str] = field(default_factory=list)
    length_ms: int = 0
    failure: str = ""
    following: StartRoomRecording | None = None


class MediaRecordings:
    """The room recordings of all processes. `tell(process, command)` and `emit(event)` are the router's."""

    def __init__(
        self,
        rooms: MediaRooms,
        tell: Callable[[int, Command], None],
        emit: Callable[[Event], None],
        choose: Callable[[str], int | None],
    ) -> None:
        """`choose(room)`: the process for a recording of a room; None while none is up."""
        self._rooms = rooms
        self._tell = tell
        self._emit = emit
        self._choose = choose
        self._by_room: dict[str, _Recording] = {}

    def start(self, command: StartRoomRecording) -> None:
        """Record a room; an earlier recording of it is finished first, and one that had yet to follow it is none any more."""
        running = self._by_room.get(command.room)
        if running is not None:
            self.stop(command.room)
            running.following = command
            return
        owner = self._choose(command.room)
        if owner is None:
            self._emit(RoomRecordingStopped(command.room, (), 0, "no media process is up"))
            return
        self._by_room[command.room] = _Recording(command, owner)
        self._tell(owner, command)
        self._rooms.watch(command.room, owner, True)
        for process in self._rooms.processes(command.room):
            self.entered(command.room, process)

    def entered(self, room: str, process: int) -> None:
        """A process has a member of the room: it records him, if tracks are wanted."""
        recording = self._by_room.get(room)
        if recording is None or recording.stopping or recording.command.mode == "mix":
            return
        if process != recording.owner and process not in recording.parts:
            recording.parts.add(process)
            self._tell(process, replace(recording.command, part=True))

    def stop(self, room: str) -> None:
        """Finish a room's recording, if there is one: the parts first."""
        recording = self._by_room.get(room)
        if recording is None:
            return
        if recording.stopping:
            if recording.following is not None:
                recording.following = None
                self._emit(RoomRecordingStopped(room, (), 0, "asked"))
            return
        recording.stopping, recording.waiting = True, set(recording.parts)
        for process in sorted(recording.waiting):
            self._tell(process, StopRoomRecording(room))
        self._parts_stopped(recording)

    def stopped(self, process: int, event: RoomRecordingStopped) -> None:
        """A process has finished its share."""
        recording = self._by_room.get(event.room)
        if recording is None:
            return
        recording.paths += event.paths
        recording.length_ms = max(recording.length_ms, event.length_ms)
        if event.reason != "asked":
            recording.failure = recording.failure or event.reason
        if process == recording.owner:
            recording.length_ms, recording.about = event.length_ms, event.about
            recording.owner = None
            self._rooms.watch(event.room, process, False)
            self._end_without_owner(recording)
        elif process in recording.parts:
            recording.parts.discard(process)
            recording.waiting.discard(process)
            recording.accounts += [event.about] if event.about else []
            self._parts_stopped(recording)

    def lost(self, process: int) -> None:
        """A process is gone, with what it recorded."""
        for recording in list(self._by_room.values()):
            if process in recording.parts:
                recording.failure = _LOST
                recording.parts.discard(process)
                recording.waiting.discard(process)
                self._parts_stopped(recording)
            elif process == recording.owner:
                recording.failure = _LOST
                recording.owner = None
                self._rooms.watch(recording.command.room, process, False)
                self._end_without_owner(recording)

    def _parts_stopped(self, recording: _Recording) -> None:
        """When all parts have stopped, the owner stops too."""
        if not recording.stopping or recording.waiting:
            return
        if recording.owner is None:
            self._finish(recording)
        else:
            self._tell(recording.owner, StopRoomRecording(recording.command.room, tuple(recording.accounts)))

    def _end_without_owner(self, recording: _Recording) -> None:
        if not recording.stopping and recording.parts:
            self.stop(recording.command.room)
        elif not recording.waiting:
            self._finish(recording)

    def _finish(self, recording: _Recording) -> None:
        room = recording.command.room
        if self._by_room.pop(room, None) is None:
            return
        reason = recording.failure or "asked"
        self._emit(RoomRecordingStopped(room, tuple(recording.paths), recording.length_ms, reason, recording.about))
        if recording.following is not None:
            self.start(recording.following)
