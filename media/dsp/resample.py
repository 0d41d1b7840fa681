# SPDX-License-Identifier: GPL-2.0-or-later
"""Resampling of one 20 ms frame to another rate inside a kernel: any ratio up to six, by a windowed sinc read from a table.

The filter looks back only, eight periods of the slower rate, so that frames join without a seam; what a frame needs of the ones
before it is its history. 16 taps at the slower rate: flat to 0.85 of its band, images 60 dB down.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.dsp.kernel import inline_kernel, kernel

HALF_TAPS = 8
STEPS = 512
"""Table entries a period."""

MOST_RATIO = 6
UP_HISTORY = 2 * HALF_TAPS
DOWN_HISTORY = 2 * HALF_TAPS * MOST_RATIO
HISTORY = UP_HISTORY + DOWN_HISTORY
CUTOFF = 0.92
"""Of half the slower rate: room for the filter to fall."""


def _windowed_sinc() -> NDArray[np.float32]:
    position = np.arange(HALF_TAPS * STEPS + 1) / STEPS
    window = np.kaiser(2 * HALF_TAPS * STEPS + 1, 7.0)[HALF_TAPS * STEPS :]
    return (CUTOFF * np.sinc(CUTOFF * position) * window).astype(np.float32)


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
        position = kept + phase * count / wanted - reach
        first = int(position) - reach + 1
        totals[:] = 0
        for tap in range(2 * reach):
            distance = abs(position - (first + tap)) / stretch
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


@kernel
def convert_frame(frame: Any, history: Any, out: Any, work: Any, sinc: Any) -> None:
    """As ``resample_frame``, to be called from Python."""
    resample_frame(frame, history, out, work, sinc)


class FrameConverter:
    """One stream of 20 ms frames brought from one rate to another, each frame continuing the one before."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        """The rates may differ by a factor of MOST_RATIO at most."""
        self._out_samples = to_hz // 50
        self._history = np.zeros(DOWN_HISTORY if from_hz > to_hz else UP_HISTORY, np.int16)
        self._work = np.zeros(len(self._history) + from_hz // 50, np.float32)

    def convert(self, frame: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return the next frame at the new rate, a new array. `frame`: int16 (20 ms,)."""
        out = np.empty(self._out_samples, np.int16)
        convert_frame(frame, self._history, out, self._work, SINC)
        return out


class FrameConverters:
    """Streams of 20 ms frames by their source, of whatever rate each is in this moment, brought to the rate that is wanted."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int], FrameConverter] = {}

    def convert(self, source: str, frame: NDArray[np.int16], samples: int) -> NDArray[np.int16]:
        """Return a source's next frame with so many samples; the frame itself where it has them. `frame`: int16 (20 ms,)."""
        if len(frame) == samples:
            return frame
        key = (source, len(frame) * 50, samples * 50)
        if key not in self._known:
            self._known[key] = FrameConverter(*key[1:])
        return self._known[key].convert(frame)
