# SPDX-License-Identifier: GPL-2.0-or-later
"""Resampling of one 20 ms frame to another rate inside a kernel: any ratio up to six, by a windowed sinc read from a table.

The filter looks back only, eight periods of the slower rate, so that frames join without a seam; what a frame needs of the ones
before it is its history. 16 taps at the slower rate: flat to 0.85 of its band, images 60 dB down.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.dsp.kernel import inline_kernel

HALF_TAPS = 8
STEPS = 512
"""Table places a period."""

MOST_RATIO = 6
UP_HISTORY = 2 * HALF_TAPS
DOWN_HISTORY = 2 * HALF_TAPS * MOST_RATIO
HISTORY = UP_HISTORY + DOWN_HISTORY
CUTOFF = 0.92
"""Of half the slower rate: room for the filter to fall."""


def _windowed_sinc() -> NDArray[np.float32]:
    place = np.arange(HALF_TAPS * STEPS + 1) / STEPS
    window = np.kaiser(2 * HALF_TAPS * STEPS + 1, 7.0)[HALF_TAPS * STEPS :]
    return (CUTOFF * np.sinc(CUTOFF * place) * window).astype(np.float32)


SINC: NDArray[np.float32] = _windowed_sinc()


@inline_kernel
def greatest_divisor(a: Any, b: Any) -> Any:
    """Return the greatest common divisor."""
    while b:
        a, b = b, a % b
    return a


@inline_kernel
def resample_frame(frame: Any, history: Any, out: Any, work: Any, sinc: Any) -> None:
    """Resample one frame and keep its end as history.

    `frame`: int16 or int32 (n,), 16-bit values · `history`: int16 (at least 16 samples of the slower rate,), written · `out`:
    int16 (m,), written · `work`: float32 (≥ history + n,), scratch · `sinc`: SINC. Delays by eight periods of the slower rate.
    """
    count, wanted, kept = frame.shape[0], out.shape[0], history.shape[0]
    for i in range(kept):
        work[i] = history[i]
    for i in range(count):
        work[kept + i] = frame[i]
    common = greatest_divisor(count, wanted)
    stride, phases = count // common, wanted // common
    stretch = max(count / wanted, 1.0)
    reach = int(HALF_TAPS * stretch)
    totals = np.empty(common, np.float32)
    for phase in range(phases):  # outputs `phases` apart lie alike between the inputs: they share their weights
        place = kept + phase * count / wanted - reach
        first = int(place) - reach + 1
        totals[:] = 0
        for tap in range(2 * reach):
            distance = abs(place - (first + tap)) / stretch
            if distance < HALF_TAPS:
                weight = np.float32(sinc[int(distance * STEPS + 0.5)] / stretch)
                if stride == 1:
                    for k in range(common):
                        totals[k] += work[first + tap + k] * weight
                else:
                    for k in range(common):
                        totals[k] += work[first + tap + k * stride] * weight
        for k in range(common):
            out[phase + k * phases] = np.int16(max(min(totals[k], np.float32(32767)), np.float32(-32767)))
    for i in range(kept):
        history[i] = np.int16(work[count + i])
