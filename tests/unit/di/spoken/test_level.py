# SPDX-License-Identifier: GPL-2.0-or-later
"""Silence is cut off, and whatever was spoken how loud comes out at one level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from di.spoken.level import PEAK, active_level_db, level, prepare, trim


def sine(length_s: float, amplitude: float, rate_hz: int = 16000, frequency_hz: float = 500.0) -> NDArray[np.float32]:
    time_s = np.arange(round(length_s * rate_hz)) / rate_hz
    return (amplitude * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


def silence(length_s: float, rate_hz: int = 16000) -> NDArray[np.float32]:
    return np.zeros(round(length_s * rate_hz), np.float32)


def test_level_of_a_sine() -> None:
    assert active_level_db(sine(1, 0.1), 16000) == pytest.approx(-23.0, abs=0.1)


def test_pauses_do_not_count() -> None:
    with_pause = np.concatenate([sine(0.5, 0.1), silence(2), sine(0.5, 0.1)])
    assert active_level_db(with_pause, 16000) == pytest.approx(-23.0, abs=0.2)


def test_silence_is_cut_off_and_the_edges_are_soft() -> None:
    kept = trim(np.concatenate([silence(0.4), sine(0.5, 0.3), silence(0.7)]), 16000)
    assert 0.5 <= len(kept) / 16000 <= 0.6
    assert abs(kept[0]) < 1e-3 and abs(kept[-1]) < 1e-3
    assert len(trim(silence(1), 16000)) == 0 and len(trim(silence(0), 16000)) == 0


@given(st.floats(0.001, 1.0), st.sampled_from([8000, 16000]))
def test_any_loudness_comes_out_at_one_level(amplitude: float, rate_hz: int) -> None:
    ready = prepare(np.concatenate([silence(0.1, 22050), sine(0.4, amplitude, 22050)]), 22050, rate_hz, -20.0)
    found = ready.astype(np.float32) / 32768
    assert active_level_db(found, rate_hz) == pytest.approx(-20.0, abs=0.5)
    assert len(ready) == pytest.approx(0.43 * rate_hz, rel=0.1)


def test_a_peak_bounds_the_level() -> None:
    clicks = silence(1)
    clicks[::160] = 0.5  # peaks far above the mean
    found = level(clicks, 16000, -6.0)
    assert np.abs(found).max() == pytest.approx(PEAK, abs=1e-3) and active_level_db(found, 16000) < -6
    assert not level(silence(1), 16000, -20.0).any()
