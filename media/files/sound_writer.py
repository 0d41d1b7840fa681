# SPDX-License-Identifier: GPL-2.0-or-later
"""Sound files written piece by piece: wav (16 bit, A-law, mu-law), flac, ogg, and headerless G.711, by the file's suffix."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from media.files.audio_file import RAW_LAWS, AudioFileError

FORMATS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS"), ".mp3": ("MP3", "MPEG_LAYER_III")}
SUBTYPES = {"pcm16": "PCM_16", "a-law": "ALAW", "mu-law": "ULAW"}
"""SEMS's sub-types of wav, given after the name as in ``file.wav|A-Law`` (spec core.md §8)."""


class SoundWriter(Protocol):
    """An open file."""

    def write(self, samples: NDArray[np.int16]) -> None:
        """Append samples."""

    def close(self) -> None:
        """Finish the file: its header is right only then."""


def open_sound(name: str, rate_hz: int) -> SoundWriter:
    """Open a file for writing, overwriting it; folders must exist. Raises AudioFileError."""
    path, _, subtype = name.partition("|")
    suffix = Path(path).suffix.lower()
    try:
        if suffix in RAW_LAWS:
            file: SoundWriter = soundfile.SoundFile(path, "w", rate_hz, 1, RAW_LAWS[suffix], format="RAW")
            return file
        if suffix not in FORMATS:
            raise AudioFileError(f"{path}: unknown format; known: {' '.join((*FORMATS, *RAW_LAWS))}")
        form, standard = FORMATS[suffix]
        wanted = SUBTYPES.get(subtype.lower(), standard) if form == "WAV" else standard
        file = soundfile.SoundFile(path, "w", rate_hz, 1, wanted, format=form)
        return file
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioFileError(f"{path}: cannot be written: {error}") from error
