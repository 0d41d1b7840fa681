# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of a recording: who, when, what, and where in the files. It is the sidecar, and what DI tells. Pure.

room     about of the media process (by leg, by the files' clock) ─┐
         members as the hub knows them (call, name, address)     ──┴─► About ─► sidecar
call     from, to, how it ended                                  ────► About ─► sidecar
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from di.kernel.value import Value
from di.modules.recordings.names import main_file, track_file

RECORDING, COMPLETE, FAILED, INTERRUPTED = "recording", "complete", "failed", "interrupted"
VERSION = 1


@dataclass(slots=True)
class RecordedFile:
    """One file. `of`: `mix`, `call`, or the id of the member's call; `samples`: of each channel."""

    file: str
    of: str
    rate_hz: int = 0
    channels: int = 1
    samples: int = 0
    bytes: int = 0

    def value(self) -> Value:
        """As data."""
        return {
            "file": self.file,
            "of": self.of,
            "rate_hz": self.rate_hz,
            "channels": self.channels,
            "samples": self.samples,
            "bytes": self.bytes,
        }


@dataclass(slots=True)
class RoomMember:
    """Somebody who was in the room. `times`, `muted`: from and to, ms of the recording; a `to` of -1 is its end."""

    call: str
    name: str
    uri: str
    leg: int
    times: list[list[int]] = field(default_factory=list)
    muted: list[list[int]] = field(default_factory=list)

    def value(self, name: str, length_ms: int) -> Value:
        """As data, with every open time closed. `name`: of the member's file, "" without one."""

        def closed(spans: list[list[int]]) -> Value:
            return [[start, length_ms if end < 0 else end] for start, end in spans]

        return {
            "call": self.call,
            "name": self.name,
            "uri": self.uri,
            "file": name,
            "times_ms": closed(self.times),
            "muted_ms": closed(self.muted),
        }


@dataclass(slots=True)
class RecordingAbout:
    """A recording. `target`: the room's name or the call's id · `mode`: mix, tracks, both; said, heard, both of a call."""

    name: str
    kind: str
    target: str
    mode: str
    by: str
    began_s: float
    state: str = RECORDING
    reason: str = ""
    ended_s: float = 0.0
    length_ms: int = 0
    files: list[RecordedFile] = field(default_factory=list)
    members: dict[int, RoomMember] = field(default_factory=dict)
    """By leg."""
    call: dict[str, Value] = field(default_factory=dict)
    """Of a call: from, to, direction, application, and at the end its cause."""

    def value(self, length_ms: int = -1) -> dict[str, Value]:
        """As data: what DI answers and the sidecar holds. `length_ms`: while it runs, so far."""
        length_ms = self.length_ms if length_ms < 0 else length_ms
        file_of = {file.of: file.file for file in self.files}
        about: dict[str, Value] = {
            "version": VERSION,
            "name": self.name,
            "kind": self.kind,
            self.kind: self.target,
            "mode": self.mode,
            "by": self.by,
            "state": self.state,
            "reason": self.reason,
            "began": self.began_s,
            "ended": self.ended_s,
            "length_ms": length_ms,
            "files": [file.value() for file in self.files],
        }
        if self.kind == "call":
            about["about_call"] = self.call
        else:
            about["members"] = [member.value(file_of.get(member.call, ""), length_ms) for member in self.members.values()]
        return about

    def expect_files(self) -> None:
        """Say which files there will be, while they are written: so they are known should the server die."""
        self.files = [RecordedFile(main_file(self.name), "call" if self.kind == "call" else "mix")]
        if self.kind == "room" and self.mode == "tracks":
            self.files = []
        if self.kind == "room" and self.mode != "mix":
            self.files += [RecordedFile(track_file(self.name, leg), member.call) for leg, member in self.members.items()]

    # ---------------------------------------------------------------------------------------------------- members of a room
    def joined(self, member: RoomMember, at_ms: int) -> None:
        """Somebody came, as far as the hub knows; coming again is a further time."""
        known = self.members.setdefault(member.leg, member)
        if not known.times or known.times[-1][1] >= 0:
            known.times.append([at_ms, -1])

    def left(self, call: str, at_ms: int) -> None:
        """Somebody went."""
        for member in self.members.values():
            if member.call == call and member.times and member.times[-1][1] < 0:
                member.times[-1][1] = at_ms

    def take(self, text: str) -> None:
        """Take over what the media process says (`RoomRecordingStopped.about`), which goes by the files' own clock.

        Members are told apart by their legs; of legs that the hub has not seen in the room only the number is known.
        """
        told = json.loads(text)
        for member in self.members.values():
            member.times, member.muted = [], []
        for event in told["events"]:
            leg = int(event["leg"])
            member = self.members.setdefault(leg, RoomMember("", "", "", leg))
            _note(member, str(event["event"]), int(event["at_ms"]))
        self.members = {leg: member for leg, member in self.members.items() if member.times}
        self.files = [RecordedFile(told["mix"], "mix")] if told["mix"] else []
        for leg, file in told["tracks"].items():
            known = self.members.get(int(leg))
            self.files.append(RecordedFile(str(file), (known.call if known else "") or f"leg {leg}"))
        self.length_ms = int(told["samples"]) * 1000 // int(told["rate_hz"])


def _note(member: RoomMember, what: str, at_ms: int) -> None:
    """One event of the media process: what opens a span, and what closes it."""
    spans = member.muted if what in ("muted", "unmuted") else member.times
    if what in ("joined", "muted"):
        spans.append([at_ms, -1])
    elif spans and spans[-1][1] < 0:
        spans[-1][1] = at_ms
    if what == "left" and member.muted and member.muted[-1][1] < 0:
        member.muted[-1][1] = at_ms


def sidecar(about: dict[str, Value]) -> str:
    """The sidecar's text."""
    return json.dumps(about, indent=1, ensure_ascii=False) + "\n"


_MUST_BE: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "kind": str,
    "state": str,
    "began": (int, float),
    "files": list,
}


def read_sidecar(text: str) -> dict[str, Value] | None:
    """What a sidecar says; None when it is none of ours, or broken."""
    try:
        about = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(about, dict) or any(not isinstance(about.get(key), kind) for key, kind in _MUST_BE.items()):
        return None
    return about
