# SPDX-License-Identifier: GPL-2.0-or-later
"""The DI interface `recordings`: record rooms and calls, see what there is, hear it, delete it. Not in SEMS.

Nobody names a file here: a recording's name is made by the server, and only such names are taken. Answers are `[code, text, …]` as those
of `rooms` and `webconference`.
"""

from __future__ import annotations

import logging

from di.kernel.ports import Clock
from di.kernel.registry import Caller, di_method
from di.kernel.value import Value
from di.modules.recordings.disk import MB, RecordingDisk
from di.modules.recordings.names import is_recording, main_file, recording_of
from di.modules.recordings.running import Reply, RunningRecordings
from di.modules.recordings.tickets import ListenTickets

log = logging.getLogger(__name__)

ROOM_MODES = ("mix", "tracks", "both")
CALL_SIDES = ("both", "said", "heard")
MOST_LISTED = 200
PATH = "/recordings/"
"""Where the web port has the sound files."""
_NO_SUCH: tuple[int, str] = (404, "there is no recording of that name; look at the list again")


class RecordingsInterface:
    """Recordings."""

    def __init__(self, running: RunningRecordings, disk: RecordingDisk, tickets: ListenTickets, clock: Clock) -> None:
        self._running, self._disk, self._tickets, self._clock = running, disk, tickets, clock

    # ------------------------------------------------------------------------------------------------------------ recording
    @di_method("startRoom")
    async def start_room(self, caller: Caller, room: str, mode: str = "mix") -> Reply:
        """Record a room: `mix` in one file, `tracks` one file a member, in step with each other, or `both`.

        [200, "OK", name]. 404: nobody is in it, 409: it is being recorded, 503: too many at once, 507: the disk; the text says what to do.
        """
        if mode not in ROOM_MODES:
            return [400, f"the mode is one of: {', '.join(ROOM_MODES)}"]
        return await self._running.start("room", room, mode, caller.name)

    @di_method("stopRoom")
    async def stop_room(self, caller: Caller, room: str) -> Reply:
        """End a room's recording: [200, "OK", name, samples]; 202: its files are still being written, 404: there is none, 500: it failed."""
        return await self._running.stop("room", room, caller.name)

    @di_method("startCall")
    async def start_call(self, caller: Caller, call: str, sides: str = "both") -> Reply:
        """Record a call: what it says left and what it hears right in one file, or only what is `said` or `heard`. Answers as startRoom."""
        if sides not in CALL_SIDES:
            return [400, f"the sides are one of: {', '.join(CALL_SIDES)}"]
        return await self._running.start("call", call, sides, caller.name)

    @di_method("stopCall")
    async def stop_call(self, caller: Caller, call: str) -> Reply:
        """End a call's recording. Answers as stopRoom."""
        return await self._running.stop("call", call, caller.name)

    @di_method("active", changes=False)
    def active(self) -> list[Value]:
        """Return what is being recorded now, as `info` does."""
        return [self._running.value(recording) for recording in self._running.all()]

    # --------------------------------------------------------------------------------------------------------- what there is
    @di_method("list", changes=False)
    async def list_recordings(self, limit: int = 50, before: str = "") -> dict[str, Value]:
        """Return recordings, newest first: {recordings, more}. `before`: those older than the one of that name."""
        limit = min(max(limit, 1), MOST_LISTED)

        def look() -> tuple[list[Value], bool]:
            names = [name for name in self._disk.shelf.names() if not before or name < before]
            return [self._disk.shelf.read(name) or _broken(name) for name in names[:limit]], len(names) > limit

        try:
            found, more = await self._disk.in_thread(look)
        except OSError as error:
            log.error("recordings: %s cannot be read: %s", self._disk.shelf.folder, error.strerror)
            return {"recordings": [], "more": False, "problem": f"the folder cannot be read: {error.strerror}"}
        return {"recordings": [self._as_it_stands(about) for about in found], "more": more, "problem": ""}

    def _as_it_stands(self, about: Value) -> Value:
        """What is newer than the sidecar: a recording that runs, one whose end could not be written."""
        name = about.get("name") if isinstance(about, dict) else ""
        for recording in self._running.all():
            if recording.about.name == name:
                return self._running.value(recording)
        ended = self._running.unwritten(str(name))
        return ended.value() if ended is not None else about

    @di_method("info", changes=False)
    async def info(self, name: str) -> Reply:
        """Return [200, "OK", about]: what the sidecar says of a recording, members and their times included; 404: there is none."""
        about = await self._disk.in_thread(self._read, name)
        return [*_NO_SUCH] if about is None else [200, "OK", self._as_it_stands(about)]

    def _read(self, name: str) -> Value:
        """What the sidecar says; None when there is none."""
        try:
            return self._disk.shelf.read(name) or (_broken(name) if self._disk.shelf.is_there(name) else None)
        except OSError:
            return _broken(name)

    @di_method("status", changes=False)
    async def status(self) -> dict[str, Value]:
        """Return how full the folder is, and what keeps recordings from beginning (`problem`, empty: nothing)."""
        problem = await self._disk.problem()
        options = self._disk.options
        try:
            used, free = await self._disk.in_thread(lambda: (self._disk.shelf.usage_bytes(), self._disk.shelf.free_bytes()))
        except OSError:
            used, free = 0, 0
        return {
            "active": len(self._running.all()),
            "most": options.max_recordings,
            "used_mb": used // MB,
            "quota_mb": options.quota_mb,
            "free_mb": free // MB,
            "min_free_mb": options.min_free_mb,
            "problem": problem,
        }

    # --------------------------------------------------------------------------------------------------------- hear, delete
    @di_method("listen")
    async def listen(self, caller: Caller, name: str, file: str = "") -> Reply:
        """Return [200, "OK", path]: where on the web port a file of a recording (the main one) can be heard for an hour; 404: nowhere.

        It counts as a change, so that it is not for who may only look at what goes on, and the audit log says who listened.
        """
        file = file or main_file(name)
        there = is_recording(name) and recording_of(file) == name
        if not there or not await self._disk.in_thread(self._disk.shelf.has_sound, file):
            return [*_NO_SUCH]
        return [200, "OK", f"{PATH}{file}?ticket={self._tickets.give(name, caller, self._clock.now_ns())}"]

    @di_method("delete", dangerous=True)
    async def delete(self, caller: Caller, name: str) -> Reply:
        """Delete a recording with all its files; 404: there is none, 409: it is still being made."""
        if name in self._running.names():
            return [409, "this recording is not complete yet; stop it first"]
        try:
            gone = await self._disk.in_thread(self._disk.shelf.delete, name)
        except OSError as error:
            log.error("recording %s cannot be deleted: %s", name, error.strerror)
            return [500, f"not deleted: {error.strerror}"]
        if not gone:
            return [*_NO_SUCH]
        log.info("recording %s is deleted, asked by %s", name, caller.name)
        self._running.deleted(name)
        return [200, "OK"]


def _broken(name: str) -> dict[str, Value]:
    """A recording whose sidecar cannot be understood."""
    return {"name": name, "kind": "unknown", "state": "unreadable", "began": 0.0, "length_ms": 0, "files": []}
