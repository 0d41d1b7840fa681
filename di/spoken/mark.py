# SPDX-License-Identifier: GPL-2.0-or-later
"""The mark of a prompt that was made here: it stands in the wav file itself, so no second file can disagree with it.

    cordboard spoken 1f0c… 77ab…      what it was made of (`key_of`), and a digest of its samples

A file without a mark, or whose samples are not those of its mark, is somebody's own recording and is never written over.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

_MARK = re.compile(r"cordboard (spoken|tones) ([0-9a-f]{32}) ([0-9a-f]{32})")
_MADE_BY = "1"
"""Goes up when the same sentence of the same engine becomes another file."""


@dataclass(frozen=True, slots=True)
class Mark:
    """`kind` is tones for a stand-in; sounds that are tones in the list are `spoken`."""

    kind: Literal["spoken", "tones"]
    key: str


def key_of(*parts: object) -> str:
    """What a prompt is made of, as one word: sentence, voice, command, version of the program, rate, level."""
    return _digest("\0".join(map(str, (_MADE_BY, *parts))).encode())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def read_mark(path: Path) -> Mark | None:
    """The mark of a file; None for one that is not ours, cannot be read, or is not there."""
    try:
        with soundfile.SoundFile(path) as file:
            found = _MARK.fullmatch(file.comment)
            if found is None or _digest(file.read(dtype="int16").tobytes()) != found[3]:
                return None
    except (soundfile.SoundFileError, OSError):
        return None
    return Mark("tones" if found[1] == "tones" else "spoken", found[2])


def write_marked(path: Path, samples: NDArray[np.int16], rate_hz: int, mark: Mark) -> None:
    """Write a wav file aside and put it in its place: who reads meanwhile gets the old one or the new one. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(prefix=".", suffix=".wav", dir=path.parent)
    os.close(handle)
    try:
        with soundfile.SoundFile(aside, "w", rate_hz, 1, "PCM_16", format="WAV") as file:
            file.comment = f"cordboard {mark.kind} {mark.key} {_digest(samples.tobytes())}"
            file.write(samples)
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    except soundfile.SoundFileError as error:
        raise OSError(f"{path} cannot be written: {error}") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(aside)


def link_in_place(path: Path, place: Path) -> bool:
    """Let a second name be the same file. False where the file system has no such links; nothing has changed then."""
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        os.link(path, aside)
        os.replace(aside, place)
    except OSError:
        return False
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(aside)
    return True
