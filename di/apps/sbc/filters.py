# SPDX-License-Identifier: GPL-2.0-or-later
"""What a profile does to that which passes between the legs. Pure: a filled-in profile and what comes, in; what goes on, out.

`side`: the leg that gets it, "a" (the caller's) or "b". Headers come as (name, value) pairs and go as complete lines. Codecs are upper-case
NAME/clock. What the SIP stack writes itself never passes, whatever a list says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

from di.apps.api import Credential, OutsideReply, RequestReceived, end_to_end
from di.apps.sbc.profile import Profile
from di.apps.sbc.sdp_codecs import codecs_of

Side: TypeAlias = Literal["a", "b"]
Pairs: TypeAlias = Iterable[tuple[str, str]]
Lines: TypeAlias = tuple[str, ...]


def pass_headers(profile: Profile, headers: Pairs) -> Lines:
    """header_filter: those of a request's or reply's headers that go on."""
    return end_to_end(headers)


def add_headers(profile: Profile, side: Side, initial: bool) -> Lines:
    """append_headers (`initial`: the first INVITE), append_headers_req, aleg_append_headers_req: lines for a request to a side."""
    return ()


def passes_method(profile: Profile, method: str) -> bool:
    """message_filter: whether a request goes on; else it is answered 405."""
    return True


def translate_reply(profile: Profile, code: int, reason: str) -> tuple[int, str]:
    """reply_translations: a reply of the B leg as the A leg gets it. The class of the code may change (300 and above only among themselves)."""
    return code, reason


def codecs_for_b(profile: Profile, offer: bytes) -> tuple[str, ...]:
    """What the B leg's INVITE offers, most wanted first, when the A leg offers this description; empty `offer`: it offers nothing.

    An empty result: all that the server has. Raises Refused(488) when nothing is left.
    """
    return codecs_of(offer)


def codecs_for_a(profile: Profile, offer: bytes, second: tuple[str, ...]) -> tuple[str, ...]:
    """What the A leg's answer may name when the B leg has come to `second` (one codec, or none). Empty: all.

    Naming `second` alone, where the A leg offers it, has audio pass undecoded.
    """
    return tuple(name for name in codecs_of(offer) if name in second)


def hold_direction(profile: Profile, side: Side, direction: str) -> str:
    """hold_activity_…: what a side is offered when the other one has offered `direction`."""
    return direction


def credential_for(profile: Profile, side: Side) -> Credential | None:
    """Who answers challenges of a leg."""
    return None


def challenge_b(profile: Profile, request: RequestReceived) -> OutsideReply | None:
    """enable_bleg_uas_auth: the 401 or 403 that a request inside the B leg gets instead of passing; None: it passes."""
    return None


def register_onward(profile: Profile, headers: Pairs) -> Lines:
    """Lines of a REGISTER that goes on, Contact among them (contact_…, contact hiding, registration cache)."""
    pairs = tuple(headers)
    return (
        *pass_headers(profile, pairs),
        *(f"{name}: {value}" for name, value in pairs if name.lower() in ("contact", "expires")),
    )


def register_back(profile: Profile, request: Pairs, reply: Pairs) -> Lines:
    """Lines of the registrar's reply to it as the phone gets them."""
    pairs = tuple(reply)
    return (
        *pass_headers(profile, pairs),
        *(f"{name}: {value}" for name, value in pairs if name.lower() in ("contact", "expires")),
    )
