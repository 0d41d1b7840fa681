# SPDX-License-Identifier: GPL-2.0-or-later
"""What a proxy's P-App-Param comes to, and what of it is refused with which reply (spec applications.md §13)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from di.apps.voicemail.options import Options
from di.apps.voicemail.order import VoicemailMode, VoicemailOrder, read_order
from di.calls.call_info import CallInfo
from di.kernel.errors import Refused
from tests.support.sizes import size

ROUTE = "mod=both;eml=anna@shop.example;usr=anna;\r\n    snd=sip:ben@there.example;dom=shop.example;uid=17;did=3;"  # as the presentation breaks it


def info(params: str | None, **more: Any) -> CallInfo:
    headers = () if params is None else (("P-App-Param", params),)
    values = {
        "request_uri": "sip:called@media.example:5080",
        "from_header": '"Ben" <sip:ben@there.example>;tag=1',
        "headers": headers,
    }
    return CallInfo(**{"direction": "in", **values, **more})


def read(params: str | None, **options: Any) -> VoicemailOrder:
    return read_order(info(params), Options(**options), 1_700_000_000.9)


def test_the_presentations_route() -> None:
    assert read(ROUTE) == VoicemailOrder(
        VoicemailMode.BOTH,
        "",
        "anna@shop.example",
        "anna",
        "sip:ben@there.example",
        "shop.example",
        "vm",
        "17",
        "3",
        1_700_000_000,
    )


@pytest.mark.parametrize(
    ("mod", "default", "mode"),
    [("box", 0, 1), ("both", 0, 2), ("ann", 0, 3), ("voicemail", 0, 0), ("voicemail", 2, 2), ("", 1, 1), ("BOX", 0, 1)],
)
def test_modes(mod: str, default: int, mode: int) -> None:
    assert read(f"mod={mod};eml=a@b.example", default_vm_mode=default).mode == mode


def test_what_is_not_given_comes_from_the_call() -> None:
    order = read("mod=box")
    assert (order.user, order.uid, order.domain, order.did, order.kind) == (
        "called",
        "called",
        "media.example",
        "media.example",
        "vm",
    )
    assert order.sender == '"Ben" <sip:ben@there.example>;tag=1'


def test_short_names_win_over_long_ones() -> None:
    order = read("Mode=both;mod=box;User=long;usr=short;Language=en;UserID=1;DomainID=2;Type=away;Sender=s;Domain=d")
    assert (order.mode, order.user, order.language, order.uid, order.did, order.kind) == (
        VoicemailMode.BOX,
        "short",
        "en",
        "1",
        "2",
        "away",
    )
    assert (order.sender, order.domain) == ("s", "d")


def test_one_address_for_all() -> None:
    order = read(None, email_address="office@shop.example")
    assert (order.mode, order.email, order.user) == (VoicemailMode.MAIL, "office@shop.example", "called")
    other = read("mod=box;eml=x@y.example;lng=de;usr=anna", email_address="office@shop.example")
    assert (other.mode, other.email, other.language, other.user) == (VoicemailMode.MAIL, "office@shop.example", "", "anna")


def test_simple_mode_looks_at_no_parameter() -> None:
    order = read("usr=x;did=y;typ=z", simple_mode=True, default_vm_mode=1)
    assert (order.user, order.uid, order.did, order.kind) == ("called", "called", "default", "vm")


def test_further_variables() -> None:
    assert read("mod=box;ref=A 17;other=x", mail_header_vars=("ref", "gone")).variables == (("ref", "A 17"), ("gone", ""))


@pytest.mark.parametrize(
    ("params", "more", "said"),
    [
        (None, {}, "parameters not found"), ("mod=voicemail", {}, "no email address"), ("eml=anna", {}, "no email address"),
        ("mod=both;eml=a b@c", {}, "no email address"), ("mod=box", {"request_uri": "sip:media.example"}, "user missing"),
        ("mod=box", {"from_header": ""}, "sender missing"),
    ],
)  # fmt: skip
def test_replies(params: str | None, more: dict[str, str], said: str) -> None:
    with pytest.raises(Refused) as refused:
        read_order(info(params, **more), Options(), 0)
    assert (refused.value.code, refused.value.reason) == (500, f"voicemail: {said}")


@settings(max_examples=size(200, 50_000), deadline=None)
@given(
    st.text(max_size=200) | st.text("modelusrn=;,'\"@ \r\n\\a.", max_size=80).map(lambda text: f"mod=box;{text}"),
    st.text(max_size=60),
)
def test_any_header_is_an_order_or_a_reply(params: str, sender: str) -> None:
    """Fuzz: whatever a header holds comes to an order that the journal gives back, or to one of SEMS's replies."""
    try:
        order = read_order(info(params, from_header=sender, request_uri=f"sip:{sender}@x"), Options(), 0)
    except Refused as refused:
        assert refused.code == 500 and refused.reason.startswith("voicemail: ")
        return
    assert VoicemailOrder.from_json(order.to_json()) == order
    texts = (order.language, order.email, order.user, order.sender, order.domain, order.kind, order.uid, order.did)
    assert not any(sign < " " for text in texts for sign in text)
