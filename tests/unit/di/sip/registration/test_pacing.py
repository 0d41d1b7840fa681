# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests a second, and seconds with little in them."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from di.sip.registration.pacing import NS, RegisterPace, Seconds


def taken(pace: RegisterPace, times: list[int]) -> list[int]:
    return [at for at in times if pace.take(at)]


def test_evenly() -> None:
    pace = RegisterPace(NS // 4, 1, 0)
    got = taken(pace, list(range(0, 2 * NS, NS // 100)))
    assert len(got) == 8 and got[0] == 0 and got[1] == NS // 4 and pace.next_ns() == 2 * NS


def test_several_at_once_and_slow_start() -> None:
    assert len(taken(RegisterPace(NS, 5, 0), [0] * 9)) == 5
    slow = RegisterPace(NS, 5, 0, slow_start=True)
    assert taken(slow, [0, NS // 2, NS, NS, 2 * NS]) == [NS, 2 * NS]
    assert len(taken(slow, [100 * NS] * 9)) == 5
    assert len(taken(RegisterPace(0, 1, 0), [0] * 9)) == 9


def test_in_a_hurry_it_is_never_slower() -> None:
    pace = RegisterPace(NS, 1, 0)
    pace.hurry(5 * NS)
    assert pace.every_ns == NS
    pace.hurry(NS // 100)
    assert len(taken(pace, [10 * NS + at for at in range(0, NS, NS // 200)])) in (100, 101)


@given(st.lists(st.integers(0, 10 * NS), max_size=200), st.integers(1, NS), st.integers(1, 5))
def test_never_more_than_allowed(times: list[int], every_ns: int, most: int) -> None:
    """In any stretch of time there are at most as many as it holds, and those that were saved up."""
    pace, times = RegisterPace(every_ns, most, 0), sorted(times)
    got = taken(pace, times)
    for first, start in enumerate(got):
        for last in range(first, len(got)):
            assert last - first + 1 <= (got[last] - start) // every_ns + 1 + most


def test_the_least_busy_second() -> None:
    seconds = Seconds(Random(1))
    planned = [seconds.plan(10 * NS, 19 * NS) for _ in range(100)]
    counts = Counter(at // NS for at in planned)
    assert set(counts) == set(range(10, 20)) and set(counts.values()) == {10} and all(10 * NS <= at <= 19 * NS for at in planned)
    for at in planned:
        seconds.done(at)
    assert len(seconds) == 0
    assert 5 <= seconds.plan(5, 3) <= NS and 0 <= seconds.plan(0, 10**6 * NS) <= 10**6 * NS
