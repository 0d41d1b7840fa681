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
    wanted = (profile.session_expires, profile.minimum_timer, profile.maximum_timer)
    return _timer(profile.enable_session_timer, wanted, (profile.session_refresh_method, profile.accept_501_reply), default)


def timer_of_a(profile: Profile, default: SessionTimer | None) -> SessionTimer | None:
    """The A leg's, which no pattern can change."""
    return _timer(
        profile.enable_aleg_session_timer or profile.enable_session_timer,
        (
            profile.aleg_session_expires or profile.session_expires,
            profile.aleg_minimum_timer or profile.minimum_timer,
            profile.aleg_maximum_timer or profile.maximum_timer,
        ),
        (
            profile.aleg_session_refresh_method or profile.session_refresh_method,
            profile.aleg_accept_501_reply or profile.accept_501_reply,
        ),
        default,
    )


def check_timers(profile: Profile) -> str:
    """What of a profile's intervals cannot be; empty when all can."""
    for key in (
        "enable_aleg_session_timer",
        "aleg_session_expires",
        "aleg_minimum_timer",
        "aleg_maximum_timer",
        "aleg_accept_501_reply",
    ):
        if has_pattern(getattr(profile, key)):
            return f"{key} cannot be a pattern: the interval of the A leg is agreed on before a profile is chosen"
    if has_pattern(profile.enable_session_timer) and not profile.enable_aleg_session_timer:
        return "enable_session_timer is a pattern, which counts for the B leg only: say enable_aleg_session_timer, too"
    for key in ("session_expires", "minimum_timer", "aleg_session_expires", "aleg_minimum_timer"):
        text = getattr(profile, key)
        if text.isdecimal() and int(text) < LEAST_S:
            return f"{key}={text}: an interval is {LEAST_S} s or more (RFC 4028 §5)"
    return ""


def _timer(
    enable: str, wanted: tuple[str, str, str], refreshes: tuple[str, str], default: SessionTimer | None
) -> SessionTimer | None:
    """`wanted`: interval, minimum and maximum; `refreshes`: the method, and whether a 501 counts. Empty texts: as `default` has it."""
    if enable and not is_yes(enable):
        return None
    if not enable and default is None:
        return None
    base = default or SessionTimer(_INTERVAL_S, LEAST_S)
    expires, minimum, maximum = wanted
    method, accept_501 = refreshes
    least = max(LEAST_S, whole(minimum, base.minimum_s))
    return SessionTimer(
        max(least, whole(expires, base.expires_s)),
        least,
        whole(maximum, base.maximum_s),
        method or base.method,
        is_yes(accept_501) if accept_501 else base.accept_501,
    )
