# SPDX-License-Identifier: GPL-2.0-or-later
"""What is left of many calls: gauges by type, with all their labels, and memory that goes on growing."""

from __future__ import annotations

from tests.support.leftovers import gauges, grown, growth_kb, left_over

PAGE = """# TYPE sems_active_calls gauge
sems_active_calls {calls}
# TYPE sems_calls_avg gauge
sems_calls_avg 12.5
# TYPE sems_sessions_total counter
sems_sessions_total 100000.0
# TYPE cordboard_media_legs gauge
cordboard_media_legs{{process="0"}} 0.0
cordboard_media_legs{{process="1"}} {legs}
# TYPE process_open_fds gauge
process_open_fds 60.0
"""


def test_a_server_at_rest_has_nothing_left() -> None:
    page = PAGE.format(calls=0, legs=0)
    assert left_over(page) == []
    assert gauges(page) == 2


def test_what_is_left_is_named_with_its_process() -> None:
    assert left_over(PAGE.format(calls=1, legs=3)) == ["sems_active_calls 1", "cordboard_media_legs{process=1} 3"]


def test_memory_counts_from_the_middle_on() -> None:
    first_half = [{"hub": 50_000 + 10_000 * part} for part in range(4)]
    assert grown([*first_half, *({"hub": 100_000 + 500 * part} for part in range(4))]) == []
    assert growth_kb([*first_half, *({"hub": 100_000 + 500 * part} for part in range(4))]) == {"hub": 1500}


def test_a_leak_is_named() -> None:
    parts = [{"hub": 100_000 + 1000 * part, "sip": 600_000 + 2000 * part} for part in range(8)]
    assert grown(parts) == ["hub grew by 3000 kB over the last half, to 107000 kB"]


def test_memory_that_shrinks_is_no_leak_and_a_process_may_be_new() -> None:
    assert grown([{"sip": 800_000}, {"sip": 800_000}, {"sip": 600_000}, {"sip": 500_000, "media": 9}]) == []
    assert grown([]) == []
