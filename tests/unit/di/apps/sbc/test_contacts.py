# SPDX-License-Identifier: GPL-2.0-or-later
"""Contacts: made by a profile, hidden, and read from messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.apps.api import is_sip_uri, parse_uri, uri_of
from di.apps.sbc.contacts import ContactHider, ContactParts, changed_contact, contact_value, expires_of, split_list, with_expires

PARTS = st.text(max_size=10)


@pytest.mark.parametrize(
    ("parts", "value"),
    [
        (ContactParts(), ""),
        (ContactParts(user="desk"), "<sip:desk@192.0.2.1:5062>"),
        (ContactParts(host="sbc.example.org"), "<sip:sbc.example.org>"),
        (ContactParts("Desk", "u", "h", "5070", "x=1", "q=0.5"), '"Desk" <sip:u@h:5070;x=1>;q=0.5'),
        (ContactParts(uri_params="transport=tcp"), "<sip:192.0.2.1:5062;transport=tcp>"),
        (ContactParts(user="a b"), ""),
        (ContactParts(params="q=1,<sip:second@x>"), ""),
        (ContactParts(user="a", params="x=<sip:b@c>"), ""),
    ],
)
def test_parts_make_a_contact(parts: ContactParts, value: str) -> None:
    assert contact_value(parts, "192.0.2.1", 5062) == value


@given(PARTS, PARTS, PARTS, PARTS, PARTS, PARTS)
def test_parts_from_outside_make_one_contact_or_none(
    name: str, user: str, host: str, port: str, in_uri: str, behind: str
) -> None:
    value = contact_value(ContactParts(name, user, host, port, in_uri, behind), "::1", 5060)
    assert not value or (is_sip_uri(uri_of(value)) and value.isprintable())


HIDER = ContactHider(b"secret")


@given(
    st.text(max_size=100),
    st.text(st.characters(codec="ascii"), max_size=5),
    st.dictionaries(st.text(max_size=5), st.text(max_size=9), max_size=3),
)
def test_what_was_hidden_is_shown_again(uri: str, prefix: str, kept: dict[str, str]) -> None:
    user = HIDER.hidden(uri, prefix, kept)
    assert HIDER.shown(user, prefix) == (uri, kept)
    assert ContactHider(b"other").shown(user, prefix) is None
    assert set(user[len(prefix) :]) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(st.text(max_size=80))
def test_what_somebody_else_made_stands_for_nothing(user: str) -> None:
    assert HIDER.shown(user, "") is None


def test_a_uri_that_is_too_long_is_not_hidden() -> None:
    assert HIDER.hidden("sip:" + "x" * 2000, "", {}) == ""


def test_contacts_of_a_message() -> None:
    assert split_list('"a, b" <sip:x,y@z>;q=1, <sip:c>,sip:d;expires=5') == [
        '"a, b" <sip:x,y@z>;q=1',
        "<sip:c>",
        "sip:d;expires=5",
    ]
    assert (
        expires_of("<sip:a;expires=1>;q=1;Expires=60") == 60
        and expires_of("sip:a;expires=5") == 5
        and expires_of("<sip:a>") is None
    )
    assert (
        with_expires("<sip:a>;expires=5;q=1", 7) == "<sip:a>;q=1;expires=7"
        and with_expires("sip:a;expires=5", 7) == "sip:a;expires=7"
    )
    assert changed_contact('"x" <sip:a@b;t=1>;expires=60', "u", "h:5", "N") == '"N" <sip:u@h:5>;expires=60'
    assert changed_contact("sips:a@b;q=1", "", "h") == "<sips:h>;q=1" and changed_contact(" *", "u", "h") == " *"


@given(st.text(max_size=60), st.integers(0, 10**9))
def test_any_contact_can_be_given_a_time(value: str, seconds: int) -> None:
    one = with_expires(f"<sip:a@b>;{value}" if "<" not in value and ">" not in value else "<sip:a@b>", seconds)
    assert expires_of(one) == seconds and parse_uri(uri_of(one)).user == "a"
    assert "".join(split_list(value)).replace(" ", "") in value.replace(" ", "") or "," in value
