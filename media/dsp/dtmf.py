# SPDX-License-Identifier: GPL-2.0-or-later
"""Key tones in the audio of many legs at once (ITU-T Q.23, Q.24): one matrix product a tick, then a small state machine a leg.

A window is 30 ms and moves by 20 ms. A window holds a key when one tone of each group stands out, the two are about equally
loud, make up most of the sound, and have no second harmonic (voices have). A press begins with two such windows in a row, so it
must last 50 ms, and ends with two without it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 8000
FRAME_SAMPLES = 160
KEPT_SAMPLES = 80
WINDOW_SAMPLES = KEPT_SAMPLES + FRAME_SAMPLES
FRAME_MS = 20

LOW_HZ = (697, 770, 852, 941)
HIGH_HZ = (1209, 1336, 1477, 1633)
EVENTS = np.array([[1, 2, 3, 12], [4, 5, 6, 13], [7, 8, 9, 14], [10, 0, 11, 15]], np.int8)
"""Event number (RFC 4733 §3.2) of each key, by row and column."""

NO_KEY = -1
QUIETEST = 0.006
"""Amplitude of a tone, full scale 1: -44 dBov."""

MOST_TWIST = 2.8
"""Ratio of the two amplitudes: 9 dB; Q.24 wants 8 in one direction."""

MOST_NEIGHBOUR = 0.5
MOST_HARMONIC = 0.35
LEAST_SHARE = 0.5
WINDOWS_TO_START = 2
WINDOWS_TO_END = 2


def _probes() -> NDArray[np.float32]:
    """Windowed cosines and sines of the eight tones and their second harmonics: float32 (240, 32)."""
    frequencies = np.array([*LOW_HZ, *HIGH_HZ, *(2 * f for f in LOW_HZ), *(2 * f for f in HIGH_HZ)])
    window = np.hamming(WINDOW_SAMPLES)[:, None]
    turning = np.exp(2j * np.pi * frequencies * np.arange(WINDOW_SAMPLES)[:, None] / RATE_HZ) * window * 2 / window.sum()
    return np.concatenate([turning.real, turning.imag], axis=1).astype(np.float32)


PROBES = _probes()
SQUARE_WINDOW: NDArray[np.float32] = (np.hamming(WINDOW_SAMPLES) ** 2 / (np.hamming(WINDOW_SAMPLES) ** 2).sum()).astype(
    np.float32
)


def keys_in(windows: NDArray[np.float32]) -> NDArray[np.int8]:
    """Return the key in each window, NO_KEY without: int8 (n,). `windows`: float32 (n, WINDOW_SAMPLES), full scale 1."""
    projected = windows @ PROBES
    count = PROBES.shape[1] // 2
    amplitude = np.hypot(projected[:, :count], projected[:, count:])
    low, high = amplitude[:, :4], amplitude[:, 4:8]
    every = np.arange(len(windows))
    row, column = low.argmax(axis=1), high.argmax(axis=1)
    a, b = low[every, row], high[every, column]
    energy = (windows * windows) @ SQUARE_WINDOW
    neighbour_low, neighbour_high = np.sort(low, axis=1)[:, -2], np.sort(high, axis=1)[:, -2]
    good = (a > QUIETEST) & (b > QUIETEST) & (a < MOST_TWIST * b) & (b < MOST_TWIST * a)
    good &= (neighbour_low < MOST_NEIGHBOUR * a) & (neighbour_high < MOST_NEIGHBOUR * b)
    good &= (amplitude[every, 8 + row] < MOST_HARMONIC * a) & (amplitude[every, 12 + column] < MOST_HARMONIC * b)
    good &= (a * a + b * b) / 2 > LEAST_SHARE * energy
    return np.where(good, EVENTS[row, column], NO_KEY).astype(np.int8)


@dataclass(slots=True)
class KeyTracker:
    """Makes presses of one leg's windows."""

    candidate: int = NO_KEY
    seen: int = 0
    pressed: int = NO_KEY
    windows: int = 0
    missing: int = 0

    def handle_window(self, key: int) -> list[tuple[int, int]]:
        """Take the key of the next window; return the presses that are over, as (event, duration_ms)."""
        over: list[tuple[int, int]] = []
        self.seen = self.seen + 1 if key == self.candidate else 1
        self.candidate = key
        if self.pressed != NO_KEY:
            if key == self.pressed:
                self.windows, self.missing = self.windows + 1 + self.missing, 0
                return over
            self.missing += 1
            if self.missing < WINDOWS_TO_END:
                return over
            over.append((self.pressed, self.windows * FRAME_MS))
            self.pressed = NO_KEY
        if key != NO_KEY and self.seen >= WINDOWS_TO_START:
            self.pressed, self.windows, self.missing = key, self.seen, 0
        return over

    @property
    def idle(self) -> bool:
        """Nothing heard lately."""
        return self.pressed == NO_KEY and self.candidate == NO_KEY
