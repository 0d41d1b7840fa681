# SPDX-License-Identifier: GPL-2.0-or-later
"""Session intervals of the two legs."""

from __future__ import annotations

from pathlib import Path

import pytest

from di.apps.api import ConfigError, SessionTimer
from di.apps.sbc.book import common_timer
from di.apps.sbc.profile import LoadedProfile, Profile, parse_profile
from di.apps.sbc.timers import check_timers, timer_of_a, timer_of_b

DEFAULT = SessionTimer(150, 100)


def profile(text: str) -> Profile:
    return parse_profile(text, Path("p"))


@pytest.mark.parametrize(
    ("text", "default", "of_a", "of_b"),
    [
        ("", None, None, None),
        ("", DEFAULT, DEFAULT, DEFAULT),
        ("enable_session_timer=no\n", DEFAULT, None, None),
        ("enable_session_timer=yes\n", None, SessionTimer(120, 90), SessionTimer(120, 90)),
        ("enable_session_timer=yes\nsession_expires=300\n", DEFAULT, SessionTimer(300, 100), SessionTimer(300, 100)),
        ("enable_session_timer=yes\nenable_aleg_session_timer=no\n", None, None, SessionTimer(120, 90)),
        (
            "enable_session_timer=yes\naleg_session_expires=500\naleg_minimum_timer=200\n",
            None,
            SessionTimer(500, 200),
            SessionTimer(120, 90),
        ),
        (
            "enable_session_timer=yes\nsession_expires=100\nminimum_timer=200\n",
            None,
            SessionTimer(200, 200),
            SessionTimer(200, 200),
        ),
    ],
)
def test_intervals(text: str, default: SessionTimer | None, of_a: SessionTimer | None, of_b: SessionTimer | None) -> None:
    assert (timer_of_a(profile(text), default), timer_of_b(profile(text), default)) == (of_a, of_b)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("enable_aleg_session_timer=$H(x)\n", "enable_aleg_session_timer cannot be a pattern"),
        ("enable_session_timer=$H(x)\n", "say enable_aleg_session_timer, too"),
        ("enable_session_timer=$H(x)\nenable_aleg_session_timer=no\nsession_expires=$H(y)\n", ""),
        ("session_expires=60\n", "an interval is 90 s or more"),
        ("", ""),
    ],
)
def test_what_cannot_be(text: str, wrong: str) -> None:
    assert wrong in check_timers(profile(text)) and bool(wrong) == bool(check_timers(profile(text)))


def test_all_profiles_have_one_interval_of_the_a_leg() -> None:
    timed = LoadedProfile("timed", Path("t"), "", profile("enable_session_timer=yes\n"))
    plain = LoadedProfile("plain", Path("p"), "", profile(""))
    b_only = LoadedProfile("b", Path("b"), "", profile("enable_session_timer=yes\nenable_aleg_session_timer=no\n"))
    assert common_timer([timed], None) == SessionTimer(120, 90)
    assert common_timer([plain, b_only], None) is None
    assert common_timer([], DEFAULT) == DEFAULT
    with pytest.raises(ConfigError, match="so all profiles need the same one; profile timed has another"):
        common_timer([timed, plain], None)


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
