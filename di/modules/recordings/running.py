# SPDX-License-Identifier: GPL-2.0-or-later
"""Recordings that are being made: begun on a caller's word, ended on another's, by a limit, or with what they are of.

    start ─► STARTING ── sidecar on disk ──► RUNNING ─► STOPPING ── the media process has closed the files ──► FINISHING ─► gone
              disk says no: nothing was begun    └─ disk full, media process lost: FINISHING at once, with the reason

Room and call go on whatever happens to their recording. What a stopping recording waits for is bounded: without word from the media
process it is ended by what its files say.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum, auto

from di.calls.session import Session
from di.calls.sessions import Sessions
from di.kernel.event_log import EventFilter, EventLog, LoggedEvent
from di.kernel.ports import TimerHandle
from di.kernel.value import Value
from di.modules.recordings.about import COMPLETE, FAILED, INTERRUPTED, RecordedFile, RecordingAbout, RoomMember
from di.modules.recordings.disk import RecordingDisk
from di.modules.recordings.names import main_file, new_name
from di.sip.headers import uri_of
from media.control.play_items import PlayFile
from media.control.recording_records import (
    CallRecordingStopped,
    RoomRecordingStopped,
    StartCallRecording,
    StartRoomRecording,
    StopCallRecording,
    StopRoomRecording,
)
from media.control.records import Announce, Command

log = logging.getLogger(__name__)

Reply = list[Value]
Key = tuple[str, str]

SECOND_NS = 10**9
LOOK_NS = 5 * SECOND_NS
"""So often the disk is looked at, and members that came or went are put into the sidecar."""
LAST_WORD_NS = 15 * SECOND_NS
ANSWER_S = 5.0
ORDERLY = ("asked", "closed")


class TakePhase(Enum):
    """Where a recording stands."""

    STARTING = auto()
    RUNNING = auto()
    STOPPING = auto()
    FINISHING = auto()


@dataclass(eq=False)
class RunningRecording:
    """One recording. `reason`: why it is to end; `trouble`: why it ended before that."""

    about: RecordingAbout
    leg: int = 0
    """Of a call."""
    phase: TakePhase = TakePhase.STARTING
    began_ns: int = 0
    reason: str = ""
    trouble: str = ""
    lost: bool = False
    changed: bool = False
    closed: bool = False
    """The files are complete, but the call's end has not been told yet."""
    timer: TimerHandle | None = None
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def key(self) -> Key:
        """What is recorded."""
        return self.about.kind, self.about.target

    def cancel_timer(self) -> None:
        """What was due is due no more."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class RunningRecordings:
    """All of them. Of one room and of one call there is one recording at a time."""

    def __init__(self, sessions: Sessions, events: EventLog, disk: RecordingDisk) -> None:
        self._sessions, self._events, self._disk = sessions, events, disk
        self._running: dict[Key, RunningRecording] = {}
        self._look: TimerHandle | None = None
        self._subscriber = events.subscribe(
            EventFilter(types=frozenset(("room.joined", "room.left", "call.ended"))), limit=100_000, on_ready=self._on_events
        )
        events.add_snapshot("recordings", self._snapshot)

    # ------------------------------------------------------------------------------------------------------------ questions
    def all(self) -> list[RunningRecording]:
        """What is being recorded now, and what is being finished."""
        return list(self._running.values())

    def names(self) -> frozenset[str]:
        """Of all that this server has not finished."""
        return frozenset({recording.about.name for recording in self.all()} | self._disk.unwritten.keys())

    def unwritten(self, name: str) -> RecordingAbout | None:
        """A recording that has ended, but whose sidecar does not say so yet."""
        return self._disk.unwritten.get(name)

    def value(self, recording: RunningRecording) -> dict[str, Value]:
        """A recording that is not over as data, its length as it stands."""
        runs = recording.phase in (TakePhase.RUNNING, TakePhase.STOPPING)
        return recording.about.value(self._at_ms(recording) if runs else -1)

    def _snapshot(self, wanted: EventFilter) -> Value:
        """Recordings that run, for a new listener of the event stream."""
        return [
            {"name": r.about.name, "kind": r.about.kind, "target": r.about.target, "mode": r.about.mode, "began": r.about.began_s}
            for r in self.all()
            if r.phase is not TakePhase.STARTING
            and (not wanted.rooms or r.about.target in wanted.rooms)
            and (not wanted.calls or r.about.target in wanted.calls)
        ]

    def deleted(self, name: str) -> None:
        """Tell everybody that a recording is there no more."""
        self._events.publish("recording.deleted", attributes={"name": name})

    # ---------------------------------------------------------------------------------------------------------------- start
    async def start(self, kind: str, target: str, mode: str, by: str) -> Reply:
        """Begin: `[200, "OK", name]`, or why not."""
        running = self._running.get((kind, target))
        if running is not None:
            return [409, f"this {kind} is being recorded already, as {running.about.name}", running.about.name]
        if len(self._running) >= self._disk.options.max_recordings:
            return [503, f"{len(self._running)} recordings run already (max_recordings in recordings.conf)"]
        clock = self._sessions.clock
        name = new_name(clock.epoch_s(), target, clock.random)
        recording = RunningRecording(RecordingAbout(name, kind, target, mode, by, clock.epoch_s()))
        self._running[recording.key] = recording
        try:
            refusal = await self._prepare(recording)
        finally:
            if recording.phase is TakePhase.STARTING:  # refused, or who asked has gone meanwhile
                self._running.pop(recording.key, None)
                self._sessions.spawn(self._discard(name))
                recording.finished.set()
        return refusal or [200, "OK", name]

    async def _prepare(self, recording: RunningRecording) -> Reply:
        """Everything up to the first sample. An empty list: it runs."""
        about = recording.about
        if refusal := self._fill_in(recording):
            return refusal
        problem = await self._disk.problem()
        if problem:
            return [507, problem]
        try:
            await self._disk.write(about)
        except OSError as error:
            log.error("recording %s: %s: %s: nothing is recorded", about.name, self._disk.shelf.folder, error.strerror)
            return [507, f"{self._disk.shelf.folder}: {error.strerror}; see that the server may write there and has space"]
        if refusal := self._fill_in(recording):  # it may be over by now
            return refusal
        if recording.reason:
            return [409, f"not begun: {recording.reason}"]
        if not self._sessions.media_is_up:
            return [503, "no media process is up; it is being started"]
        self._begin(recording)
        return []

    def _fill_in(self, recording: RunningRecording) -> Reply:
        """What is known of room or call before it begins; why not, when it is not there."""
        about = recording.about
        if about.kind == "room":
            about.members = {}
            for id in self._sessions.rooms.members(about.target):
                self._join(recording, id, 0)
            about.expect_files()
            return [] if self._sessions.rooms.count(about.target) else [404, "nobody is in this room"]
        session = self._sessions.find(about.target)
        if session is None:
            return [404, "this call is over or never was; look at the list again"]
        if not session.audio.started:
            return [409, "this call is not answered yet; there is nothing to record"]
        recording.leg = session.leg
        info = session.info
        about.call = {
            "from": info.from_header,
            "to": info.to_header,
            "direction": info.direction,
            "application": session.application,
            "call_id": info.call_id,
            "began": session.started_s,
            "answered": session.answered_s,
            "cause": "",
        }
        about.expect_files()
        return []

    def _begin(self, recording: RunningRecording) -> None:
        about, clock = recording.about, self._sessions.clock
        about.began_s, recording.began_ns, recording.phase = clock.epoch_s(), clock.now_ns(), TakePhase.RUNNING
        path = str(self._disk.shelf.sound_path(main_file(about.name)))
        self._send(
            StartRoomRecording(about.target, path, about.mode, rate_hz=self._disk.options.room_rate_hz)
            if about.kind == "room"
            else StartCallRecording(recording.leg, path, about.mode)
        )
        if about.kind == "room" and self._disk.options.room_notice:
            self._send(Announce(about.target, (PlayFile(self._disk.options.room_notice),)))
        minutes = self._disk.options.max_minutes
        limit = f"{minutes} minutes are over (max_minutes in recordings.conf)"
        recording.timer = clock.call_later(minutes * 60 * SECOND_NS, lambda: self.ask_stop(recording, limit))
        self._watch()
        log.info("recording %s of %s %s begins, asked by %s", about.name, about.kind, about.target, about.by)
        self._publish("recording.started", recording, mode=about.mode, by=about.by)

    def _send(self, command: Command) -> None:
        self._sessions.media.send(command)

    def _publish(self, type: str, recording: RunningRecording, **attributes: Value) -> None:
        about = recording.about
        call, room = ("", about.target) if about.kind == "room" else (about.target, "")
        self._events.publish(type, call, room, {"name": about.name, "kind": about.kind, **attributes})

    # ----------------------------------------------------------------------------------------------------------------- stop
    async def stop(self, kind: str, target: str, by: str) -> Reply:
        """End a recording and wait a little for its files: `[200, "OK", name, samples]`."""
        recording = self._running.get((kind, target))
        if recording is None:
            return [404, f"this {kind} is not being recorded"]
        name = recording.about.name
        self.ask_stop(recording, f"stopped by {by}")
        try:
            await asyncio.wait_for(recording.finished.wait(), ANSWER_S)
        except TimeoutError:
            return [202, "its files are being finished", name]
        if recording.trouble:
            return [500, recording.trouble, name]
        return [200, "OK", name, max((file.samples for file in recording.about.files), default=0)]

    def ask_stop(self, recording: RunningRecording, reason: str) -> None:
        """Let a recording end, once."""
        if recording.phase is TakePhase.STARTING:
            recording.reason = reason
        if recording.phase is not TakePhase.RUNNING:
            return
        recording.phase, recording.reason = TakePhase.STOPPING, reason
        about = recording.about
        self._send(StopRoomRecording(about.target) if about.kind == "room" else StopCallRecording(recording.leg))
        self._wait_for_word(recording)

    def _wait_for_word(self, recording: RunningRecording) -> None:
        recording.cancel_timer()
        recording.timer = self._sessions.clock.call_later(LAST_WORD_NS, lambda: self._no_word(recording))

    def _no_word(self, recording: RunningRecording) -> None:
        self._break_off(recording, "the media process did not say that the files are complete")

    def _break_off(self, recording: RunningRecording, why: str) -> None:
        recording.lost = True
        self._over(recording, why)

    async def close(self) -> None:
        """The server stops: every recording is finished, as far as the media process still does it."""
        for recording in self.all():
            self.ask_stop(recording, "the server was stopped")
        waiting = [recording.finished.wait() for recording in self.all()]
        if waiting:
            await asyncio.wait([asyncio.ensure_future(one) for one in waiting], timeout=4.0)
        if self._look is not None:
            self._look.cancel()
        self._events.unsubscribe(self._subscriber)
        self._events.remove_snapshot("recordings")

    # ------------------------------------------------------------------------------------------- news of the media processes
    def on_stopped(self, record: RoomRecordingStopped | CallRecordingStopped) -> None:
        """Files are complete, or a recording broke off."""
        if isinstance(record, RoomRecordingStopped):
            recording = self._running.get(("room", record.room))
            paths = record.paths
        else:
            recording = next((r for r in self.all() if r.leg == record.leg and r.about.kind == "call"), None)
            paths = (record.path,)
        if recording is None or recording.phase not in (TakePhase.RUNNING, TakePhase.STOPPING):
            return
        if any(recording.about.name not in path for path in paths):  # of an earlier one, which was given up
            return
        about = recording.about
        if isinstance(record, RoomRecordingStopped):
            if record.about:
                about.take(record.about)
            about.length_ms = record.length_ms or about.length_ms
        else:
            about.length_ms = record.samples * 1000 // record.rate_hz
            about.files = [RecordedFile(main_file(about.name), "call")]
        if record.reason == "closed" and about.kind == "call" and self._sessions.find(about.target) is not None:
            recording.closed = True  # the call is ending: its cause comes in a moment
            self._wait_for_word(recording)
            return
        self._over(recording, "" if record.reason in ORDERLY else record.reason)

    def on_media_lost(self, legs: Collection[int] | None) -> None:
        """A media process is gone with these legs (None: all): calls recorded there have what was written. Rooms are told of by event."""
        for recording in self.all():
            if recording.about.kind == "call" and (legs is None or recording.leg in legs):
                if recording.phase in (TakePhase.RUNNING, TakePhase.STOPPING):
                    self._break_off(recording, "the media process that recorded it is lost")
            elif legs is None and recording.phase in (TakePhase.RUNNING, TakePhase.STOPPING):
                self._break_off(recording, "the media process that recorded it is lost")

    # ------------------------------------------------------------------------------------------------------ news of the calls
    def _on_events(self) -> None:
        while isinstance(event := self._subscriber.take(), LoggedEvent):
            if event.type == "call.ended":
                self._call_ended(event)
                continue
            recording = self._running.get(("room", event.room))
            if recording is None or recording.phase is not TakePhase.RUNNING:
                continue
            recording.changed = True
            if event.type == "room.joined":
                self._join(recording, event.call, self._at_ms(recording))
                recording.about.expect_files()
            else:
                recording.about.left(event.call, self._at_ms(recording))
                if not self._sessions.rooms.count(event.room):
                    self.ask_stop(recording, "everybody has left the room")

    def _call_ended(self, event: LoggedEvent) -> None:
        recording = self._running.get(("call", event.call))
        if recording is None:
            return
        by, code, reason = (str(event.attributes.get(key, "")) for key in ("by", "code", "reason"))
        recording.about.call["cause"] = f"{code} {reason}, by {by}"
        if recording.phase is TakePhase.STARTING:
            recording.reason = "the call has ended"
        elif recording.closed:
            self._over(recording, "")
        elif recording.phase is TakePhase.RUNNING:
            recording.phase, recording.reason = TakePhase.STOPPING, "the call has ended"
            self._wait_for_word(recording)

    def _join(self, recording: RunningRecording, id: str, at_ms: int) -> None:
        session: Session | None = self._sessions.find(id)
        if session is not None:
            info = session.info
            member = RoomMember(id, info.remote_party, uri_of(info.remote_party), session.leg)
            recording.about.joined(member, at_ms)

    def _at_ms(self, recording: RunningRecording) -> int:
        return (self._sessions.clock.now_ns() - recording.began_ns) // 1_000_000

    # --------------------------------------------------------------------------------------------------------------- the end
    def _over(self, recording: RunningRecording, trouble: str) -> None:
        """Nothing more comes into the files."""
        if recording.phase is TakePhase.FINISHING:
            return
        recording.cancel_timer()
        recording.phase, recording.trouble = TakePhase.FINISHING, trouble
        about = recording.about
        about.ended_s = self._sessions.clock.epoch_s()
        about.state = INTERRUPTED if recording.lost or "is lost" in trouble else FAILED if trouble else COMPLETE
        about.reason = trouble or recording.reason or "the call has ended"
        if trouble:
            log.warning(
                "recording %s of %s %s ended: %s; what was written is kept", about.name, about.kind, about.target, trouble
            )
        self._sessions.spawn(self._finish(recording))

    async def _finish(self, recording: RunningRecording) -> None:
        """Measure the files, write the sidecar, tell everybody."""
        about = recording.about
        try:
            await self._disk.measure(about)
            await self._disk.write(about)
        except OSError as error:
            log.error(
                "recording %s: its sidecar cannot be written: %s; tried again when there is space", about.name, error.strerror
            )
            self._disk.unwritten[about.name] = about
            self._watch()
        finally:
            self._running.pop(recording.key, None)
            recording.finished.set()
        samples = max((file.samples for file in about.files), default=0)
        if not recording.trouble:
            log.info("recording %s of %s %s is complete: %d ms", about.name, about.kind, about.target, about.length_ms)
        self._publish("recording.stopped", recording, state=about.state, reason=about.reason, samples=samples)

    async def _discard(self, name: str) -> None:
        try:
            await self._disk.discard(name)
        except OSError as error:
            log.warning("recording %s, which was not begun, left a sidecar: %s", name, error.strerror)

    # -------------------------------------------------------------------------------------------------------------- the disk
    def _watch(self) -> None:
        """Look at the disk by and by, as long as something is recorded or unwritten."""
        if self._look is None and (self._running or self._disk.unwritten):
            self._look = self._sessions.clock.call_later(LOOK_NS, self._begin_look)

    def _begin_look(self) -> None:
        self._sessions.spawn(self._look_after())

    async def _look_after(self) -> None:
        try:
            problem = await self._disk.problem()
            if problem:
                self._end_all(problem)
            await self._write_what_changed()
        finally:
            self._look = None
            self._watch()

    def _end_all(self, problem: str) -> None:
        running = [recording for recording in self.all() if recording.phase is TakePhase.RUNNING]
        if running:
            log.error("%d recordings end: %s; delete some, or raise the limit", len(running), problem)
        for recording in running:
            self.ask_stop(recording, problem)

    async def _write_what_changed(self) -> None:
        """Sidecars of rooms whose members changed, and those for which there was no space."""
        try:
            await self._disk.write_again()
            for recording in self.all():
                if recording.changed and recording.phase is TakePhase.RUNNING:
                    recording.changed = False
                    await self._disk.write(recording.about)
        except OSError as error:
            log.debug("a sidecar cannot be written: %s", error.strerror)
