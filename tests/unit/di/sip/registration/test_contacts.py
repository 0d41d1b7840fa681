# SPDX-License-Identifier: GPL-2.0-or-later
"""What registrars answer, as it is written out there."""

from __future__ import annotations

import pytest

from di.sip.registration.contacts import contacts, granted_s, seconds

OURS = "sip:anna@192.0.2.7:5060"


@pytest.mark.parametrize(
    ("headers", "granted"),
    [
        ((("Contact", "<sip:anna@192.0.2.7:5060>;expires=600"),), 600),
        ((("m", "<sip:anna@192.0.2.7>;q=0.5;expires=600;reg-id=1"),), 600),
        ((("Contact", "sip:anna@192.0.2.7;expires=30"),), 30),
        ((("Contact", '"x, <y>" <sip:b@h>;expires=1, <sip:anna@192.0.2.7:5060;ob>; Expires = "77"'),), 77),
        ((("Contact", "<sip:b@h>"), ("Contact", "<sip:anna@192.0.2.7:5060>;expires=5")), 5),
        ((("Contact", "<sip:anna@192.0.2.7:5060>"), ("Expires", "120")), 120),
        ((("Contact", "<sip:anna@192.0.2.7:5060>"),), 300),
        ((("Contact", "<sip:anna@192.0.2.7:5060;expires=9>"),), 300),  # the URI's, not the binding's
        ((("Contact", "<sip:anna@192.0.2.7:5060>;expires=0"),), 0),
        ((("Contact", "<sip:anna@sbc.example:5090>;expires=60"),), 60),  # a border controller's
        ((("Contact", "<sip:anna@one.example>;expires=60, <sip:anna@two.example>;expires=60"),), None),
        ((("Contact", "<sip:ANNA@192.0.2.7:5060>;expires=60, <sip:b@c>"),), None),
        ((("Contact", "<sip:anna@192.0.2.7:5061>;expires=60, <sip:b@c>"),), None),
        ((("Contact", "<sip:anna@192.0.2.7;transport=tcp>;expires=60, <sip:b@c>"),), None),
        ((("Contact", "*"),), None),
        ((), None),
    ],
)
def test_what_is_granted(headers: tuple[tuple[str, str], ...], granted: int | None) -> None:
    assert granted_s(headers, OURS, 300) == granted


def test_numbers() -> None:
    headers = (("Retry-After", "18000;duration=3600"), ("Min-Expires", " 90"), ("Expires", "soon"), ("Other", "99999999999"))
    assert [seconds(headers, name) for name in ("retry-after", "Min-Expires", "Expires", "None")] == [18000, 90, None, None]
    assert seconds((("Expires", "4294967295"),), "Expires") == 2**31 - 1


def test_lists_are_taken_apart() -> None:
    value = '"a \\", b" <sip:a,b@h>;x="1,2" , , sip:c@h'
    assert list(contacts((("Contact", value), ("Contact", "")))) == ['"a \\", b" <sip:a,b@h>;x="1,2"', "sip:c@h"]
