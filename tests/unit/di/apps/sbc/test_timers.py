# SPDX-License-Identifier: GPL-2.0-or-later
"""Session intervals of the two legs: whose key counts."""

from __future__ import annotations

from di.apps.sbc.profile import Profile
from di.apps.sbc.timers import check_timers, timer_of_a, timer_of_b
from di.sip.records import SessionTimer


def test_a_leg_has_its_own_keys_else_those_of_the_b_leg_else_the_modules() -> None:
    default = SessionTimer(300, 100, 600, "UPDATE", accept_501=False)
    assert timer_of_a(Profile(), None) is None and timer_of_b(Profile(), default) == default
    profile = Profile(
        enable_session_timer="yes", session_expires="200", maximum_timer="1000", accept_501_reply="yes",
        aleg_minimum_timer="120", aleg_session_refresh_method="INVITE",
    )  # fmt: skip
    assert timer_of_b(profile, default) == SessionTimer(200, 100, 1000, "UPDATE", accept_501=True)
    assert timer_of_a(profile, default) == SessionTimer(200, 120, 1000, "INVITE", accept_501=True)
    assert timer_of_b(Profile(enable_session_timer="no"), default) is None


def test_the_a_leg_takes_no_patterns() -> None:
    assert "aleg_maximum_timer cannot be a pattern" in check_timers(Profile(aleg_maximum_timer="$H(x)"))
    assert check_timers(Profile(maximum_timer="$H(x)")) == ""
