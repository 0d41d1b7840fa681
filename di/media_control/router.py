# SPDX-License-Identifier: GPL-2.0-or-later
"""Several media processes as one: `di.media_control.port.MediaPort` for all above, which knows legs and rooms but no processes.

    send(command) ─┬─ of a leg ──────────► its process
                   ├─ OpenLeg ───────────► process of its room or neighbour, else the one with least to do
                   ├─ of a room ─────────► each process that has legs of it
                   └─ LoadPrompt, … ─────► all; their answers become one
    on_event(process, event) ──► emit(event)

Rooms that get legs in several processes are made to span them (SpanRoom). A bridge of legs in two processes becomes a room that only
they are in. A process is named by its number: 0, 1, ….
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from di.media_control.answers import MediaAnswers
from di.media_control.placement import MediaLoad
from di.media_control.port import MediaPort
from di.media_control.recordings import MediaRecordings
from di.media_control.rooms import MediaRooms
from media.control.play_items import PlayBridge, PlayItem, PlayRoom
from media.control.recording_records import (
    RecordingStopped,
    RoomRecordingStopped,
    StartRecording,
    StartRoomRecording,
    StopRoomRecording,
)
from media.control.records import (
    Announce,
    AnnounceFailed,
    CloseLeg,
    Command,
    Enqueue,
    Event,
    FlushPlaylist,
    LegCommand,
    LegDropped,
    LegFailed,
    LegOpened,
    LoadPrompt,
    OpenLeg,
    PromptLoaded,
    QueryStatistics,
    Shutdown,
    Statistics,
    TeeRoom,
    is_for_leg,
)

_OWN_REQUEST = -1
"""Number of the router's own QueryStatistics; the hub's are positive."""


class MediaRouter:
    """Pure. `emit` gets the events of all processes, each once; `up` and `lost` say which of them are there."""

    def __init__(
        self, count: int, emit: Callable[[Event], None], now_ns: Callable[[], int] = lambda: 0, most_legs: int = 0
    ) -> None:
        self.load = MediaLoad(count, most_legs)
        self._alone = count == 1
        self._ports: dict[int, MediaPort] = {}
        self._emit = emit
        self._now_ns = now_ns
        self._process_of: dict[int, int] = {}  # leg → process
        self._hints: dict[int, str] = {}  # leg → room it was opened for
        self._hinted: dict[str, dict[int, int]] = {}  # room → process → legs
        self._silent: set[int] = set()
        self._opening: dict[int, list[LegCommand]] = {}  # leg → commands since OpenLeg, until it is open
        self._tried: dict[int, set[int]] = {}
        self._rooms = MediaRooms()
        self._answers = MediaAnswers()
        self._recorded: dict[str, tuple[int, int]] = {}  # file → process, leg; a leg may be closed before its file is
        self._recordings = MediaRecordings(self._rooms, self._tell, emit, self._recorder_of)
        self._commands: dict[type, Callable[..., None]] = {
            OpenLeg: self._open,
            CloseLeg: self._close,
            Enqueue: self._enqueue,
            FlushPlaylist: self._flush,
            TeeRoom: self._tee,
            Announce: self._room_play,
            StartRecording: self._record_leg,
            StartRoomRecording: self._start_recording,
            StopRoomRecording: lambda command: self._recordings.stop(command.room),
            LoadPrompt: self._ask_all,
            QueryStatistics: self._query,
            Shutdown: self._tell_all,
        }
        self._events: dict[type, Callable[..., None]] = {
            LegOpened: self._opened,
            LegFailed: self._failed,
            LegDropped: self._dropped,
            PromptLoaded: self._answered,
            Statistics: self._answered,
            RecordingStopped: self._leg_recorded,
            RoomRecordingStopped: self._recording_stopped,
            AnnounceFailed: self._announce_failed,
        }

    # ---------------------------------------------------------------------------------------------------------- processes
    def __len__(self) -> int:
        """How many processes are up."""
        return len(self._ports)

    def up(self, process: int, port: MediaPort) -> None:
        """A process is in service, without legs."""
        self._ports[process] = port

    def set_silent(self, process: int, silent: bool) -> None:
        """A process does not answer, or does again. It gets no new legs meanwhile."""
        (self._silent.add if silent else self._silent.discard)(process)

    @property
    def anybody_answers(self) -> bool:
        """Whether a process that is up answers; also while none is up, which is told otherwise."""
        return not self._ports or bool(self._ports.keys() - self._silent)

    def lost(self, process: int) -> list[int]:
        """A process is gone: return the legs that went with it."""
        self._ports.pop(process, None)
        legs = [leg for leg, at in self._process_of.items() if at == process]
        for leg in legs:
            self._forget(leg)
        self.load.reset(process)
        self._recordings.lost(process)
        self._tell_spans()
        self._give_up_recordings(lambda at, _: at == process, "the media process that recorded it is lost")
        for answer in self._answers.lost(process):
            self._emit(answer)
        return legs

    def ask_load(self) -> None:
        """Let each process report its figures to `load`; to be called every few seconds."""
        self._tell_all(QueryStatistics(_OWN_REQUEST))

    # ----------------------------------------------------------------------------------------------------------- commands
    def send(self, command: Command) -> None:
        """Hand a command to the process or processes that it concerns."""
        handler = self._commands.get(type(command))
        if handler is not None:
            handler(command)
        elif is_for_leg(command):
            self._to_leg(command)

    def _to_leg(self, command: LegCommand) -> None:
        leg = command.leg
        process = self._process_of.get(leg)
        if process is not None:
            port = self._ports.get(process)
            if port is not None:
                port.send(command)
            if leg in self._opening:
                self._opening[leg].append(command)

    def _tell(self, process: int, command: Command) -> None:
        port = self._ports.get(process)
        if port is not None:
            port.send(command)

    def _tell_all(self, command: Command) -> None:
        for port in list(self._ports.values()):
            port.send(command)

    def _tell_spans(self) -> None:
        for process, span in self._rooms.changes():
            self._tell(process, span)

    def _open(self, command: OpenLeg) -> None:
        if command.leg in self._process_of:
            self._emit(LegFailed(command.leg, f"leg {command.leg} exists already"))
            return
        if self._alone and 0 in self._ports and not self._silent:
            process = 0  # whatever becomes of it, no other can be tried
        else:
            process = self._choose(command)
            if process < 0:
                return
            self._opening[command.leg] = [command]
        self._process_of[command.leg] = process
        self.load.add(process, 1)
        if command.room:
            self._hints[command.leg] = command.room
            hinted = self._hinted.setdefault(command.room, {})
            hinted[process] = hinted.get(process, 0) + 1
        self._tell(process, command)

    def _choose(self, command: OpenLeg) -> int:
        """A process that has not been tried for the leg; -1, and the leg has failed, without one."""
        tried = self._tried.setdefault(command.leg, set())
        left = self._ports.keys() - tried - self._silent
        if not left:
            self._tried.pop(command.leg, None)
            self._emit(LegFailed(command.leg, "no media process answers" if self._silent else "no media process is up"))
            return -1
        process = self.load.choose(left, self._preferred(command))
        tried.add(process)
        return process

    def _preferred(self, command: OpenLeg) -> list[int]:
        near = self._process_of.get(command.near)
        neighbour = [] if near is None else [near]
        hinted = self._hinted.get(command.room, {}) if command.room else {}
        expected = sorted(hinted, key=lambda process: (-hinted[process], process))
        return list(dict.fromkeys((*neighbour, *expected, *(self._rooms.processes(command.room) if command.room else ()))))

    def _close(self, command: CloseLeg) -> None:
        process = self._process_of.get(command.leg)
        if process is not None:
            self._tell(process, command)
            self._forget(command.leg)
            self._tell_spans()

    def _forget(self, leg: int) -> None:
        process = self._process_of.pop(leg)
        self.load.add(process, -1)
        self._opening.pop(leg, None)
        self._tried.pop(leg, None)
        room = self._hints.pop(leg, "")
        hinted = self._hinted.get(room)
        if hinted is not None:
            hinted[process] -= 1
            if not hinted[process]:
                del hinted[process]
            if not hinted:
                del self._hinted[room]
        self._rooms.forget(leg)

    def _enqueue(self, command: Enqueue) -> None:
        process = self._process_of.get(command.leg)
        if process is None:
            return
        kinds = {type(item) for item in command.items}
        if PlayBridge in kinds:
            items = tuple(self._within_reach(command.leg, process, item) for item in command.items)
            command = replace(command, items=items)
        if PlayRoom in kinds or PlayBridge in kinds:
            for item in command.items:
                if isinstance(item, PlayRoom):
                    self._rooms.enter(command.leg, process, item.room)
                    self._recordings.entered(item.room, process)
            self._tell_spans()
        self._to_leg(command)

    def _within_reach(self, leg: int, process: int, item: PlayItem) -> PlayItem:
        """A bridge to a leg of another process is a room of two, by the name that a process gives it."""
        if not isinstance(item, PlayBridge):
            return item
        peer = self._process_of.get(item.peer_leg)
        if peer is None or peer == process:
            return item
        return PlayRoom(f"\0bridge {min(leg, item.peer_leg)} {max(leg, item.peer_leg)}")

    def _flush(self, command: FlushPlaylist) -> None:
        self._rooms.flush(command.leg)
        self._to_leg(command)
        self._tell_spans()

    def _tee(self, command: TeeRoom) -> None:
        process = self._process_of.get(command.leg)
        if process is not None:
            self._rooms.tee(command.leg, process, command.room, command.on)
            if command.on:
                self._recordings.entered(command.room, process)
            self._tell_spans()
            self._to_leg(command)

    def _room_play(self, command: Announce) -> None:
        for process in self._rooms.processes(command.room):
            self._tell(process, command)

    def _announce_failed(self, process: int, event: AnnounceFailed) -> None:
        """A room that spans processes is played the file in each of them: one says so."""
        if process in self._rooms.processes(event.room)[:1] or not self._rooms.processes(event.room):
            self._emit(event)

    def _record_leg(self, command: StartRecording) -> None:
        """Whatever becomes of leg and process, each of these gets its RecordingStopped."""
        process = self._process_of.get(command.leg)
        if process is None:
            self._emit(RecordingStopped(command.leg, command.path, 0, 0, "the call has no media"))
            return
        self._recorded[command.path] = process, command.leg
        self._to_leg(command)

    def _give_up_recordings(self, of: Callable[[int, int], bool], reason: str) -> None:
        """Tell the end of recordings that nobody else will tell of. `of(process, leg)`: whether a recording is one of those."""
        for path, (process, leg) in list(self._recorded.items()):
            if of(process, leg):
                del self._recorded[path]
                self._emit(RecordingStopped(leg, path, 0, 0, reason))

    def _leg_recorded(self, process: int, event: RecordingStopped) -> None:
        self._recorded.pop(event.path, None)
        self._emit(event)

    def _start_recording(self, command: StartRoomRecording) -> None:
        self._recordings.start(command if command.clock_ns else replace(command, clock_ns=self._now_ns()))
        self._tell_spans()

    def _recorder_of(self, room: str) -> int | None:
        processes = self._rooms.processes(room)
        if processes:
            return processes[0]
        return self.load.choose(self._ports.keys()) if self._ports else None

    def _query(self, command: QueryStatistics) -> None:
        if command.leg == 0:
            self._ask_all(command)
        elif command.leg in self._process_of:
            self._tell(self._process_of[command.leg], command)
        else:
            self._emit(Statistics(command.request, command.leg))

    def _ask_all(self, command: LoadPrompt | QueryStatistics) -> None:
        self._answers.ask(command.request, self._ports)
        self._tell_all(command)

    # ------------------------------------------------------------------------------------------------------------- events
    def on_event(self, process: int, event: Event) -> None:
        """Take an event of a process."""
        handler = self._events.get(type(event))
        if handler is None:
            self._emit(event)
        else:
            handler(process, event)

    def _opened(self, process: int, event: LegOpened) -> None:
        self._opening.pop(event.leg, None)
        self._tried.pop(event.leg, None)
        self._emit(event)

    def _failed(self, process: int, event: LegFailed) -> None:
        """A leg that one process has no port for is tried in the others, with all that it was told since."""
        commands = self._opening.get(event.leg)
        tried = self._tried.get(event.leg, set())
        if commands is None or not self._ports.keys() - tried:
            self._give_up_recordings(lambda _, leg: leg == event.leg, "the call has no media")
            self._emit(event)
            return
        self._forget(event.leg)
        self._tell_spans()
        self._tried[event.leg] = tried
        for command in commands:
            self.send(command)

    def _dropped(self, process: int, event: LegDropped) -> None:
        if event.leg in self._process_of:
            self._forget(event.leg)
            self._tell_spans()
        self._emit(event)

    def _answered(self, process: int, event: PromptLoaded | Statistics) -> None:
        if event.request == _OWN_REQUEST and isinstance(event, Statistics):
            self.load.report(process, event.counters, self._now_ns())
        elif isinstance(event, Statistics) and event.leg:
            self._emit(event)
        else:
            answer = self._answers.take(process, event)
            if answer is not None:
                self._emit(answer)

    def _recording_stopped(self, process: int, event: RoomRecordingStopped) -> None:
        self._recordings.stopped(process, event)
        self._tell_spans()
