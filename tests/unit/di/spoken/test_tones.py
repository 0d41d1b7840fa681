# SPDX-License-Identifier: GPL-2.0-or-later
"""Stand-ins: each prompt its own melody, at every rate alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from di.spoken.texts import read_sentences
from di.spoken.tones import MELODIES, melody, render, write
from tests.support.tones import loudest

LISTS = Path(__file__).parents[4] / "etc" / "prompts"


def test_notes_are_heard(tmp_path: Path) -> None:
    write(tmp_path / "a" / "x.wav", ((700, 200), (0, 100), (950, 300)))
    samples, rate_hz = soundfile.read(tmp_path / "a" / "x.wav", dtype="int16")
    assert rate_hz == 8000 and len(samples) == 8 * 600
    assert [hz for hz in loudest(samples, [700.0, 950.0], 100) if hz] == [700.0, 950.0]
    assert len(render(((700, 200),), 16000)) == 3200 and np.abs(render(((700, 200),), 16000)).max() < 9000


def test_each_prompt_of_an_application_has_its_own_melody() -> None:
    names = [name for name in read_sentences(LISTS / "en.txt") if not name[0].isdigit() and "beep" not in name]
    assert len({melody(name) for name in names}) >= 0.98 * len(names)
    assert set(MELODIES) <= set(read_sentences(LISTS / "en.txt"))
