# SPDX-License-Identifier: GPL-2.0-or-later
"""Recordings under way: a file of one leg or mix, a room's files on one clock, and what is to be done on disk for them.

frame (each tick) ─► Take ─► Block of a second … ─► FileClosed          all of it is work for the shell's writer, in this order
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from media.codecs.codec import TICK_MS
from media.dsp.resample import FrameConverters

BLOCK_MS = 1000
ROOM_RATE_HZ = 8000
"""Of a room's mix and tracks, and of what its other processes say of it; a recording may have another."""
ROOM_RATES_HZ = (ROOM_RATE_HZ, 16000)


@dataclass(frozen=True, slots=True)
class FileOpened:
    """Open a file for 16-bit samples; its suffix chooses the format. `group`: what else is recorded with it, empty: nothing."""

    token: int
    path: str
    rate_hz: int
    channels: int = 1
    group: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Append samples, of two channels in turn."""

    token: int
    samples: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Padding:
    """Append so many samples of silence, counted over all channels."""

    token: int
    samples: int


@dataclass(frozen=True, slots=True)
class FileClosed:
    """Finish a file."""

    token: int
    path: str


Work: TypeAlias = FileOpened | Block | Padding | FileClosed


@dataclass(slots=True, eq=False)
class Take:
    """One file being recorded. `samples`: so far, of each channel · `paused`: nothing is added for now."""

    token: int
    path: str
    rate_hz: int
    length_ms: int = 0
    silence_ms: int = 0
    channels: int = 1
    samples: int = 0
    silent_ms: int = 0
    paused: bool = False
    buffer: NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))
    filled: int = 0
    stopped: str = ""
    converters: FrameConverters = field(default_factory=FrameConverters)

    @property
    def recorded_ms(self) -> int:
        """Length so far."""
        return self.samples * 1000 // self.rate_hz

    def at_rate(self, source: str, frame: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return a source's next frame of a tick, of whatever rate, at the file's rate; int16 (rate_hz / 50,)."""
        return self.converters.convert(source, frame, self.rate_hz * TICK_MS // 1000)

    def add(self, frame: NDArray[np.int16] | None) -> list[Work]:
        """Append a frame at the file's rate, silence for None, of two channels in turn; return what is to be written once a block is full."""
        count = self.rate_hz * TICK_MS // 1000
        end = self.filled + count * self.channels
        if frame is None:
            self.buffer[self.filled : end] = 0
        else:
            self.buffer[self.filled : end] = frame
        self.filled = end
        self.samples += count
        return self.flush() if end == len(self.buffer) else []

    def pad(self, ticks: int) -> list[Work]:
        """Append silence up to the length of so many ticks."""
        missing = ticks * self.rate_hz * TICK_MS // 1000 - self.samples
        if missing <= 0:
            return []
        self.samples += missing
        return [*self.flush(), Padding(self.token, missing * self.channels)]

    def flush(self) -> list[Work]:
        """Return the block begun, if there is one."""
        if not self.filled:
            return []
        block = Block(self.token, self.buffer[: self.filled])
        self.buffer = np.zeros_like(self.buffer)
        self.filled = 0
        return [block]

    def close(self) -> list[Work]:
        """Return what finishes the file."""
        return [*self.flush(), FileClosed(self.token, self.path)]


@dataclass(slots=True, eq=False)
class RoomTake:
    """One room being recorded: its mix, its tracks by leg number, what happened in it."""

    room: str
    path: str
    mode: str
    clock_ns: int = 0
    is_part: bool = False
    rate_hz: int = ROOM_RATE_HZ
    mix: Take | None = None
    tracks: dict[int, Take] = field(default_factory=dict)
    present: dict[int, bool] = field(default_factory=dict)  # leg number → is heard
    events: list[dict[str, object]] = field(default_factory=list)
    ticks: int = 0
    open_tokens: set[int] = field(default_factory=set)
    paths: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    begun: bool = False
    about: str = ""

    @property
    def tokens(self) -> set[int]:
        """Of its audio files."""
        return {take.token for take in (*self.tracks.values(), *([self.mix] if self.mix else []))}

    def tell(self, what: str, leg: int) -> None:
        """Note what happened to a participant, at the recording's clock."""
        self.events.append({"at_ms": self.ticks * TICK_MS, "event": what, "leg": leg})

    def part_text(self) -> str:
        """What the room's owner needs to know of this part: JSON."""
        return json.dumps({"tracks": self._track_names(), "events": self.events})

    def text(self, parts: tuple[str, ...]) -> str:
        """What is in the files of this recording and of its `parts`: JSON.

        `samples` of each file at `rate_hz`; `mix`: its file's name, "" without one; `tracks`: leg number → file's name; `events`:
        `joined`, `left`, `muted`, `unmuted`, with the leg's number and the place in the files, in order of time.
        """
        tracks, events = self._track_names(), [*self.events]
        for part in map(json.loads, parts):
            tracks |= part["tracks"]
            events += part["events"]
        events.sort(key=_at_ms)
        return json.dumps(
            {
                "room": self.room,
                "rate_hz": self.rate_hz,
                "samples": self.ticks * TICK_MS * self.rate_hz // 1000,
                "mix": PurePath(self.mix.path).name if self.mix else "",
                "tracks": tracks,
                "events": events,
            }
        )

    def _track_names(self) -> dict[str, str]:
        return {str(number): PurePath(track.path).name for number, track in self.tracks.items()}


def _at_ms(event: dict[str, Any]) -> int:
    return int(event["at_ms"])
