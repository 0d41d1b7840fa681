# SPDX-License-Identifier: GPL-2.0-or-later
"""SUBSCRIBE for message-summary as a table of dialogs: what is taken, for how long, what is refused, where NOTIFYs go."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.calls.outside import OutsideReply
from di.modules.mwi.subscriptions import MwiSubscription, SubscriptionBook, route_set
from di.sip.outside_records import OutsideReceived
from di.stores.messages import BoxOwner

S = 1_000_000_000
USUAL = (
    ("Via", "SIP/2.0/UDP 192.0.2.4:5060;branch=x"), ("CSeq", "1 SUBSCRIBE"), ("Event", "message-summary"),
    ("Contact", "<sip:ann@192.0.2.4:5060>"), ("Accept", "application/simple-message-summary"),
)  # fmt: skip


def subscribe(*headers: tuple[str, str], without: str = "", **fields: str) -> OutsideReceived:
    """`headers` take the place of usual ones of their names."""
    names = {name for name, _ in headers} | {without}
    request = OutsideReceived(
        1, "SUBSCRIBE", "sip:ann@shop.example", "<sip:ann@shop.example>;tag=a", "<sip:ann@shop.example>", "c1", "192.0.2.4", 5060,
        (*(one for one in USUAL if one[0] not in names), *headers), to_tag="ours",
    )  # fmt: skip
    return replace(request, **fields)


def inside(*headers: tuple[str, str], **fields: str) -> OutsideReceived:
    return subscribe(*headers, **{"to_header": "<sip:ann@shop.example>;tag=ours", **fields})


def book(most: int = 10) -> SubscriptionBook:
    return SubscriptionBook(60, 3600, most)


def taken(into: SubscriptionBook, request: OutsideReceived, now_ns: int = 0, domain: str = "") -> MwiSubscription:
    found = into.take(request, domain, now_ns)
    assert isinstance(found, MwiSubscription), found
    return found


def test_a_subscription_from_its_begin_to_its_end() -> None:
    subscriptions = book()
    one = taken(subscriptions, subscribe(("Expires", "600")))
    assert (one.owner, one.target, one.route, one.local_tag) == (
        BoxOwner("shop.example", "ann"),
        "sip:ann@192.0.2.4:5060",
        (),
        "ours",
    )
    assert one.left_s(0) == 600 and one.left_s(599 * S + 1) == 1 and subscriptions.expired(600 * S - 1) == []
    again = taken(
        subscriptions, inside(("CSeq", "2 SUBSCRIBE"), ("Expires", "300"), ("Contact", "<sip:ann@192.0.2.4:7>")), 500 * S
    )
    assert again is one and one.target == "sip:ann@192.0.2.4:7" and subscriptions.deadline_ns() == 800 * S
    assert subscriptions.expired(800 * S) == [one] == subscriptions.of(one.owner)
    assert taken(subscriptions, inside(("CSeq", "3 SUBSCRIBE"), ("Expires", "0")), 800 * S).left_s(800 * S) == 0
    subscriptions.forget(one)
    subscriptions.forget(one)
    assert len(subscriptions) == 0 and subscriptions.of(one.owner) == [] and subscriptions.deadline_ns() is None


@pytest.mark.parametrize(("asked", "got"), [("7200", 3600), ("61", 61), ("", 3600), ("soon", 3600), ("9" * 30, 3600)])
def test_how_long(asked: str, got: int) -> None:
    assert taken(book(), subscribe(("Expires", asked))).left_s(0) == got


def test_the_box_may_have_another_domain_than_the_uri() -> None:
    assert taken(book(), subscribe(), domain="other.example").owner == BoxOwner("other.example", "ann")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (subscribe(("Event", "presence")), 489), (subscribe(without="Event"), 489), (subscribe(("Accept", "text/plain")), 406),
        (subscribe(("Expires", "59")), 423), (subscribe(without="Contact"), 400), (subscribe(("Contact", "<tel:1>")), 400),
        (inside(), 481),
    ],
)  # fmt: skip
def test_what_is_refused(request_: OutsideReceived, code: int) -> None:
    subscriptions = book()
    answer = subscriptions.take(request_, "", 0)
    assert isinstance(answer, OutsideReply) and answer.code == code and len(subscriptions) == 0


def test_order_tags_and_number() -> None:
    subscriptions = book(1)
    taken(subscriptions, subscribe(("CSeq", "5 SUBSCRIBE")))
    codes = [
        answer.code
        for request in (
            inside(("CSeq", "5 SUBSCRIBE")),
            inside(("CSeq", "6 SUBSCRIBE"), from_header="<sip:ann@shop.example>;tag=other"),
            inside(("CSeq", "6 SUBSCRIBE"), call_id="c2"),
            subscribe(call_id="c2", to_tag="second"),
        )
        if isinstance(answer := subscriptions.take(request, "", 0), OutsideReply)
    ]
    assert codes == [500, 500, 481, 503]


@pytest.mark.parametrize(
    ("headers", "routes"),
    [
        ((("Record-Route", "<sip:p1;lr>, <sip:p2;lr>"), ("record-route", "<sip:p3;lr;x=1,2>")), ("<sip:p1;lr>", "<sip:p2;lr>", "<sip:p3;lr;x=1,2>")),
        ((("Contact", "<sip:ann@10.0.0.7:5060>"),), ("<sip:192.0.2.4:5060;lr>",)),
        ((("Contact", "<sip:ann@10.0.0.7>"), ("Via", "SIP / 2.0 / tcp 10.0.0.7")), ("<sip:192.0.2.4:5060;transport=tcp;lr>",)),
        ((), ()),
    ],
)  # fmt: skip
def test_what_leads_to_a_subscriber(headers: tuple[tuple[str, str], ...], routes: tuple[str, ...]) -> None:
    assert route_set(subscribe(*headers)) == routes


@given(
    st.lists(
        st.tuples(st.sampled_from(["Event", "Expires", "Contact", "Accept", "Record-Route", "Via"]), st.text(max_size=40)),
        max_size=8,
    )
)
def test_whatever_headers_there_are_there_is_an_answer(headers: list[tuple[str, str]]) -> None:
    assert isinstance(book().take(subscribe(*headers), "", 0), (MwiSubscription, OutsideReply))
