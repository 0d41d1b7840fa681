# SPDX-License-Identifier: GPL-2.0-or-later
"""Tones: sums of sines in a cadence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

AMPLITUDE = 0.35 * 32767
"""Peak of one of two sines, about -9 dBov; the two together stay below full scale."""

LONGEST_CADENCE_MS = 60_000


def cadence(frequencies_hz: tuple[int, ...], on_ms: int, off_ms: int, rate_hz: int) -> NDArray[np.int16]:
    """Return one period: `on_ms` of the summed sines, then `off_ms` of silence; int16 (samples,).

    With `off_ms` 0 the period is one second, which joins itself without a click because frequencies are whole numbers. Times
    are kept within 0 to 60 s; frequencies from half the rate on are left out.
    """
    on_ms = 1000 if off_ms <= 0 or on_ms <= 0 else min(on_ms, LONGEST_CADENCE_MS)
    off_ms = min(max(off_ms, 0), LONGEST_CADENCE_MS)
    time_s = np.arange(on_ms * rate_hz // 1000) / rate_hz
    wave = np.zeros(len(time_s) + off_ms * rate_hz // 1000)
    for frequency_hz in frequencies_hz[:2]:
        if 0 < frequency_hz < rate_hz / 2:
            wave[: len(time_s)] += AMPLITUDE * np.sin(2 * np.pi * frequency_hz * time_s)
    return wave.astype(np.int16)
