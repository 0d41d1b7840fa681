# SPDX-License-Identifier: GPL-2.0-or-later
"""However a number is written, it has one form, or none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.calls.destination import Unclear, normal_form

PREMIUM = "+49900123456@gw.example"


@pytest.mark.parametrize(
    "uri",
    [
        "sip:+49900123456@gw.example",
        "sip:0049900123456@gw.example",
        "SIP:+49900123456@GW.Example",
        "sips:+49900123456@gw.example.",
        "sip:%2B49900123456@gw.example",
        "sip:%30%304990%30123456@gw.example",
        "sip:+49-(900)-123.456@gw.example",
        "sip:+49%20900%20123456@gw.example",
        "sip:+49900123456@gw.example;user=phone",
        "sip:+49900123456@gw.example:5070;transport=TCP",
        "sip:+49900123456;isub=1;ext=2@gw.example;lr",
        "sip:+49900123456:secret@gw.example",
        "sip:%EF%BC%8B49900123456@gw.example",
    ],
)
def test_one_number_has_one_form(uri: str) -> None:
    assert normal_form(uri) == PREMIUM


@pytest.mark.parametrize(
    ("uri", "form"),
    [
        ("tel:+49-900-123456", "+49900123456"),
        ("tel:0049900123456;ext=1", "+49900123456"),
        ("sip:Anna.Lee@shop.example", "Anna.Lee@shop.example"),
        ("sip:shop.example", "shop.example"),
        ("sip:7a@[2001:DB8:0::1]:5070", "7A@2001:db8::1"),
        ("sip:7@[::ffff:192.0.2.1]", "7@192.0.2.1"),
        ("sip:*31%23900@gw.example", "*31#900@gw.example"),
        ("sip:7@localhost", "7@localhost"),
        ("sip:7@my_host.example", "7@my_host.example"),
    ],
)
def test_forms(uri: str, form: str) -> None:
    assert normal_form(uri) == form


def test_what_is_dialled_in_place_of_plus_may_be_told() -> None:
    assert normal_form("sip:01149900@gw.example", "011") == "+49900@gw.example"
    assert normal_form("sip:0049900@gw.example", "") == "0049900@gw.example"


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "mailto:a@b",
        "sip:%252B49900@gw.example",
        "sip:900%00123@gw.example",
        "sip:900%E2%80%8B123@gw.example",
        "sip:900@gw.example;maddr=192.0.2.1",
        "tel:123;phone-context=+49900",
        "sip:123;phone-context=+49900@gw.example;user=phone",
        "sip:123;Phone-Context=+49900@gw.example",
        "sip:900@0x7f.1",
        "sip:900@2130706433",
        "sip:900@127.1",
        "sip:900@gw%2Eexample",
        "sip:900@good.example@evil.example",
    ],
)
def test_what_others_may_read_differently_has_no_form(uri: str) -> None:
    with pytest.raises(Unclear):
        normal_form(uri)


@given(st.text(max_size=60))
def test_any_text_has_a_form_or_none(text: str) -> None:
    """A form has no upper-case host, no escape that hides a digit, no port."""
    for uri in (text, f"sip:{text}@gw.example", f"sip:{text}", f"tel:{text}"):
        try:
            form = normal_form(uri)
        except Unclear:
            continue
        assert form == form.strip() and "\0" not in form


@given(st.text("0123456789*#", min_size=1, max_size=20), st.data())
def test_no_writing_of_a_number_changes_its_form(number: str, data: st.DataObject) -> None:
    written = "".join(
        data.draw(st.sampled_from([digit if digit != "#" else "%23", f"%{ord(digit):02x}", f"%{ord(digit):02X}"]))
        + data.draw(st.sampled_from(["", "-", ".", "(", ")"]))
        for digit in number
    )
    expected = normal_form(f"sip:{number.replace('#', '%23')}@gw.example")
    assert normal_form(f"sip:{written}@GW.example;user=phone") == expected
