# SPDX-License-Identifier: GPL-2.0-or-later
"""What an engine has spoken, made fit for telephony: silence cut off, brought to one level, at the rates that are wanted. Pure.

All is float32 (n,), full scale ±1. The level is that of active speech, as ITU-T P.56 means it: pauses do not count, so that a long
sentence with pauses and a single word come out equally loud. P.56's envelope is simplified to frames of 20 ms.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.float32]

_FRAME_S = 0.02
_ACTIVE_DB = 25.0
"""A frame so far below the loudest one is a pause."""
_SILENT_DB = 45.0
"""So far below the loudest frame nothing is heard any more: cut off at both ends."""
_BEFORE_S, _AFTER_S = 0.02, 0.04
"""Kept of it, so that soft consonants live and words of a number do not run into each other."""
_FADE_S = 0.005
PEAK = 0.84
"""-1.5 dB: headroom for what resampling and coding add."""


def _frame_db(samples: Samples, rate_hz: int) -> NDArray[np.float64]:
    """Power of each frame in dB, full scale 0; the last frame is filled up with zeros."""
    size = max(1, round(rate_hz * _FRAME_S))
    frames = np.pad(samples, (0, -len(samples) % size)).reshape(-1, size).astype(np.float64)
    power: NDArray[np.float64] = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    return power


def active_level_db(samples: Samples, rate_hz: int) -> float:
    """Level of what is said, pauses left out, in dB below full scale; -120 for silence and for nothing."""
    if not len(samples):
        return -120.0
    power = _frame_db(samples, rate_hz)
    active = power[power > power.max() - _ACTIVE_DB]
    return float(10 * np.log10(np.mean(10 ** (active / 10))))


def trim(samples: Samples, rate_hz: int) -> Samples:
    """Cut silence off at both ends and fade what is left in and out; a copy. Nothing but silence becomes nothing."""
    power = _frame_db(samples, rate_hz) if len(samples) else np.zeros(0)
    loud = np.flatnonzero(power > max(power.max() - _SILENT_DB, -90.0)) if len(power) else np.zeros(0, np.int64)
    if not len(loud):
        return np.zeros(0, np.float32)
    size = max(1, round(rate_hz * _FRAME_S))
    begin = max(0, int(loud[0]) * size - round(rate_hz * _BEFORE_S))
    end = min(len(samples), (int(loud[-1]) + 1) * size + round(rate_hz * _AFTER_S))
    kept = samples[begin:end].astype(np.float32, copy=True)
    edge = min(round(rate_hz * _FADE_S), len(kept) // 2)
    ramp = np.linspace(0, 1, edge, dtype=np.float32)
    kept[:edge] *= ramp
    kept[len(kept) - edge :] *= ramp[::-1]
    return kept


def level(samples: Samples, rate_hz: int, target_db: float) -> Samples:
    """Bring active speech to a level; less where a peak would come above `PEAK`. A copy."""
    peak = float(np.abs(samples).max(initial=0.0))
    if peak <= 0.0:
        return samples.copy()
    gain = min(10 ** ((target_db - active_level_db(samples, rate_hz)) / 20), PEAK / peak)
    louder: Samples = (samples * np.float32(gain)).astype(np.float32)
    return louder


def prepare(samples: Samples, rate_hz: int, wanted_hz: int, target_db: float) -> NDArray[np.int16]:
    """All of it: trimmed, resampled, levelled; int16 (n,)."""
    kept = trim(samples, rate_hz)
    if rate_hz != wanted_hz and len(kept):
        kept = soxr.resample(kept, rate_hz, wanted_hz).astype(np.float32)
    scaled = np.rint(level(kept, wanted_hz, target_db) * 32767)
    ready: NDArray[np.int16] = np.clip(scaled, -32768, 32767).astype(np.int16)
    return ready
