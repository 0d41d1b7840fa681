# SPDX-License-Identifier: GPL-2.0-or-later
"""An audio file as 16-bit mono samples at the rate that is wanted: any format, width, rate and channel count that libsndfile
reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

BLOCK_S = 10
"""Seconds decoded at a time: bounds the memory of long files and how long another thread may have to wait."""

RAW_LAWS = {".ulaw": "ULAW", ".pcmu": "ULAW", ".ul": "ULAW", ".alaw": "ALAW", ".pcma": "ALAW", ".al": "ALAW"}
"""Headerless formats by file name; 8 kHz mono."""


class AudioFileError(Exception):
    """The file cannot be read as audio; the text names it and says why."""


def read_audio(path: str, rate_hz: int) -> NDArray[np.int16]:
    """Return the whole file, channels averaged, resampled, clipped; int16 (samples,). Raises AudioFileError."""
    if not Path(path).is_file():
        raise AudioFileError(f"{path}: no such file")
    try:
        with _open(path) as file:
            resampler = soxr.ResampleStream(file.samplerate, rate_hz, 1, dtype="float32") if file.samplerate != rate_hz else None
            parts = []
            for block in file.blocks(BLOCK_S * file.samplerate, dtype="float32", always_2d=True):
                mono = block.mean(axis=1, dtype=np.float32) if block.shape[1] > 1 else block[:, 0]
                parts.append(_to_int16(resampler.resample_chunk(mono) if resampler else mono))
            if resampler:
                parts.append(_to_int16(resampler.resample_chunk(np.zeros(0, np.float32), last=True)))
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        raise AudioFileError(f"{path}: cannot be read as audio: {error}") from error
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


def _open(path: str) -> soundfile.SoundFile:
    subtype = RAW_LAWS.get(Path(path).suffix.lower())
    if subtype:
        return soundfile.SoundFile(path, samplerate=8000, channels=1, format="RAW", subtype=subtype)
    return soundfile.SoundFile(path)


def _to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    scaled = np.rint(samples * np.float32(32768))
    clipped: NDArray[np.int16] = np.clip(scaled, -32768, 32767).astype(np.int16)
    return clipped
