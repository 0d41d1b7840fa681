# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits and counters of spec core.md §3.4, §6.1–§6.3, on a clock moved by hand."""

from __future__ import annotations

import pytest

from di.calls.limits import CallLimits
from di.kernel.server_options import Limit, parse_limit

SECOND = 1_000_000_000
OFF = Limit(0, 503, "Server overload")
DOWN = (503, "Server shutting down")


def test_session_limit_refuses_from_n_on() -> None:
    limits = CallLimits(Limit(2, 480, "Full"), OFF, DOWN, 0)
    limits.begin(0)
    assert limits.refusal(0) is None
    limits.begin(0)
    assert limits.refusal(0) == (480, "Full")
    limits.end(0)
    assert limits.refusal(0) is None


def test_shutdown_mode_comes_first() -> None:
    limits = CallLimits(Limit(1, 480, "Full"), OFF, DOWN, 0)
    limits.begin(0)
    limits.shutdown_mode = True
    assert limits.refusal(0) == DOWN


def test_rate_is_that_of_five_seconds_and_bursts_pass() -> None:
    limits = CallLimits(OFF, Limit(1, 503, "Slow"), DOWN, 0)
    for _ in range(10):
        assert limits.refusal(0) is None or limits.rate(0) > 1
        limits.begin(0)
    assert limits.rate(0) == 2
    assert limits.refusal(0) == (503, "Slow")
    assert limits.refusal(5 * SECOND) is None
    assert limits.rate(5 * SECOND) == 0


def test_soft_limit_is_a_share_of_the_present_rate() -> None:
    limits = CallLimits(OFF, Limit(100, 503, "Slow"), DOWN, 0)
    for _ in range(50):
        limits.begin(0)
    limits.set_soft_cps(50, 0)
    assert (limits.hard_cps, limits.soft_cps) == (100, 5)
    limits.set_soft_cps(1, 0)
    assert limits.soft_cps == 1
    limits.set_soft_cps(0, 0)
    assert limits.soft_cps == 100
    limits.set_cps(7)
    assert (limits.hard_cps, limits.soft_cps) == (7, 7)


def test_counters() -> None:
    limits = CallLimits(OFF, OFF, DOWN, 0)
    limits.begin(0)
    limits.begin(0)
    limits.end(1 * SECOND)
    assert (limits.active, limits.created) == (1, 2)
    assert limits.peek_max_active() == 2
    assert limits.take_max_active() == 2
    assert limits.take_max_active() == 1  # the query reset it to the present number
    assert limits.take_average(2 * SECOND) == 2  # (2·1 s + 1·1 s) / 2 s, rounded up
    assert limits.take_average(4 * SECOND) == 1
    assert limits.take_average(4 * SECOND) == 1  # no time has passed


def test_max_rate_is_reset_by_the_query() -> None:
    limits = CallLimits(OFF, OFF, DOWN, 0)
    for _ in range(10):
        limits.begin(0)
    assert limits.take_max_cps() == 2
    assert limits.take_max_cps() == 0


@pytest.mark.parametrize(
    ("text", "limit"),
    [("5;480;Full house", Limit(5, 480, "Full house")), ("0", OFF), ("7;500", Limit(7, 500, "Server overload"))],
)
def test_limit_format(text: str, limit: Limit) -> None:
    assert parse_limit(text) == limit


@pytest.mark.parametrize("text", ["", "x;503;y", "1;99;y", "1;503;y;z", "-1;503;x"])
def test_bad_limit(text: str) -> None:
    with pytest.raises(ValueError, match="N;code;reason"):
        parse_limit(text)
