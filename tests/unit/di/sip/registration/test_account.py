# SPDX-License-Identifier: GPL-2.0-or-later
"""Which accounts can be registered, and what stands in their requests."""

from __future__ import annotations

import pytest

from di.sip.registration.account import RegisterAccount


def test_values_of_requests() -> None:
    account = RegisterAccount("h", "example.net", "anna", 'A "B" \\C', "", "secret", "proxy.example.net:5070")
    assert (account.address, account.next_hop) == ("sip:anna@example.net", "sip:proxy.example.net:5070")
    assert account.party == '"A \\"B\\" \\\\C" <sip:anna@example.net>' and account.problem() == ""
    assert RegisterAccount("h", "d", "u", proxy="sips:p").next_hop == "sips:p" and RegisterAccount("h", "d", "u").next_hop == ""
    assert "secret" not in repr(account)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"domain": ""}, "domain"),
        ({"user": ""}, "user"),
        ({"handle": "a b"}, "handle"),
        ({"domain": "x>\r\nEvil: 1"}, "domain"),
        ({"domain": "a@b"}, "domain"),
        ({"user": "a b"}, "user"),
        ({"user": "a?X=1"}, "user"),
        ({"display_name": "a\r\nb"}, "display name"),
        ({"password": "a\0b"}, "display name, user and password"),
        ({"proxy": "a b"}, "proxy"),
        ({"contact": "anna"}, "contact"),
        ({"contact": "sip:a@b>,<sip:c@d"}, "contact"),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, str], named: str) -> None:
    account = RegisterAccount(**({"handle": "h", "domain": "d", "user": "u"} | values))
    assert account.problem().startswith(named)
