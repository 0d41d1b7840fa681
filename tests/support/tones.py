# SPDX-License-Identifier: GPL-2.0-or-later
"""Tone fingerprints: every party sends its own frequency, and a Fourier transform of what a party heard says whom it heard.

`samples` is int16 at `rate_hz` everywhere. Frequencies that are multiples of 50 Hz fall exactly into one line of a 20 ms frame.
"""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]


def tone(frequency_hz: float, length_ms: int, rate_hz: int = 8000, amplitude: float = 8000.0) -> Samples:
    """A sine."""
    time_s = np.arange(length_ms * rate_hz // 1000) / rate_hz
    return (amplitude * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.int16)


def sequence(frequencies_hz: list[float], each_ms: int, rate_hz: int = 8000, amplitude: float = 8000.0) -> Samples:
    """Sines one after the other; 0 is silence."""
    return np.concatenate([tone(f, each_ms, rate_hz, amplitude if f else 0.0) for f in frequencies_hz])


def write_wav(path: Path, samples: Samples, rate_hz: int = 8000) -> Path:
    """Write 16-bit mono."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def level(samples: Samples, frequency_hz: float, rate_hz: int = 8000) -> float:
    """Amplitude of one frequency in the samples (the peak of the sine, in sample steps)."""
    if len(samples) == 0:
        return 0.0
    time_s = np.arange(len(samples)) / rate_hz
    turning = np.exp(-2j * np.pi * frequency_hz * time_s)
    return float(2 * abs(np.dot(samples.astype(np.float64), turning)) / len(samples))


def heard(samples: Samples, candidates_hz: list[float], rate_hz: int = 8000, threshold: float = 500.0) -> set[float]:
    """Which of the candidate frequencies are in the samples, by the mean over windows of 200 ms."""
    window = rate_hz // 5
    parts = [samples[i : i + window] for i in range(0, len(samples) - window + 1, window)] or [samples]
    return {f for f in candidates_hz if np.mean([level(p, f, rate_hz) for p in parts]) > threshold}


def loudest(
    samples: Samples, candidates_hz: list[float], each_ms: int, rate_hz: int = 8000, threshold: float = 500.0
) -> list[float]:
    """The loudest candidate in each successive `each_ms` (0: none is over the threshold), repetitions joined: a melody's
    notes."""
    window = rate_hz * each_ms // 1000
    notes: list[float] = []
    for first in range(0, len(samples) - window + 1, window):
        levels = {f: level(samples[first : first + window], f, rate_hz) for f in candidates_hz}
        best = max(levels, key=lambda f: levels[f])
        note = best if levels[best] > threshold else 0.0
        if not notes or notes[-1] != note:
            notes.append(note)
    return notes


def silent_ms(samples: Samples, rate_hz: int = 8000, threshold: int = 200) -> list[int]:
    """Lengths of the stretches quieter than the threshold between the first and the last sound: the gaps."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > threshold)
    steps = np.diff(loud)
    return [int(s * 1000 // rate_hz) for s in steps if s * 1000 // rate_hz >= 2]
