# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose greeting a call is about, and who is turned away (spec applications.md §15)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from di.apps.annrecorder.order import GreetingOrder, read_order
from di.calls.call_info import CallInfo
from di.kernel.errors import Refused
from di.stores.messages import BoxOwner
from tests.support.sizes import size


def info(params: str | None, **more: Any) -> CallInfo:
    headers = () if params is None else (("P-App-Param", params),)
    values = {"request_uri": "sip:called@media.example:5080", "from_header": "<sip:anna@shop.example>;tag=1", "headers": headers}
    return CallInfo(**{"direction": "in", **values, **more})


@pytest.mark.parametrize(
    ("params", "owner", "language", "name"),
    [
        ("usr=anna;dom=shop.example;lng=de;uid=17;did=3;", BoxOwner("3", "17"), "de", "vm.wav"),
        ("User=anna;Domain=shop.example;Type=away", BoxOwner("shop.example", "anna"), "", "away.wav"),
        ("lng=en", BoxOwner("media.example", "called"), "en", "vm.wav"),
    ],
)
def test_parameters(params: str, owner: BoxOwner, language: str, name: str) -> None:
    order = read_order(info(params), False)
    assert (order.owner, order.language, order.name) == (owner, language, name)


def test_simple_mode_is_for_trusted_peers() -> None:
    assert read_order(info("uid=17"), True) == GreetingOrder(BoxOwner("default", "anna"))
    with pytest.raises(Refused, match="403"):
        read_order(info(None, trusted=False), True)


@pytest.mark.parametrize(
    ("given_info", "simple", "said"),
    [
        (info(None), False, "annrecorder: parameters not found"),
        (info("lng=de", request_uri="sip:media.example"), False, "annrecorder: user missing"),
        (info(None, from_header="<sip:shop.example>"), True, "annrecorder: could not parse From-URI"),
    ],
)
def test_replies(given_info: CallInfo, simple: bool, said: str) -> None:
    with pytest.raises(Refused) as refused:
        read_order(given_info, simple)
    assert (refused.value.code, refused.value.reason) == (500, said)


@settings(max_examples=size(100, 20_000), deadline=None)
@given(st.text(max_size=200), st.booleans())
def test_any_header_is_an_order_or_a_reply(text: str, simple: bool) -> None:
    """Fuzz: whatever a header holds comes to an owner with a user, or to a reply."""
    try:
        assert read_order(info(f"uid={text}", from_header=f"<sip:{text}@x>"), simple).owner.user
    except Refused as refused:
        assert refused.code in (403, 500)
