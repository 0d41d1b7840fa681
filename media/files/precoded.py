# SPDX-License-Identifier: GPL-2.0-or-later
"""Precoded files: audio that is on disk as a codec's frames and is sent as it is, without decoding or encoding (spec core.md §8)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media.control.predef import PredefError, parse_predef
from media.files.audio_file import AudioFileError

LONGEST_DEFINITION = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Precoded:
    """The frames of one payload, from the file `path`. `payload`: uint8, whole frames of `frame_bytes`."""

    payload: NDArray[np.uint8]
    frame_ms: int
    frame_bytes: int
    path: str


def read_precoded(path: str, name: str, rate_hz: int) -> Precoded:
    """Return what a definition has for a codec. `rate_hz`: its RTP clock. Raises AudioFileError, with file, line and fix."""
    try:
        definition = Path(path)
        if definition.stat().st_size > LONGEST_DEFINITION:
            raise AudioFileError(f"{path}: {definition.stat().st_size} bytes are no definition of precoded files")
        entries = parse_predef(definition.read_text(encoding="utf-8-sig"), path)
        entry = next((e for e in entries if (e.name, e.rate_hz) == (name.upper(), rate_hz)), None)
        if entry is None:
            has = " ".join(f"{e.name}/{e.rate_hz}" for e in entries)
            raise AudioFileError(f"{path}: no line for {name}/{rate_hz}, which the call speaks; there are {has}")
        frames = definition.parent / entry.file
        data = frames.read_bytes()
    except (PredefError, UnicodeDecodeError) as error:
        text = str(error) if isinstance(error, PredefError) else f"{path}: no text in UTF-8: {error.reason}"
        raise AudioFileError(text) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        where = getattr(error, "filename", None) or path
        raise AudioFileError(f"{where}: {reason}" + ("" if str(where) == path else f" (named in {path})")) from error
    whole = len(data) // entry.frame_bytes * entry.frame_bytes
    if not data or whole != len(data):
        raise AudioFileError(
            f"{frames}: {len(data)} bytes are no whole number of frames of {entry.frame_bytes} bytes; mend frame_bytes in "
            f"{path}:{entry.line} or the file"
        )
    return Precoded(np.frombuffer(data, np.uint8), entry.frame_ms, entry.frame_bytes, str(frames))
