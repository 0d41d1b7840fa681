# SPDX-License-Identifier: GPL-2.0-or-later
"""G.711 tables against known code points and their own laws (ITU-T G.711)."""

from __future__ import annotations

import numpy as np
import pytest

from media.codecs import find
from media.codecs.g711 import DECODE, ENCODE
from media.engine.receive import receive_batch  # noqa: F401 - the kernel's own decoder is compared in the property tests

MU_LAW = {0xFF: 0, 0x7F: 0, 0x80: 32124, 0x00: -32124, 0xFE: 8, 0xF0: 120, 0xEF: 132, 0x8F: 16764}
A_LAW = {0xD5: 8, 0x55: -8, 0xAA: 32256, 0x2A: -32256, 0xD4: 24, 0x80: 5504}


@pytest.mark.parametrize(("law", "points"), [(0, MU_LAW), (1, A_LAW)])
def test_known_code_points(law: int, points: dict[int, int]) -> None:
    assert {code: int(DECODE[law, code]) for code in points} == points


@pytest.mark.parametrize("law", [0, 1])
def test_encoding_picks_the_nearest_value_for_every_sample(law: int) -> None:
    sample = np.arange(-32768, 32768)
    chosen = DECODE[law][ENCODE[law][sample.astype(np.int16).view(np.uint16)]].astype(int)
    nearest = np.abs(np.unique(DECODE[law]).astype(int)[:, None] - sample).min(axis=0)
    assert np.array_equal(np.abs(chosen - sample), nearest)


@pytest.mark.parametrize("name", ["PCMU", "PCMA"])
def test_decoding_and_encoding_again_changes_nothing(name: str) -> None:
    codec = find(name, 8000)
    assert codec is not None
    codes = np.arange(256, dtype=np.uint8)
    again = codec.encode(codec.decode(codes))
    assert np.array_equal(codec.decode(again), codec.decode(codes))
