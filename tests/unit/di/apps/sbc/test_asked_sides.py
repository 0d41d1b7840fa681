# SPDX-License-Identifier: GPL-2.0-or-later
"""Who has asked for notifications."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from di.apps.sbc.asked_sides import AskedSides

STEPS = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["SUBSCRIBE", "REFER", "NOTIFY", "INFO"])), max_size=12)


@given(STEPS)
def test_a_notify_passes_once_its_receiver_has_asked(steps: list[tuple[str, str]]) -> None:
    strict, lenient = AskedSides(subless=False), AskedSides(subless=True)
    for place, (side, method) in enumerate(steps):
        asked = any(other != side and what in ("SUBSCRIBE", "REFER") for other, what in steps[:place])
        assert strict.passes(side, method) is (method != "NOTIFY" or asked)
        assert lenient.passes(side, method)
