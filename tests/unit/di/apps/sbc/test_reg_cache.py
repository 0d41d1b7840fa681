# SPDX-License-Identifier: GPL-2.0-or-later
"""Registrations that pass and are remembered."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from di.apps.api import parse_uri, uri_of
from di.apps.sbc import reg_cache
from di.apps.sbc.contacts import expires_of
from di.apps.sbc.reg_cache import PassingRegister, RegistrationCache, RegistrationLimits, alias_of

FROM = ("10.0.0.7", 5099, "")
LIMITS = RegistrationLimits(least_s=600, most_s=60)
CONTACT = "sip:anna@10.0.0.7:5062;ob"
SECRET = b"k"
ALIAS = alias_of(SECRET, "anna@example.org", CONTACT)


def request(expires: int = 60, contact: str = "") -> list[tuple[str, str]]:
    return [("To", "<sip:anna@Example.org:5060>"), ("Contact", contact or f"<{CONTACT}>;q=0.5"), ("Expires", str(expires))]


def reply(asked: PassingRegister, seconds: int) -> list[tuple[str, str]]:
    return [("Contact", ", ".join(f"<{uri_of(one)}>;expires={seconds}" for one in asked.contacts))]


def test_a_phone_registers_again_and_leaves() -> None:
    cache = RegistrationCache(SECRET)
    asked = cache.register(request(), FROM, "192.0.2.1:5060", LIMITS, 0)
    assert asked.contacts == (f"<sip:{ALIAS}@192.0.2.1:5060>;q=0.5;expires=600",) and cache.find(ALIAS, 0) is None
    assert cache.replied(asked, 200, reply(asked, 600), LIMITS, 1) == (f"<{CONTACT}>;expires=59",)
    found = cache.find(ALIAS, 50)
    assert found is not None and (found.contact, found.source) == (CONTACT, "10.0.0.7:5099")
    again = cache.register(request(), FROM, "192.0.2.1:5060", LIMITS, 50)
    assert again.answer == (f"<{CONTACT}>;q=0.5;expires=60",), "the registrar's binding lasts: it is not asked"
    assert cache.find(ALIAS, 100) is not None
    moved = cache.register(request(), ("10.0.0.7", 6000, "tcp"), "192.0.2.1:5060", LIMITS, 100)
    assert moved.answer is None, "from elsewhere the registrar is asked, who may ask for credentials"
    cache.replied(moved, 403, [], LIMITS, 100)
    assert (cache.find(ALIAS, 100) or found).source_port == 5099
    late = cache.register(request(), FROM, "192.0.2.1:5060", LIMITS, 570)
    assert late.answer is None, "it would outlive the registrar's binding"
    gone = cache.register(request(0), FROM, "192.0.2.1:5060", LIMITS, 105)
    assert expires_of(gone.contacts[0]) == 0
    assert cache.replied(gone, 200, [], LIMITS, 105) == () and cache.find(ALIAS, 105) is None and not cache.of_aor


def test_when_it_is_full_only_whom_it_knows_may_register(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reg_cache, "MOST_BINDINGS", 1)
    cache = RegistrationCache(SECRET)
    assert cache.has_room(request(), 0)
    asked = cache.register(request(), FROM, "192.0.2.1:5060", LIMITS, 0)
    cache.replied(asked, 200, reply(asked, 600), LIMITS, 0)
    stranger = request(contact="<sip:ben@10.0.0.8>")
    assert cache.has_room(request(), 10) and cache.has_room(request(contact="*"), 10) and not cache.has_room(stranger, 10)
    assert cache.has_room(stranger, 100), "the first has run out meanwhile"


def test_an_alias_is_worked_out_by_nobody_who_has_not_the_secret() -> None:
    asked = [
        RegistrationCache(secret).register(request(), FROM, "h", LIMITS, 0).contacts for secret in (SECRET, b"x", b"", SECRET)
    ]
    assert asked[0] == asked[3] and len(set(asked)) == 3
    plain = hashlib.sha256(f"anna@example.org\0{CONTACT}".encode()).hexdigest()[:24]
    assert not any(plain in uri for (uri,) in asked)


def test_it_runs_out_and_a_star_removes_all() -> None:
    cache = RegistrationCache(SECRET)
    asked = cache.register(request(), FROM, "h", RegistrationLimits(), 0)
    cache.replied(asked, 200, reply(asked, 60), RegistrationLimits(), 0)
    assert cache.find(ALIAS, 59) is not None and cache.find(ALIAS, 60) is None
    cache.replied(asked, 200, reply(asked, 60), RegistrationLimits(), 0)
    assert cache.forget_gone(30) == 0 and cache.forget_gone(60) == 1 and not cache.bindings
    cache.replied(asked, 200, reply(asked, 60), RegistrationLimits(), 0)
    star = cache.register(request(0, "*"), FROM, "h", RegistrationLimits(), 1)
    assert star.contacts == ("*",)
    cache.replied(star, 401, [], RegistrationLimits(), 1)
    assert cache.find(ALIAS, 2) is not None
    cache.replied(star, 200, [], RegistrationLimits(), 1)
    assert not cache.bindings


def test_contacts_of_others_are_shown_as_they_wrote_them_or_not_at_all() -> None:
    cache, limits = RegistrationCache(SECRET), RegistrationLimits()
    one = cache.register(request(), FROM, "h", limits, 0)
    cache.replied(one, 200, reply(one, 60), limits, 0)
    two = cache.register(request(60, "<sip:anna@10.0.0.8>"), ("10.0.0.8", 5060, "tls"), "h", limits, 10)
    both = [
        ("Contact", f"<{uri_of(one.contacts[0])}>;expires=50, <{uri_of(two.contacts[0])}>;expires=60, <sip:stranger@x>;expires=9")
    ]
    assert set(cache.replied(two, 200, both, limits, 10)) == {"<sip:anna@10.0.0.8>;expires=60", f"<{CONTACT}>;expires=50"}
    found = cache.of_source("10.0.0.8", 5060, 20)
    assert found is not None and found.source == "10.0.0.8:5060/tls"


@given(
    st.lists(
        st.tuples(st.sampled_from(["anna", "ben"]), st.integers(0, 200), st.integers(0, 90), st.sampled_from([200, 403])),
        max_size=20,
    ),
    st.integers(0, 120),
    st.integers(0, 300),
)
def test_nobody_is_told_more_than_was_granted(steps: list[tuple[str, int, int, int]], most_s: int, least_s: int) -> None:
    """Whatever comes: a phone is told at most what the registrar granted and what the profile allows, and is found for just as long."""
    cache, limits, now_s = RegistrationCache(SECRET), RegistrationLimits(least_s, most_s), 0
    granted_until = {"anna": 0, "ben": 0}
    for user, wanted_s, later_s, code in steps:
        now_s += later_s
        headers = [("To", f"<sip:{user}@x>"), ("Contact", f"<sip:{user}@10.0.0.1>;expires={wanted_s}")]
        asked = cache.register(headers, FROM, "h", limits, now_s)
        if asked.answer is None:
            told = cache.replied(asked, code, reply(asked, expires_of(asked.contacts[0]) or 0), limits, now_s)
            if code == 200:
                granted_until[user] = now_s + (expires_of(asked.contacts[0]) or 0)
        else:
            told = asked.answer
        for one in told:
            seconds = expires_of(one) or 0
            assert seconds <= wanted_s and (not most_s or seconds <= most_s) and now_s + seconds <= granted_until[user]
            assert cache.find(alias_of(SECRET, f"{user}@x", f"sip:{user}@10.0.0.1"), now_s) is not None
    assert sum(map(len, cache.of_aor.values())) == len(cache.bindings)
    cache.forget_gone(now_s + 1000)
    assert not cache.bindings and not cache.of_aor and not cache.of_place


@given(st.lists(st.tuples(st.sampled_from(["To", "Contact", "m", "Expires"]), st.text(max_size=40)), max_size=5))
@example([("Expires", "0\x1f")])
@example([("Contact", "<sip:a>;expires=0\x1c")])
def test_any_headers_are_taken(headers: list[tuple[str, str]]) -> None:
    cache = RegistrationCache(SECRET)
    asked = cache.register(headers, FROM, "h", RegistrationLimits(), 0)
    cache.replied(asked, 200, headers, RegistrationLimits(), 0)
    assert all(parse_uri(uri_of(one)).user for one in asked.contacts if one != "*")
