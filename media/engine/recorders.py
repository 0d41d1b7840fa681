# SPDX-License-Identifier: GPL-2.0-or-later
"""Recording: frames of a tick gathered into blocks of a second, which the shell writes to disk beside the tick.

    capture (each tick) → Block … Block → FileClosed → shell's writer → Recorders.written → RecordingStopped

A room's recording has one clock: each participant's track is padded with silence to it, so that tracks laid side by side are in
step. What comes back with its end (JSON) says who joined, left, was muted, and when. Of a room that spans processes, one records the mix,
what is said elsewhere included; every other one is a *part*: it writes its own members' tracks by the same clock, and its tracks and
events come by way of the hub into that one's account. The mix holds what is announced in the room, too.

Recordings of single calls, both sides, are ``call_takes.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from media.codecs.codec import TICK_MS
from media.control.recording_records import RecordingStopped, RoomRecordingStopped, StartRoomRecording
from media.control.records import Event
from media.engine.leg import Leg
from media.engine.leg_table import LegTable
from media.engine.rooms import Rooms
from media.engine.takes import BLOCK_MS, ROOM_RATE_HZ, ROOM_RATES_HZ, FileOpened, RoomTake, Take, Work

log = logging.getLogger(__name__)

SILENCE_ENERGY = 1e-5
"""Mean square (full scale 1) below which a leg counts as silent: -50 dBov."""

RemoteFrame = Callable[[str], NDArray[np.int32] | None]
"""Returns what is said in a room's other processes, 20 ms at ROOM_RATE_HZ; None when there are none."""


class Recorders:
    """All recordings of a process. `work` is what the shell's writer has to do, in order."""

    def __init__(self, table: LegTable, rooms: Rooms, by_row: dict[int, Leg], emit: Callable[[Event], None]) -> None:
        self.tapped: set[int] = set()
        """Legs whose calls are recorded, both sides (``call_takes.py``)."""
        self.others: dict[int, Callable[[int, str], None]] = {}
        """Files of others, by token: who is told `(size_bytes, error)` of them."""
        self._table = table
        self._rooms = rooms
        self._by_row = by_row
        self._emit = emit
        self._token = 0
        self._legs: dict[int, tuple[Leg, Take]] = {}
        self._room_takes: dict[str, RoomTake] = {}
        self._closing: dict[int, tuple[int, Take]] = {}
        self._closing_rooms: dict[int, RoomTake] = {}
        self._over: list[tuple[Leg, int]] = []
        self.work: list[Work] = []

    # ---------------------------------------------------------------------------------------------------------------- legs
    def start(self, leg: Leg, path: str, length_ms: int, silence_ms: int) -> int:
        """Record what a leg says, and return the recording's token; an earlier recording of the leg is finished first."""
        self.stop(leg, "asked")
        rate_hz = leg.codec.rate_hz if leg.codec is not None else ROOM_RATE_HZ
        take = self.open(path, rate_hz, length_ms, silence_ms)
        self._legs[leg.number] = (leg, take)
        return take.token

    def pause(self, leg: Leg, token: int, on: bool) -> bool:
        """Let a leg's recording wait, or go on. False when it is over."""
        _, take = self._legs.get(leg.number, (None, None))
        if take is None or take.token != token:
            return False
        take.paused = on
        return True

    def stop(self, leg: Leg, reason: str) -> None:
        """Finish a leg's recording, if there is one; the next `capture` names it."""
        _, take = self._legs.pop(leg.number, (None, None))
        if take is not None:
            take.stopped = reason
            self.work += take.close()
            self._closing[take.token] = (leg.number, take)
            self._over.append((leg, take.token))

    @property
    def busy(self) -> bool:
        """Something is being recorded or finished."""
        under_way = self._legs or self._room_takes or self._closing or self._closing_rooms or self.others
        return bool(under_way or self._over or self.work)

    def is_recording(self, leg: Leg) -> bool:
        """Whether a leg's audio is needed here."""
        if leg.number in self._legs or leg.number in self.tapped:
            return True
        return self._rooms.room_of(leg.row) in self._room_takes

    # --------------------------------------------------------------------------------------------------------------- rooms
    def start_room(self, command: StartRoomRecording) -> None:
        """Record a room: `mix`, `tracks` or `both`. Raises ValueError for another mode or rate."""
        room, mode = command.room, command.mode
        if mode not in ("mix", "tracks", "both"):
            raise ValueError(f"mode {mode!r} of a room's recording: mix, tracks or both")
        if command.rate_hz not in ROOM_RATES_HZ:
            raise ValueError(f"rate {command.rate_hz} of a room's recording: one of {ROOM_RATES_HZ}")
        self.stop_room(room, "asked")
        take = self._room_takes[room] = RoomTake(room, command.path, mode, command.clock_ns, command.part, command.rate_hz)
        if mode in ("mix", "both") and not command.part:
            take.mix = self.open(command.path, take.rate_hz, group=command.path)

    def mixed_rooms(self) -> list[str]:
        """Rooms whose mix is being recorded."""
        return [room for room, take in self._room_takes.items() if take.mix is not None]

    def stop_room(self, room: str, reason: str, parts: tuple[str, ...] = ()) -> None:
        """Finish a room's recording, if there is one; `parts`: what was recorded of it elsewhere."""
        take = self._room_takes.pop(room, None)
        if take is None:
            return
        self._begin(take, take.clock_ns)
        for number in list(take.present):
            take.tell("left", number)
        for part in (*take.tracks.values(), *([take.mix] if take.mix else [])):
            self.work += [*part.pad(take.ticks), *part.close()]
            take.open_tokens.add(part.token)
            take.paths.append(part.path)
        take.about = take.part_text() if take.is_part else take.text(parts)
        for token in take.open_tokens:
            self._closing_rooms[token] = take
        if reason != "asked":
            take.errors.append(reason)
        if not take.open_tokens:  # of tracks only, and nobody was a member
            self._emit(self._stopped(take))

    def close(self, leg: Leg) -> None:
        """A leg is closed: its recording is complete."""
        self.stop(leg, "closed")

    def close_all(self) -> None:
        """Finish everything."""
        for leg, _ in list(self._legs.values()):
            self.stop(leg, "closed")
        for room in list(self._room_takes):
            self.stop_room(room, "closed")

    # -------------------------------------------------------------------------------------------------------------- shell
    def written(self, token: int, size_bytes: int, error: str) -> None:
        """The shell has finished a file (`error` empty), or could not go on with it."""
        if token in self.others:
            self.others[token](size_bytes, error)
            return
        if token in self._closing:
            number, take = self._closing.pop(token)
            self._emit(RecordingStopped(number, take.path, take.recorded_ms, size_bytes, error or take.stopped))
            return
        room = self._closing_rooms.pop(token, None)
        if room is not None:
            room.open_tokens.discard(token)
            if error:
                room.errors.append(error)
            if not room.open_tokens:
                self._emit(self._stopped(room))
            return
        if error:
            for leg, take in list(self._legs.values()):
                if take.token == token:
                    self.stop(leg, error)
            for room_take in list(self._room_takes.values()):
                if token in room_take.tokens:
                    self.stop_room(room_take.room, error)

    @staticmethod
    def _stopped(take: RoomTake) -> RoomRecordingStopped:
        reason = take.errors[0] if take.errors else "asked"
        return RoomRecordingStopped(take.room, tuple(take.paths), take.ticks * TICK_MS, reason, take.about)

    # --------------------------------------------------------------------------------------------------------------- tick
    def capture(
        self, now_ns: int, remote_frame: RemoteFrame, announced: Mapping[str, NDArray[np.int16]]
    ) -> list[tuple[Leg, int]]:
        """Take this tick's frames; return the legs whose recording has ended since the last tick, for whatever reason, and its token.

        `announced`: room → what is played to everybody in it.
        """
        for leg, take in list(self._legs.values()):
            if not take.paused:
                try:
                    self._capture_leg(leg, take)
                except Exception as error:  # a fault of ours costs this recording, not the process with all its calls
                    log.exception("leg %d: its recording %s cannot go on", leg.number, take.path)
                    take.stopped = f"{type(error).__name__}: {error}"
                if take.stopped:
                    self.stop(leg, take.stopped)
        for room in list(self._room_takes.values()):
            if now_ns >= room.clock_ns:  # a process that makes up for late ticks comes to it by and by
                try:
                    self._capture_room(room, now_ns, remote_frame(room.room), announced.get(room.room))
                except Exception as error:
                    log.exception("room %s: its recording %s cannot go on", room.room, room.path)
                    self.stop_room(room.room, f"{type(error).__name__}: {error}")
        over, self._over = self._over, []
        return over

    @staticmethod
    def _begin(take: RoomTake, now_ns: int) -> None:
        """Set where a recording's clock stands at its first tick."""
        if not take.begun:
            take.begun = True
            late_ns = now_ns - take.clock_ns if take.clock_ns else 0
            take.ticks = max(late_ns, 0) // (TICK_MS * 1_000_000)

    def _capture_leg(self, leg: Leg, take: Take) -> None:
        row = self._table.rows[leg.row]
        frame = self._table.frames[leg.row, : int(row["frame_samples"])] if row["heard"] else None
        self.work += take.add(None if frame is None else take.at_rate("said", frame))
        take.silent_ms = 0 if row["energy"] > SILENCE_ENERGY else take.silent_ms + TICK_MS
        if take.length_ms and take.recorded_ms >= take.length_ms:
            take.stopped = "length"
        elif take.silence_ms and take.silent_ms >= take.silence_ms:
            take.stopped = "silence"

    def _capture_room(
        self, take: RoomTake, now_ns: int, remote: NDArray[np.int32] | None, announced: NDArray[np.int16] | None
    ) -> None:
        """Take a room's frames of this tick. `remote`: what is said in its other processes, as RemoteFrame gives it."""
        if not (take.begun or take.is_part):  # those inside are in it from its beginning, however late this first tick is
            self._note_members(take, self._members(take))
        self._begin(take, now_ns)
        rows = self._members(take)
        self._note_members(take, rows)
        sums: dict[int, NDArray[np.int32]] = {}  # by samples a frame: a rate is converted once, whoever speaks in it
        for number, row in rows.items():
            state = self._table.rows[row]
            heard = state["heard"] and take.present[number]
            frame = self._table.frames[row, : int(state["frame_samples"])] if heard else None
            if frame is not None and take.mix is not None:
                sums[len(frame)] = sums.get(len(frame), np.zeros(len(frame), np.int32)) + frame
            if take.mode != "mix":
                self._add_to_track(take, number, frame)
        if take.mix is not None:
            if announced is not None:
                sums[len(announced)] = sums.get(len(announced), np.zeros(len(announced), np.int32)) + announced
            self._add_to_mix(take, take.mix, [*sums.values()], remote)
        take.ticks += 1

    def _members(self, take: RoomTake) -> dict[int, int]:
        """Those who are heard in its room now: leg number → row."""
        return {self._by_row[row].number: row for row in self._rooms.heard_rows(take.room)}

    def _note_members(self, take: RoomTake, rows: dict[int, int]) -> None:
        """Note who has come, gone, been muted or unmuted. `rows`: those who are heard there now, leg number → row."""
        for number in [number for number in take.present if number not in rows]:
            take.tell("left", number)
            del take.present[number]
        for number, row in rows.items():
            state = self._table.rows[row]
            audible = bool(state["speaks"] if self._rooms.room_of(row) == take.room else state["feeds"])
            if number not in take.present:
                take.tell("joined", number)
            if take.present.get(number, True) != audible:
                take.tell("unmuted" if audible else "muted", number)
            take.present[number] = audible

    def _add_to_track(self, take: RoomTake, number: int, frame: NDArray[np.int16] | None) -> None:
        """Append a participant's frame to the own track, which begins with the first one; None is silence."""
        track = take.tracks.get(number)
        if track is None:
            path = PurePath(take.path)
            track = take.tracks[number] = self.open(str(path.with_stem(f"{path.stem}-{number}")), take.rate_hz, group=take.path)
        self.work += track.pad(take.ticks)
        self.work += track.add(None if frame is None else track.at_rate("said", frame))

    def _add_to_mix(self, take: RoomTake, mix: Take, sums: list[NDArray[np.int32]], remote: NDArray[np.int32] | None) -> None:
        """Append what is said in the room: `sums` of members of one rate each, and `remote` at ROOM_RATE_HZ."""
        total = np.zeros(take.rate_hz * TICK_MS // 1000, np.int32)
        for said in sums:
            total += mix.at_rate("said", np.clip(said, -32768, 32767).astype(np.int16))
        if remote is not None:
            total += (
                remote if take.rate_hz == ROOM_RATE_HZ else mix.at_rate("remote", np.clip(remote, -32768, 32767).astype(np.int16))
            )
        self.work += mix.pad(take.ticks)
        self.work += mix.add(np.clip(total, -32768, 32767).astype(np.int16))

    # -------------------------------------------------------------------------------------------------------------- files
    def open(self, path: str, rate_hz: int, length_ms: int = 0, silence_ms: int = 0, channels: int = 1, group: str = "") -> Take:
        """Begin a file: the first work for it is queued. `group` as in FileOpened."""
        self._token += 1
        self.work.append(FileOpened(self._token, path, rate_hz, channels, group))
        take = Take(self._token, path, rate_hz, length_ms, silence_ms, channels)
        take.buffer = np.zeros(rate_hz * BLOCK_MS // 1000 * channels, np.int16)
        return take
