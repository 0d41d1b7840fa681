# SPDX-License-Identifier: GPL-2.0-or-later
"""Hops and credentials of a request that goes on (RFC 3261 §16.6, §22.3). Pure.

A call that comes round in a circle ends when its hops are used up; so what goes on has one less than what came.
"""

from __future__ import annotations

from collections.abc import Iterable

from di.apps.api import Refused, first_header, header_problem
from di.apps.sbc.profile import Profile

HOPS = "X-Cordboard-Hops"
"""The SIP process makes of it the request's Max-Forwards; it never leaves."""
MOST_HOPS = 70
"""Of a request that says nothing."""
_FOR_US = frozenset((HOPS.lower(), "p-app-name", "p-app-param", "p-call-control", "p-msgflags"))
_CREDENTIALS = frozenset(
    ("authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate", "authentication-info")
)


def hop_line(headers: Iterable[tuple[str, str]]) -> str:
    """The line that has a request go on with a hop less. Raises Refused(483) when none is left."""
    text = (first_header(headers, "Max-Forwards") or "").strip()
    hops = int(text) if text.isdecimal() and len(text) < 4 else MOST_HOPS
    if hops == 0:
        raise Refused(483, "Too Many Hops")
    return f"{HOPS}: {min(hops, MOST_HOPS) - 1}"


def foreign(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """What may go on of a message's headers: not what somebody wrote for this server, such as the password of a profile."""
    return tuple((name, value) for name, value in headers if name.lower() not in _FOR_US)


def credential_lines(profile: Profile, headers: Iterable[tuple[str, str]], ours: bool) -> tuple[str, ...]:
    """Challenges and answers to them that pass between the two sides, which log in at each other. `ours`: we answer, so none pass."""
    lines = (f"{name}: {value}" for name, value in headers if name.lower() in _CREDENTIALS and _passes(profile, name))
    return () if ours else tuple(line for line in lines if not header_problem(line))


def _passes(profile: Profile, name: str) -> bool:
    listed = name.lower() in {one.lower() for one in profile.header_list}
    return profile.header_filter == "transparent" or listed == (profile.header_filter == "whitelist")
