# SPDX-License-Identifier: GPL-2.0-or-later
"""What set-up has had spoken, prompt by prompt, file by file: it is there in both languages, and it is speech, not tones or silence.

Where no engine is installed there are tones, which a desk may do with; CI may not.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from di.spoken.level import PEAK, active_level_db
from di.spoken.maker import Maker, PromptFile, PromptState, Wanted
from di.spoken.options import Options
from di.spoken.tones import melody, render

pytestmark = pytest.mark.peers

FOLDER = Path(__file__).parents[2] / "etc" / "prompts"
WINDOW = 512


@pytest.fixture(scope="module")
def prompts() -> list[tuple[Wanted, PromptFile]]:
    maker = Maker(FOLDER, Options())
    maker.build()  # where a list has changed since set-up
    found = [(wanted, file) for wanted in maker.wanted() for file in wanted.files]
    states = {maker.state(wanted, file) for wanted, file in found}
    if maker.engine.missing and not os.environ.get("CI"):
        pytest.skip(f"{maker.engine.missing} (Debian package espeak-ng)")
    assert states <= {PromptState.SPOKEN, PromptState.OWN}, f"{states}: cordboard prompts missing"
    return found


def read(path: Path) -> tuple[NDArray[np.float32], int]:
    samples, rate_hz = soundfile.read(path, dtype="float32")
    return samples, rate_hz


def spectra(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Power spectra of the loud windows, each with sum 1."""
    padded = np.pad(samples, (0, -len(samples) % WINDOW + WINDOW)).reshape(-1, WINDOW)
    power = np.abs(np.fft.rfft(padded * np.hanning(WINDOW), axis=1)) ** 2
    total = power.sum(axis=1)
    loud = power[total > total.max() * 1e-3]
    return np.asarray(loud / loud.sum(axis=1, keepdims=True))


def entropy(samples: NDArray[np.float32]) -> float:
    """Of the mean spectrum, in bits: a tone has few lines, speech has many."""
    mean = spectra(samples).mean(axis=0)
    return float(-(mean * np.log2(mean + 1e-12)).sum())


def test_each_file_has_the_level_and_the_length_of_speech(prompts: list[tuple[Wanted, PromptFile]]) -> None:
    for wanted, file in prompts:
        samples, rate_hz = read(file.path)
        name = f"{wanted.language}/{wanted.sentence.name} at {file.rate_hz} Hz"
        assert rate_hz == file.rate_hz, name
        if wanted.sentence.notes:
            continue
        letters, length_s = len(wanted.sentence.text), len(samples) / rate_hz
        assert 0.1 + 0.03 * letters < length_s < 0.9 + 0.14 * letters, f"{name}: {length_s:.2f} s for {letters} letters"
        peak = float(np.abs(samples).max())
        level_db = active_level_db(samples, rate_hz)
        assert peak <= PEAK + 0.01 and (abs(level_db + 20) < 0.5 or peak > PEAK - 0.01), (
            f"{name}: {level_db:.1f} dB, peak {peak:.2f}"
        )
        loud = np.flatnonzero(np.abs(samples) > peak / 30)
        assert loud[0] < 0.12 * rate_hz and len(samples) - loud[-1] < 0.25 * rate_hz, f"{name}: silence around it"


def test_each_sentence_has_the_spectrum_of_speech(prompts: list[tuple[Wanted, PromptFile]]) -> None:
    for wanted, file in prompts:
        if file.rate_hz != 8000 or wanted.sentence.notes or file.path.parent == FOLDER / "8000":
            continue
        samples, _ = read(file.path)
        tone = render(melody(wanted.sentence.name)).astype(np.float32)
        assert entropy(samples) > 4.0 > entropy(tone), f"{file.path}: {entropy(samples):.1f} bits"
        if len(samples) > 8000:
            frequencies = np.fft.rfftfreq(WINDOW, 1 / 8000)
            assert (spectra(samples) @ frequencies).std() > 120, f"{file.path}: it does not change as speech does"


@pytest.mark.parametrize("language", ["en", "de"])
def test_no_two_digits_sound_alike(prompts: list[tuple[Wanted, PromptFile]], language: str) -> None:
    """By their spectra over time, each brought to one length."""
    shapes = []
    for digit in range(10):
        frames = np.log(spectra(read(FOLDER / "8000" / language / f"{digit}.wav")[0]) + 1e-5)
        places = np.linspace(0, len(frames) - 1, 8).round().astype(int)
        bands = frames[places].reshape(8, -1)[:, :256].reshape(8, 32, 8).mean(axis=2)
        shapes.append(((bands - bands.mean()) / bands.std()).ravel())
    alike = np.corrcoef(np.array(shapes))
    assert float(alike[~np.eye(10, dtype=bool)].max()) < 0.95
    assert float(np.corrcoef(shapes[3], shapes[3])[0, 1]) > 0.999
