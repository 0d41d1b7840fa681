# SPDX-License-Identifier: GPL-2.0-or-later
"""What a profile does to that which passes between the legs. Pure: a filled-in profile and what comes, in; what goes on, out.

`side`: the leg that gets it, "a" (the caller's) or "b". Headers come as (name, value) pairs and go as complete lines. Codecs are upper-case
NAME/clock. What the SIP stack writes itself never passes, whatever a list says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

from di.apps.api import Appearance, CallInfo, Credential, HoldStyle, Refused
from di.apps.sbc.added_headers import added
from di.apps.sbc.codec_choice import answer_to_a, offer_to_b
from di.apps.sbc.contacts import ContactParts, contact_value
from di.apps.sbc.identity import hop_inside
from di.apps.sbc.keys import is_yes
from di.apps.sbc.name_lists import attribute_passes, passes, passing_headers
from di.apps.sbc.profile import Profile
from di.apps.sbc.reply_translation import translated

Side: TypeAlias = Literal["a", "b"]
Pairs: TypeAlias = Iterable[tuple[str, str]]
Lines: TypeAlias = tuple[str, ...]
Codecs: TypeAlias = tuple[str, ...]
NO_CODEC: Codecs = ("NONE/8000",)
"""What nobody offers."""


def pass_headers(profile: Profile, headers: Pairs) -> Lines:
    """header_filter: those of a request's or reply's headers that go on."""
    return passing_headers(profile.header_filter, profile.header_list, headers)


def add_headers(profile: Profile, side: Side, initial: bool) -> Lines:
    """append_headers (`initial`: the first INVITE), append_headers_req, aleg_append_headers_req: lines for a request to a side."""
    first = added(profile.append_headers) if initial and side == "b" else ()
    return (*first, *request_headers(profile, side))


def request_headers(profile: Profile, side: Side) -> Lines:
    """append_headers_req, aleg_append_headers_req: lines for every request to a side."""
    return added(profile.aleg_append_headers_req if side == "a" else profile.append_headers_req)


def passes_method(profile: Profile, method: str) -> bool:
    """message_filter: whether a request goes on; else it is answered 405."""
    return passes(profile.message_filter, profile.message_list, method)


def translate_reply(profile: Profile, code: int, reason: str) -> tuple[int, str]:
    """reply_translations: a reply of the B leg as the A leg gets it. It stays provisional, success or failure."""
    return translated(profile.reply_translations, code, reason)


def codecs_for_b(profile: Profile, caller: CallInfo) -> Codecs:
    """What the B leg's INVITE offers, most wanted first. Empty: all that the server has, since the caller offers nothing.

    Raises Refused(488) when nothing is left.
    """
    if caller.has_offer and not caller.codecs:
        raise Refused(488, "Not Acceptable Here")
    return offer_to_b(profile, caller.codecs)


def codecs_for_a(profile: Profile, caller: CallInfo, second: Codecs) -> Codecs:
    """What the A leg's answer may name when the B leg has come to `second` (one codec, or none). Empty: all.

    Naming `second` alone, where the A leg offers it, has audio pass undecoded. Naming what it does not offer has it refused with 488.
    """
    try:
        return answer_to_a(profile, caller.codecs, second[0] if second else "")
    except Refused:
        return second or NO_CODEC


def hold_direction(profile: Profile, side: Side, direction: str) -> str:
    """What a side is offered when the other one has offered `direction`: the dialog says it in the style of `hold_style_for`."""
    return direction


def hold_style_for(profile: Profile, side: Side) -> HoldStyle:
    """hold_zero_connection_…, hold_activity_…: how a side is told that the other one holds, where hold_alter_b2b_… says so."""
    if side == "a":
        alters, direction, nowhere = profile.hold_alter_b2b_aleg, profile.hold_activity_aleg, profile.hold_zero_connection_aleg
    else:
        alters, direction, nowhere = profile.hold_alter_b2b_bleg, profile.hold_activity_bleg, profile.hold_zero_connection_bleg
    return HoldStyle(direction, is_yes(nowhere)) if is_yes(alters) else HoldStyle()


def appearance_for(profile: Profile, side: Side, lines: Lines, local: tuple[str, int]) -> Appearance:
    """Contact, and what else a side sees of a leg. `lines`: attribute lines of the other side's description; `local`: our address."""
    kept = tuple(line for line in lines if attribute_passes(profile.sdp_alines_filter, profile.sdp_alinesfilter_list, line))
    contact = contact_value(contact_parts(profile, side), *local)
    hop, always = hop_inside(profile, first=side == "a")
    return Appearance(contact, kept, profile.sdp_anonymize, profile.dlg_nat_handling, hop, always)


def contact_parts(profile: Profile, side: Side) -> ContactParts:
    """aleg_contact_…, bleg_contact_…"""
    if side == "a":
        return ContactParts(
            profile.aleg_contact_displayname, profile.aleg_contact_user, profile.aleg_contact_host, profile.aleg_contact_port,
            profile.aleg_contact_uri_params, profile.aleg_contact_params,
        )  # fmt: skip
    return ContactParts(
        profile.bleg_contact_displayname, profile.bleg_contact_user, profile.bleg_contact_host, profile.bleg_contact_port,
        profile.bleg_contact_uri_params, profile.bleg_contact_params,
    )  # fmt: skip


def credential_for(profile: Profile, side: Side) -> Credential | None:
    """enable_auth, enable_aleg_auth: who answers challenges of a leg."""
    if side == "b":
        return Credential("", profile.auth_user, profile.auth_pwd) if is_yes(profile.enable_auth) else None
    return Credential("", profile.auth_aleg_user, profile.auth_aleg_pwd) if is_yes(profile.enable_aleg_auth) else None
