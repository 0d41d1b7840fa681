# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from di.kernel.value import LongLong
from di.stores.monitoring.samples import SECOND_US, Samples, Window, last_seconds

RETAIN_S = 10


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(-5, 5)), max_size=30).map(sorted),
    st.integers(0, 50),
    st.integers(0, 50),
    st.integers(0, 50),
)
def test_a_window_sums_what_is_in_it(added: list[tuple[int, int]], now: int, start: int, end: int) -> None:
    samples = Samples(RETAIN_S)
    kept: list[tuple[int, int]] = []
    for second, count in added:
        if kept and kept[-1][0] >= second:
            kept.clear()
        kept.append((second, count))
        samples.add("a", "s", count, second * SECOND_US)
    expected = sum(count for second, count in kept if second > now - RETAIN_S and start <= second <= end)
    got = samples.count("a", "s", Window(now * SECOND_US, start * SECOND_US, end * SECOND_US))
    assert got == expected and type(got) is LongLong


def test_a_series_that_nobody_queries_stays_bounded() -> None:
    samples = Samples(RETAIN_S)
    for number in range(100_000):
        samples.add("a", "s", 1, number * SECOND_US // 100)
    assert len(samples._lists["a"]["s"]) < 10_000
    assert samples.count("a", "s", last_seconds(999_990_000, 5)) == 501


def test_rates_are_those_of_the_last_whole_second_and_change_nothing() -> None:
    samples = Samples(RETAIN_S)
    samples.add("a", "s", 2, SECOND_US + 1)
    samples.add("b", "s", 3, SECOND_US + 2)
    samples.add("b", "t", 5, 2 * SECOND_US)
    assert samples.rates(2 * SECOND_US + 5) == {"s": 5, "t": 0}
    assert samples.rates(3 * SECOND_US) == {"s": 0, "t": 5}
    assert samples.rates(60 * SECOND_US) == {"s": 0, "t": 0}
    assert samples.count("a", "s", last_seconds(2 * SECOND_US, 1)) == 2


def test_names_with_a_rate_are_bounded() -> None:
    samples = Samples(RETAIN_S)
    for number in range(2000):
        samples.add("a", f"s{number}", 1, number)
    assert len(samples.rates(0)) == 500
