# SPDX-License-Identifier: GPL-2.0-or-later
"""Session intervals of the two legs (spec applications.md §22.3): a profile's keys, else the B leg's for the A leg, else sbc.conf's. Pure."""

from __future__ import annotations

from di.apps.api import SessionTimer
from di.apps.sbc.keys import has_pattern, is_yes, whole
from di.apps.sbc.profile import Profile

LEAST_S = 90
"""RFC 4028 §5."""
_INTERVAL_S = 120


def timer_of_b(profile: Profile, default: SessionTimer | None) -> SessionTimer | None:
    """The B leg's; `profile` filled in. None: what the peer wants."""
    return _timer(profile.enable_session_timer, profile.session_expires, profile.minimum_timer, default)


def timer_of_a(profile: Profile, default: SessionTimer | None) -> SessionTimer | None:
    """The A leg's, which no pattern can change."""
    return _timer(
        profile.enable_aleg_session_timer or profile.enable_session_timer,
        profile.aleg_session_expires or profile.session_expires,
        profile.aleg_minimum_timer or profile.minimum_timer,
        default,
    )


def check_timers(profile: Profile) -> str:
    """What of a profile's intervals cannot be; empty when all can."""
    for key in ("enable_aleg_session_timer", "aleg_session_expires", "aleg_minimum_timer"):
        if has_pattern(getattr(profile, key)):
            return f"{key} cannot be a pattern: the interval of the A leg is agreed on before a profile is chosen"
    if has_pattern(profile.enable_session_timer) and not profile.enable_aleg_session_timer:
        return "enable_session_timer is a pattern, which counts for the B leg only: say enable_aleg_session_timer, too"
    for key in ("session_expires", "minimum_timer", "aleg_session_expires", "aleg_minimum_timer"):
        text = getattr(profile, key)
        if text.isdecimal() and int(text) < LEAST_S:
            return f"{key}={text}: an interval is {LEAST_S} s or more (RFC 4028 §5)"
    return ""


def _timer(enable: str, expires: str, minimum: str, default: SessionTimer | None) -> SessionTimer | None:
    if enable and not is_yes(enable):
        return None
    if not enable and default is None:
        return None
    base = default or SessionTimer(_INTERVAL_S, LEAST_S)
    least = max(LEAST_S, whole(minimum, base.minimum_s))
    return SessionTimer(max(least, whole(expires, base.expires_s)), least)
