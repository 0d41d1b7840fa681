# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures of ticks."""

from media.io.tick_times import LATE_NS, LATENESS_KEPT, TickTimes


def test_figures_before_the_first_tick_are_zero() -> None:
    assert set(TickTimes().statistics().values()) == {0}


def test_lateness_and_phases() -> None:
    times = TickTimes()
    for late_us in range(1, 1001):
        times.begun(late_us * 1000)
        times.done(0, 1000, 4000, 9000)
    figures = times.statistics()
    assert (figures["ticks"], figures["ticks_late"], figures["tick_lateness_max_us"]) == (1000, 0, 1000)
    assert 499 < figures["tick_lateness_p50_us"] < 502 and 989 < figures["tick_lateness_p99_us"] < 992
    assert [figures[f"phase_{name}_us"] for name in ("read", "render", "write")] == [1000, 3000, 5000]
    assert figures["busy_us"] == 9000


def test_percentiles_are_of_the_last_ticks_and_late_ones_are_counted_for_good() -> None:
    times = TickTimes()
    times.begun(LATE_NS + 1)
    for _ in range(LATENESS_KEPT):
        times.begun(0)
    figures = times.statistics()
    assert figures["tick_lateness_p999_us"] == 0 and figures["ticks_late"] == 1
    assert figures["tick_lateness_max_us"] == LATE_NS // 1000
