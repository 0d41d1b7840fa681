# SPDX-License-Identifier: GPL-2.0-or-later
"""The speech engine: one command that any program can be, run without a shell."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shlex
import shutil
import subprocess
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile

from di.spoken.level import Samples

_VERSION_S = 20
_PLACE = re.compile(r"{(\w+)}")
_TOLD = 200


class EngineFailed(Exception):
    """It could not speak; the text says what it said and what to do."""


class SpeechEngine:
    """`command`: as in prompts.conf (`tts_command`), checked there."""

    def __init__(self, command: str, timeout_s: int) -> None:
        self.command = command
        self._words = shlex.split(command)
        self._timeout_s = timeout_s

    @property
    def program(self) -> str:
        """The program's name."""
        return self._words[0]

    @cached_property
    def missing(self) -> str:
        """Why it cannot be run; empty when it can."""
        return "" if shutil.which(self.program) else f"there is no program {self.program} (tts_command in prompts.conf)"

    @cached_property
    def version(self) -> str:
        """Changes when the program does: a digest of what it answers to --version and of its file's size."""
        path = shutil.which(self.program)
        if path is None:
            return ""
        told = b""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):  # not every program knows the option; its size has to do
            done = subprocess.run(
                [path, "--version"], check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=_VERSION_S
            )
            told = done.stdout
        return hashlib.sha256(told + str(Path(path).stat().st_size).encode()).hexdigest()[:16]

    def speak(self, text: str, language: str, voice: str, wav: Path) -> tuple[Samples, int]:
        """Speak a sentence into `wav`, a file that is the caller's; float32 (n,) and its rate. Raises EngineFailed."""
        given = {"wav": str(wav), "voice": voice, "language": language, "text": text}
        words = [_filled(word, given) for word in self._words]
        on_stdin = "{text}" not in self.command
        try:
            done = subprocess.run(
                words,
                check=False,
                input=(text + "\n").encode() if on_stdin else None,
                stdin=None if on_stdin else subprocess.DEVNULL,
                capture_output=True,
                timeout=self._timeout_s,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EngineFailed(f"{self.program}: {error}") from error
        if done.returncode:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()[-_TOLD:]
            raise EngineFailed(f"{self.program} ended with status {done.returncode}: {said or 'it said nothing'}")
        try:
            samples, rate_hz = soundfile.read(wav, dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, OSError) as error:
            raise EngineFailed(f"{self.program} wrote no audio that can be read: {error}") from error
        mono: Samples = samples.mean(axis=1, dtype=np.float32)
        return mono, int(rate_hz)


def _filled(word: str, given: dict[str, str]) -> str:
    """A word of the command with its places filled; what a sentence holds is not looked at again."""
    return _PLACE.sub(lambda found: given.get(found[1], found[0]), word)
