# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules of a profile, called as the application calls them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from di.apps.api import CallInfo, Credential, HoldStyle, Refused
from di.apps.sbc import filters
from di.apps.sbc.profile import Profile

PLAIN = Profile()
CALLER = CallInfo("in", codecs=("PCMU/8000", "GSM/8000"))


def test_headers_for_each_side() -> None:
    profile = replace(PLAIN, append_headers="X-1: a", append_headers_req="X-2: b", aleg_append_headers_req="X-3: c")
    assert filters.add_headers(profile, "b", initial=True) == ("X-1: a", "X-2: b")
    assert filters.add_headers(profile, "b", initial=False) == filters.request_headers(profile, "b") == ("X-2: b",)
    assert filters.add_headers(profile, "a", initial=True) == ("X-3: c",)


def test_codecs_of_both_legs() -> None:
    assert filters.codecs_for_b(PLAIN, CALLER) == CALLER.codecs
    assert filters.codecs_for_b(PLAIN, CallInfo("in", has_offer=False)) == ()
    with pytest.raises(Refused):
        filters.codecs_for_b(PLAIN, CallInfo("in"))  # it offers nothing that we can speak
    assert filters.codecs_for_a(PLAIN, CALLER, ("GSM/8000",)) == ("GSM/8000",)
    assert filters.codecs_for_a(PLAIN, CALLER, ("PCMA/8000",)) == ("PCMA/8000",), "which it has not: 488"
    assert filters.codecs_for_a(replace(PLAIN, sdp_filter="whitelist"), CALLER, ()) == filters.NO_CODEC


def test_holds_are_altered_only_where_the_profile_says_so() -> None:
    profile = replace(PLAIN, hold_activity_aleg="inactive", hold_zero_connection_aleg="yes")
    assert filters.hold_style_for(profile, "a") == HoldStyle()
    assert filters.hold_style_for(replace(profile, hold_alter_b2b_aleg="yes"), "a") == HoldStyle("inactive", True)
    assert filters.hold_style_for(replace(profile, hold_alter_b2b_aleg="yes"), "b") == HoldStyle()


def test_credentials_and_appearance() -> None:
    profile = replace(PLAIN, enable_auth="yes", auth_user="u", auth_pwd="p", bleg_contact_user="c", dlg_nat_handling=True)
    assert filters.credential_for(profile, "b") == Credential("", "u", "p") and filters.credential_for(profile, "a") is None
    one = filters.appearance_for(
        replace(profile, sdp_alines_filter="blacklist", sdp_alinesfilter_list=("x",)), "b", ("a=x", "a=y:1"), ("192.0.2.1", 5060)
    )
    assert (one.contact, one.lines, one.anonymous, one.to_source) == ("<sip:c@192.0.2.1:5060>", ("a=y:1",), False, True)
    assert filters.appearance_for(profile, "a", (), ("192.0.2.1", 5060)).contact == ""
