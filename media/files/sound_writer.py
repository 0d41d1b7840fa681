# SPDX-License-Identifier: GPL-2.0-or-later
"""Sound files written piece by piece, in the format that the file's suffix names (``media.control.audio_formats``)."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from media.control.audio_formats import FORMATS, SUBTYPES, known, suffix_of
from media.files.audio_file import AudioFileError
from media.files.plain_wav import PlainWav


class SoundWriter(Protocol):
    """An open file."""

    def write(self, samples: NDArray[np.int16]) -> None:
        """Append samples."""

    def close(self) -> None:
        """Finish the file: but for 16-bit WAV its header is right only then."""


class _AtOtherRate:
    """A file whose format has not the rate of the samples: they are brought to one that it has."""

    def __init__(self, file: soundfile.SoundFile, rate_hz: int) -> None:
        self._file = file
        self._resampler = soxr.ResampleStream(rate_hz, file.samplerate, 1, dtype="int16")

    def write(self, samples: NDArray[np.int16]) -> None:
        """Append samples at the outer rate."""
        self._file.write(self._resampler.resample_chunk(samples))

    def close(self) -> None:
        """Write what is still in the filter, finish the file."""
        self._file.write(self._resampler.resample_chunk(np.zeros(0, np.int16), last=True))
        self._file.close()


def open_sound(name: str, rate_hz: int, channels: int = 1) -> SoundWriter:
    """Open a file for writing, overwriting it; folders must exist. Raises AudioFileError.

    Two `channels`, left and right in turn, go into 16-bit WAV only.
    """
    path, _, subtype = name.partition("|")
    form = FORMATS.get(suffix_of(path))
    if form is None:
        raise AudioFileError(f"{path}: unknown format; known: {known()}")
    wanted = SUBTYPES.get(subtype.lower(), form.subtype) if form.container == "WAV" else form.subtype
    file_hz = form.rate_hz(rate_hz)
    if form.container == "WAV" and wanted == "PCM_16" and file_hz == rate_hz:
        return PlainWav(path, rate_hz, channels)
    if channels != 1:
        raise AudioFileError(f"{path}: {channels} channels go into 16-bit WAV files only")
    try:
        file = soundfile.SoundFile(path, "w", file_hz, 1, wanted, form.endian, form.container)
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        raise AudioFileError(f"{path}: cannot be written: {error}") from error
    writer: SoundWriter = file if file_hz == rate_hz else _AtOtherRate(file, rate_hz)
    return writer
