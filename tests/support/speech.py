# SPDX-License-Identifier: GPL-2.0-or-later
"""Sound that a quality model takes for speech: voiced syllables with moving formants, fricatives and pauses; the same every time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

VOWELS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
"""First three formants of five vowels (a man's voice)."""


def speech(length_ms: int, rate_hz: int = 8000, seed: int = 1, amplitude: float = 9000.0) -> NDArray[np.int16]:
    """Sentences of about two seconds with half a second between."""
    chance = np.random.default_rng(seed)
    parts: list[NDArray[np.float64]] = []
    while sum(map(len, parts)) < length_ms * rate_hz // 1000:
        pitch_hz = chance.uniform(95, 140)
        for _ in range(9):
            parts.append(_fricative(chance, rate_hz))
            parts.append(_vowel(chance, pitch_hz * chance.uniform(0.9, 1.1), rate_hz))
        parts.append(np.zeros(rate_hz // 2))
    sound = np.concatenate(parts)[: length_ms * rate_hz // 1000]
    return (sound / np.abs(sound).max() * amplitude).astype(np.int16)


def _vowel(chance: np.random.Generator, pitch_hz: float, rate_hz: int) -> NDArray[np.float64]:
    count = int(rate_hz * chance.uniform(0.12, 0.22))
    phase = np.cumsum(pitch_hz * np.linspace(1.06, 0.94, count) / rate_hz)
    pulses = np.diff(np.floor(phase), prepend=0.0) + 0.01 * chance.standard_normal(count)
    for formant_hz in VOWELS_HZ[chance.integers(len(VOWELS_HZ))]:
        pulses = np.convolve(pulses, _resonance(formant_hz, rate_hz))[:count]
    return pulses / np.abs(pulses).max() * _edges(count, rate_hz)


def _fricative(chance: np.random.Generator, rate_hz: int) -> NDArray[np.float64]:
    count = int(rate_hz * chance.uniform(0.03, 0.08))
    return 0.12 * np.convolve(chance.standard_normal(count), [1, -0.9])[:count] * _edges(count, rate_hz)


def _resonance(formant_hz: float, rate_hz: int) -> NDArray[np.float64]:
    """What two poles 90 Hz wide answer to one pulse, until it is 120 dB down."""
    radius, turn = np.exp(-np.pi * 90 / rate_hz), 2 * np.pi * formant_hz / rate_hz
    steps = np.arange(int(np.log(1e-6) / np.log(radius)) + 1)
    return radius**steps * np.sin((steps + 1) * turn) / np.sin(turn)


def _edges(count: int, rate_hz: int) -> NDArray[np.float64]:
    edge = min(rate_hz // 80, count // 2)
    shape = np.ones(count)
    shape[:edge] = np.linspace(0, 1, edge)
    shape[-edge:] = np.linspace(1, 0, edge)
    return shape
