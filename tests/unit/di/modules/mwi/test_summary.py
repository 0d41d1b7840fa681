# SPDX-License-Identifier: GPL-2.0-or-later
"""The NOTIFY, sign for sign (spec applications.md §12)."""

from __future__ import annotations

import pytest

from di.modules.mwi.options import Options, server
from di.modules.mwi.summary import account, body, notify
from di.sip.headers import uri_problem
from di.stores.messages import BoxOwner

ANN = BoxOwner("shop.example", "ann")


def test_the_body() -> None:
    assert body(ANN, 2, 8).decode() == (
        "Messages-Waiting: yes\r\nMessage-Account: sip:ann@shop.example\r\nVoice-Message: 2/8 (2/8)\r\n"
    )
    assert body(ANN, 0, 3).startswith(b"Messages-Waiting: no\r\n")


def test_the_request() -> None:
    request = notify(ANN, 1, 0, Options(presence_server="proxy.example:5070;transport=tcp"))
    assert (request.method, request.uri, request.next_hop) == (
        "NOTIFY",
        "sip:ann@shop.example",
        "sip:proxy.example:5070;transport=tcp",
    )
    assert request.from_header == "<sip:mwi-publisher@proxy.example:5070>" and request.to_header == "<sip:ann@shop.example>"
    assert request.headers == ("Event: message-summary", "Subscription-State: active")
    assert request.content_type == "application/simple-message-summary" and request.credential is None


def test_straight_to_the_subscriber_with_credentials() -> None:
    request = notify(ANN, 1, 0, Options(presence_server="p", use_route=False, auth_user="mwi", auth_password="x", auth_realm="r"))
    assert request.next_hop == "" and request.credential is not None and request.credential.user == "mwi"


@pytest.mark.parametrize("user", ["an n", "a@b", "a\r\nEvil: 1", "a?b", "é", "<>", 'a"', "\udcff"])
def test_no_user_reaches_into_the_request(user: str) -> None:
    assert uri_problem(account(BoxOwner("shop.example", user))) == ""
    assert body(BoxOwner("shop.example", user), 1, 0).count(b"\r\n") == 3


def test_an_escaped_user_stays_as_it_is() -> None:
    assert account(BoxOwner("d", "+49%2030")) == "sip:+49%2030@d"


@pytest.mark.parametrize("text", ["a b", "sip:user@host", "host:", "host;", "host\r\nX: y"])
def test_what_is_no_server(text: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        server(text)


@pytest.mark.parametrize("text", ["proxy.example", "192.0.2.1:5060", "[2001:db8::1]:5060", "sip:p;transport=tcp"])
def test_what_is_one(text: str) -> None:
    assert server(text) == text.removeprefix("sip:")
