# SPDX-License-Identifier: GPL-2.0-or-later
"""Recordings: what the hub asks for, and what the media process tells when one is on disk.

of a leg     StartRecording ─► StopRecording, its length, silence, CloseLeg             ─► RecordingStopped       by its application
of a call    StartCallRecording ─► StopCallRecording, its length, CloseLeg              ─► CallRecordingStopped   beside all else
of a room    StartRoomRecording ─► StopRoomRecording                                    ─► RoomRecordingStopped
"""

from __future__ import annotations

from typing import TypeAlias

from media.control.quick_records import record


@record(frozen=True, slots=True)
class StartRecording:
    """Record what a leg says into a file (suffix chooses the format), beside whatever its playlist does.

    `length_ms` / `silence_ms`: stop by itself after so much audio / so much silence; 0 no limit.
    """

    leg: int
    path: str
    length_ms: int = 0
    silence_ms: int = 0


@record(frozen=True, slots=True)
class StopRecording:
    """Finish a leg's recording; answered by RecordingStopped."""

    leg: int


@record(frozen=True, slots=True)
class RecordingStopped:
    """A recording is complete on disk (also after CloseLeg). `reason`: asked, length, silence, closed or an error text."""

    leg: int
    path: str
    length_ms: int
    size_bytes: int
    reason: str


@record(frozen=True, slots=True)
class StartCallRecording:
    """Record a call beside all else, what the leg's application records included. An earlier one of it is finished first.

    `sides`: `said` what the leg says, `heard` what it is sent, `both` in the two channels of one file, said left and heard right.
    The file's rate is the codec's, at most 16 kHz. `length_ms`: stop by itself after so much; 0: no limit.
    """

    leg: int
    path: str
    sides: str = "both"
    length_ms: int = 0


@record(frozen=True, slots=True)
class StopCallRecording:
    """Finish a call's recording; answered by CallRecordingStopped."""

    leg: int


@record(frozen=True, slots=True)
class CallRecordingStopped:
    """A call's recording is complete on disk (also after CloseLeg). `reason`: asked, length, closed or an error text.

    `samples`: of each channel.
    """

    leg: int
    path: str
    samples: int
    rate_hz: int
    channels: int
    size_bytes: int
    reason: str


@record(frozen=True, slots=True)
class StartRoomRecording:
    """Record a room: `mix` into one file, `tracks` one file a participant on a common clock, or `both`.

    `rate_hz`: of all its files, 8000 or 16000; what is said in other processes is at 8000 in the mix. `clock_ns`: monotonic time that is
    0 ms of the recording; 0: when it begins. `part`: another process has the mix of this room, and tells what was in it; here its
    members' tracks only.
    """

    room: str
    path: str
    mode: str = "mix"
    clock_ns: int = 0
    part: bool = False
    rate_hz: int = 8000


@record(frozen=True, slots=True)
class StopRoomRecording:
    """Finish a room's recording. `parts`: what other processes recorded of it (their RoomRecordingStopped.about)."""

    room: str
    parts: tuple[str, ...] = ()


@record(frozen=True, slots=True)
class RoomRecordingStopped:
    """A room's recording is complete: the files written. `about`: what is in them, as JSON (``media.engine.takes``).

    All files begin together; those of one process have as many samples.
    """

    room: str
    paths: tuple[str, ...]
    length_ms: int
    reason: str
    about: str = ""


LegRecording: TypeAlias = StartRecording | StopRecording | StartCallRecording | StopCallRecording
RoomRecording: TypeAlias = StartRoomRecording | StopRoomRecording
"""What is asked for of a leg, and of a room."""
