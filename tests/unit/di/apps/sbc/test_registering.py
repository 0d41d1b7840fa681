# SPDX-License-Identifier: GPL-2.0-or-later
"""REGISTERs that pass: what the registrar gets, and that the phone is told its own contact again."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from di.apps.api import header_problem, uri_of
from di.apps.sbc.contacts import ContactHider, contact_values
from di.apps.sbc.profile import Profile
from di.apps.sbc.reg_cache import RegistrationCache
from di.apps.sbc.registering import RegisterOrigin, back, kept_variables, onward, transport_of, without_contacts

FROM = RegisterOrigin("10.0.0.7", 5099, "", "192.0.2.1:5060")
SECRET = b"k"
HIDER = ContactHider(b"k")
PLAIN = Profile()
PROFILES = (
    PLAIN,
    replace(PLAIN, enable_contact_hiding="yes", contact_hiding_prefix="h-"),
    replace(PLAIN, contact_user="u"),
    replace(PLAIN, contact_host="h.example", contact_displayname="N"),
    replace(PLAIN, enable_reg_caching="yes"),
)
CONTACT = "sip:anna@10.0.0.7:5062"


def request(*contacts: str) -> list[tuple[str, str]]:
    return [("To", "<sip:anna@x>"), ("Expires", "60"), *(("Contact", one) for one in contacts)]


def pairs(lines: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(line.partition(":")[0], line.partition(":")[2].strip()) for line in lines]


@given(st.sampled_from(PROFILES), st.booleans())
def test_the_phone_is_told_what_it_said(profile: Profile, star: bool) -> None:
    cache = RegistrationCache(SECRET)
    asked = onward(profile, request("*" if star else f"<{CONTACT}>;q=0.5"), FROM, cache, HIDER, 0)
    gone = contact_values(pairs(asked.lines))
    assert len(gone) == 1 and not any(header_problem(line, contact=True) for line in asked.lines)
    if star:
        assert gone == ["*"] and any(line.startswith("Expires") for line in asked.lines)
        return
    assert (CONTACT in gone[0]) is (profile is PLAIN)
    reply = [("Contact", f"<{uri_of(gone[0])}>;expires=50")]
    told = contact_values(pairs(back(profile, asked, 200, reply, cache, 0)))
    assert told == [f"<{CONTACT}>;expires=50"]
    assert back(profile, asked, 403, [], cache, 0) == ()


def test_helpers() -> None:
    assert kept_variables("a=1; b = x=y;;") == {"a": "1", "b": "x=y"}
    assert without_contacts(("Contact: a", "m: b", "Expires: 5", "X: y")) == ("X: y",)
    assert (
        transport_of([("v", "SIP/2.0/TCP a"), ("Via", "SIP/2.0/UDP b")]) == "tcp"
        and transport_of([("Via", "SIP/2.0/TLS a")]) == "tls"
    )
    assert transport_of([]) == transport_of([("Via", "SIP/2.0/UDP a")]) == transport_of([("Via", "x")]) == ""


@given(st.sampled_from(PROFILES), st.lists(st.text(max_size=30), max_size=3), st.lists(st.text(max_size=30), max_size=3))
def test_any_contacts_are_taken(profile: Profile, said: list[str], listed: list[str]) -> None:
    cache = RegistrationCache(SECRET)
    asked = onward(profile, request(*said), FROM, cache, HIDER, 0)
    back(profile, asked, 200, [("Contact", one) for one in listed], cache, 0)
