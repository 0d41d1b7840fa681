# SPDX-License-Identifier: GPL-2.0-or-later
"""Tones instead of speech: sounds that are no words (beep), and what stands in for each prompt where no engine is installed.

Each stand-in is a short melody of its own, so that an FFT, or a trained ear, tells them apart; a caller cannot understand them.
"""

from __future__ import annotations

import hashlib
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 8000
LONGEST_MS = 60_000
_LEVEL = 0.25
_EDGE_S = 0.005
"""Faded in and out over so much, so that tones do not click."""
_SCALE_HZ = (440, 494, 554, 587, 659, 740, 831, 880, 988, 1109, 1175, 1319)

Note = tuple[int, int]
"""Frequency in Hz (0: pause) and length in ms."""

MELODIES: dict[str, tuple[Note, ...]] = {
    "announce": ((440, 400), (660, 400), (880, 400), (0, 300)),
    "default": ((600, 300), (500, 300), (400, 600), (0, 300)),
    "beep": ((1000, 150),),
    "first_participant": ((523, 200), (392, 200), (330, 400), (0, 200)),
    "enter_pin": ((700, 200), (0, 100), (700, 200), (0, 100), (950, 300)),
    "wrong_pin": ((350, 300), (0, 100), (350, 300)),
    "wrong_pin_bye": ((350, 300), (300, 300), (250, 500)),
    "entering_conference": ((523, 150), (659, 150), (784, 300)),
    "welcome": ((523, 250), (784, 250), (1047, 400), (0, 200)),
    "taken": ((880, 150), (1175, 250)),
    "change": ((1175, 150), (880, 250)),
    "goodbye": ((784, 250), (523, 500)),
    **{str(digit): ((300 + 70 * digit, 250), (0, 80)) for digit in range(10)},
}


def melody(name: str) -> tuple[Note, ...]:
    """The stand-in of a prompt: of those above, else three notes that its name chooses."""
    known = MELODIES.get(name)
    if known is not None:
        return known
    chosen = hashlib.sha256(name.encode()).digest()
    return tuple((_SCALE_HZ[byte % len(_SCALE_HZ)], 150 + 10 * (byte % 7)) for byte in chosen[:3])


def render(notes: Sequence[Note], rate_hz: int = RATE_HZ) -> NDArray[np.int16]:
    """Notes as samples, int16 (n,)."""
    return np.concatenate([_note(frequency_hz, length_ms, rate_hz) for frequency_hz, length_ms in notes])


def _note(frequency_hz: int, length_ms: int, rate_hz: int) -> NDArray[np.int16]:
    count = rate_hz * length_ms // 1000
    n = np.arange(count)
    edge = max(1, round(rate_hz * _EDGE_S))
    envelope = np.minimum(1.0, np.minimum(n, count - 1 - n) / edge)
    wave_form = np.sin(2 * np.pi * frequency_hz / rate_hz * n)
    samples: NDArray[np.int16] = np.rint(32767 * _LEVEL * envelope * wave_form).astype(np.int16)
    return samples


def write(path: Path, notes: Sequence[Note]) -> None:
    """Write notes as a wav file at 8 kHz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(render(notes).astype("<i2").tobytes())
