# SPDX-License-Identifier: GPL-2.0-or-later
"""The sounds of scripts for SEMS's `ivr` (spec core.md §11): files, silence, one sound over another."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clients.app.call import Call
    from clients.app.known_call import Action

AUDIO_READ, AUDIO_WRITE = 1, 2


class IvrAudioFile:
    """A file to play, or to record into. `loop`: play it for ever."""

    def __init__(self) -> None:
        self.name, self.mode, self.loop, self.record_ms = "", 0, False, 0
        self.text = ""
        """What is spoken in place of a file."""

    @classmethod
    def tts(cls, text: str) -> IvrAudioFile:
        """A text to be spoken, by the engine of prompts.conf."""
        file = cls()
        file.text, file.mode = str(text), AUDIO_READ
        return file

    def open(self, name: str, mode: int, is_tmp: bool = False) -> None:
        """Raises IOError for a file to play that is not there, TypeError for a mode that is none."""
        if not isinstance(is_tmp, bool):
            raise TypeError("is_tmp must be a bool")
        if mode not in (AUDIO_READ, AUDIO_WRITE):
            raise TypeError("mode must be AUDIO_READ or AUDIO_WRITE")
        if mode == AUDIO_READ and os.path.isabs(name) and not os.path.isfile(name):
            raise OSError(f"cannot open {name}")
        self.name, self.mode = name, mode

    def close(self) -> None:
        """Nothing is held here."""

    def rewind(self, ms: int = 0) -> None:
        """Nothing: a file begins where it is enqueued."""
        del ms

    def getDataSize(self) -> int:
        """Bytes of audio in the file; 0 while there are none."""
        try:
            return max(0, os.path.getsize(self.name) - 44)
        except OSError:
            return 0

    def setRecordTime(self, ms: int) -> None:
        """Record so long at most."""
        self.record_ms = int(ms)


class IvrNullAudio:
    """Silence to play, or time to pass."""

    def __init__(self) -> None:
        self.read_ms = self.write_ms = 0

    def init(self, read_ms: int = 0, write_ms: int = 0) -> None:
        """Set both lengths."""
        self.read_ms, self.write_ms = int(read_ms), int(write_ms)

    def setReadLength(self, ms: int) -> None:
        """How long it plays."""
        self.read_ms = int(ms)

    def setWriteLength(self, ms: int) -> None:
        """How long it would record."""
        self.write_ms = int(ms)


class IvrAudioMixIn:
    """One file, into which another is mixed every so many seconds."""

    def __init__(self) -> None:
        self.a = self.b = IvrAudioFile()
        self.seconds, self.level = 0, 0.0

    def init(
        self,
        a: IvrAudioFile,
        b: IvrAudioFile,
        s: int,
        l: float,  # noqa: E741 - SEMS's name
        finish_b: bool = False,
        once: bool = False,
        immediate: bool = False,
    ) -> None:
        """`a` plays, `b` comes in every `s` seconds at level `l`; `immediate`: at once."""
        del finish_b, once
        self.a, self.b, self.seconds, self.level = a, b, 0 if immediate else int(s), float(l)


def played(call: Call, play: IvrAudioFile | IvrAudioMixIn | IvrNullAudio) -> Action[object]:
    """Begin to play one."""
    if isinstance(play, IvrNullAudio):
        return call.ask("silence", {"ms": play.read_ms})
    if isinstance(play, IvrAudioMixIn):
        call.tell("mix_in", {"path": play.b.name, "interval_ms": play.seconds * 1000, "percent": round(play.level * 100)})
        return call.ask("play", {"path": play.a.name, "loop": play.a.loop})
    if play.text:
        return call.ask("say", {"kind": "text", "value": " ".join(play.text.split())})
    return call.ask("play", {"path": play.name, "loop": play.loop})
