# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys as tones."""

from __future__ import annotations

import pytest

from di.apps.sbc.leg_rules import key_tone


@pytest.mark.parametrize(
    ("event", "frequencies_hz"),
    [
        (0, (941, 1336)),
        (1, (697, 1209)),
        (5, (770, 1336)),
        (9, (852, 1477)),
        (10, (941, 1209)),
        (11, (941, 1477)),
        (12, (697, 1633)),
        (15, (941, 1633)),
    ],
)
def test_a_key_has_its_two_frequencies(event: int, frequencies_hz: tuple[int, int]) -> None:
    """ITU-T Q.23."""
    assert key_tone(event, 200).frequencies_hz == frequencies_hz


def test_each_key_sounds_otherwise_and_long_enough() -> None:
    assert len({key_tone(event, 100).frequencies_hz for event in range(16)}) == 16
    assert key_tone(1, 0).length_ms == 80 and key_tone(1, 300).length_ms == 300
