# SPDX-License-Identifier: GPL-2.0-or-later
"""So many at once, then so many a second."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from interfaces.sip.pace import Pace

MS = 1_000_000


def test_a_burst_and_then_the_rate() -> None:
    pace = Pace(3, 2, 0)
    assert [pace.take(0) for _ in range(5)] == [True, True, True, False, False]
    assert not pace.take(499 * MS) and pace.take(500 * MS) and not pace.take(600 * MS) and pace.take(1000 * MS)


@given(st.lists(st.integers(-5, 2000), max_size=200))
def test_never_more_than_the_burst_and_what_time_allows(steps: list[int]) -> None:
    pace, now_ms, taken = Pace(10, 20, 0), 0, 0
    for step in steps:
        now_ms += step  # a clock that goes back gives nothing
        taken += pace.take(now_ms * MS)
        assert taken <= 10 + sum(max(one, 0) for one in steps) / 1000 * 20 + 1
