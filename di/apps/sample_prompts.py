# SPDX-License-Identifier: GPL-2.0-or-later
"""The sample prompts in etc/prompts, made of tones: no recording of anybody is needed (`cordboard prompts [FOLDER]`).

Each prompt is a short melody of its own, so that a test's FFT, or a trained ear, tells them apart. Put recordings of the same names in
their place for real use.
"""

from __future__ import annotations

import argparse
import math
import sys
import wave
from array import array
from collections.abc import Sequence
from pathlib import Path

RATE_HZ = 8000
_LEVEL = 0.25
_EDGE_SAMPLES = 40
"""Faded in and out over so much, so that tones do not click."""

Note = tuple[float, int]
"""Frequency (0: pause) and length in ms."""

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
    **{f"digits/{digit}": ((300 + 70 * digit, 250), (0, 80)) for digit in range(10)},
}


def samples(notes: Sequence[Note]) -> array[int]:
    """A melody as 16-bit samples at 8 kHz."""
    out = array("h")
    for frequency_hz, length_ms in notes:
        count = RATE_HZ * length_ms // 1000
        step = 2 * math.pi * frequency_hz / RATE_HZ
        for n in range(count):
            edge = min(1.0, n / _EDGE_SAMPLES, (count - 1 - n) / _EDGE_SAMPLES)
            out.append(round(32767 * _LEVEL * edge * math.sin(step * n)))
    return out


def write(path: Path, notes: Sequence[Note]) -> None:
    """Write a melody as a wav file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = samples(notes)
    if sys.byteorder == "big":
        data.byteswap()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(data.tobytes())


def main(argv: Sequence[str] | None = None) -> int:
    """Write the prompts that are not there yet; `--force` writes all."""
    parser = argparse.ArgumentParser(prog="cordboard prompts", description="Make the sample prompts.")
    parser.add_argument("folder", nargs="?", default="etc/prompts", type=Path)
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    options = parser.parse_args(argv)
    made = 0
    for name, notes in MELODIES.items():
        path = options.folder / f"{name}.wav"
        if options.force or not path.exists():
            write(path, notes)
            made += 1
    print(f"{options.folder}: {made} of {len(MELODIES)} prompts written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
