# SPDX-License-Identifier: GPL-2.0-or-later
"""An audio file as 16-bit mono samples at the rate that is wanted: any format, width, rate and channel count that libsndfile
reads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from media.control.audio_formats import FORMATS, RAW_RATE_HZ, suffix_of

BLOCK_S = 10
"""Seconds decoded at a time: bounds the memory of long files and how long another thread may have to wait."""

_WAV_HEAD_BYTES = 4096
_WAV_SAMPLES = (1, 3, 6, 7, 0xFFFE)
"""Format codes of a sample by itself: PCM, float, G.711, extensible."""
_LONGEST_FILLING = 4096
"""Samples, above the longest block of the ADPCM formats; a fact chunk that is farther off is wrong."""


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
            for block in _blocks(file):
                mono = block.mean(axis=1, dtype=np.float32) if block.shape[1] > 1 else block[:, 0]
                parts.append(_to_int16(resampler.resample_chunk(mono) if resampler else mono))
            if resampler:
                parts.append(_to_int16(resampler.resample_chunk(np.zeros(0, np.float32), last=True)))
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        raise AudioFileError(f"{path}: cannot be read as audio: {error}") from error
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


def _samples_said(path: str) -> int:
    """Return how many samples a WAV file of a block codec says it has, 0 when it does not say: the last block is filled up, and what
    a decoder makes of the filling is a burst of noise.
    """
    with open(path, "rb") as file:
        head = file.read(_WAV_HEAD_BYTES)
    at = 12 if head[:4] == b"RIFF" and head[8:12] == b"WAVE" else len(head)
    coding = 0
    while at + 8 <= len(head):
        name, size = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        if name == b"fmt ":
            coding = int.from_bytes(head[at + 8 : at + 10], "little")
        elif name == b"fact" and size >= 4 and coding not in _WAV_SAMPLES:
            return int.from_bytes(head[at + 8 : at + 12], "little")
        at += 8 + size + (size & 1)
    return 0


def _blocks(file: soundfile.SoundFile) -> Iterator[NDArray[np.float32]]:
    """Yield float32 (frames, channels) to the end. Block codecs (GSM 6.10, G.721) cannot seek, so a length is never asked for."""
    most, said = BLOCK_S * file.samplerate, _samples_said(file.name)
    left = said if said and 0 < file.frames - said < _LONGEST_FILLING else sys.maxsize  # `frames` of some formats is a guess
    while left > 0:
        block: NDArray[np.float32] = file.read(min(most, left), dtype="float32", always_2d=True)
        left -= len(block)
        if not len(block):
            return
        yield block


def _open(path: str) -> soundfile.SoundFile:
    form = FORMATS.get(suffix_of(path))
    if form is not None and form.headerless:
        return soundfile.SoundFile(path, "r", RAW_RATE_HZ, 1, form.subtype, form.endian, "RAW")
    return soundfile.SoundFile(path)


def _to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    scaled = np.rint(samples * np.float32(32768))
    clipped: NDArray[np.int16] = np.clip(scaled, -32768, 32767).astype(np.int16)
    return clipped
