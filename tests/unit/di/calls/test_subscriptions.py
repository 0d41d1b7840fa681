# SPDX-License-Identifier: GPL-2.0-or-later
"""Who asked for which subscription, with the SIP side recorded."""

from __future__ import annotations

from typing import Any

import pytest

from di.calls.subscriptions import SubscriptionOrder
from di.kernel.server_options import CoreOptions
from di.sip.outside_records import RefreshSubscription, Subscribe, SubscriptionChanged, Unsubscribe
from tests.support.playbook import Playbook

ORDER: dict[str, Any] = {"user": "300", "domain": "home.example", "from_user": "200", "event": "reg"}


class Desk:
    def __init__(self, **core: Any) -> None:
        self.book = Playbook(core=CoreOptions(**core))
        self.subscriptions = self.book.sessions.subscriptions
        self.posted: list[Any] = []
        self.book.services.queues.add("me", self.posted.append)

    def create(self, **order: Any) -> tuple[str, str]:
        return self.subscriptions.create(SubscriptionOrder(**{**ORDER, **order}), "me")

    def sent(self) -> list[Any]:
        found = [c for c in self.book.sip.commands if isinstance(c, (Subscribe, RefreshSubscription, Unsubscribe))]
        self.book.sip.commands.clear()
        return found

    def changed(self, *fields: Any, **more: Any) -> None:
        self.book.sessions.on_sip_event(SubscriptionChanged(*fields, **more))


def test_what_is_asked_for() -> None:
    desk = Desk()
    handle, reason = desk.create(password="secret", accept="application/reginfo+xml", id="7", expires_s=50, proxy="10.0.0.1:5070")
    assert handle and not reason
    assert desk.sent() == [
        Subscribe(
            1, "sip:300@home.example", "<sip:200@home.example>", "<sip:300@home.example>", "reg;id=7", 50, "application/reginfo+xml", (),
            "sip:10.0.0.1:5070;lr", "", "200", "secret",
        )
    ]  # fmt: skip


def test_what_is_not_said() -> None:
    desk = Desk(outbound_proxy="sip:edge.example;lr")
    desk.create()
    desk.create(proxy="sips:p.example")
    first, second = desk.sent()
    assert (first.expires_s, first.next_hop, first.username, first.event) == (600, "sip:edge.example;lr", "", "reg")
    assert (second.subscription, second.next_hop) == (2, "sips:p.example;lr")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user", ""), ("domain", ""), ("from_user", ""), ("event", ""), ("user", "a b"), ("domain", "h>"), ("from_user", "a\r\nX: y"),
        ("user", "a?Event=x"), ("domain", "h?X=y"), ("event", "reg;id=1"), ("event", "a b"), ("id", "x;y"), ("id", "x\r\n"),
        ("accept", "a/b\r\nX: y"), ("proxy", "sip:p>"), ("proxy", "a b"), ("proxy", "p?X=y"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_for(field: str, value: str) -> None:
    desk = Desk()
    handle, reason = desk.create(**{field: value})
    assert not handle and reason and desk.sent() == [] and len(desk.subscriptions) == 0


def test_news_goes_to_its_owner() -> None:
    desk = Desk()
    handle, _ = desk.create()
    desk.changed(1, "active", expires_s=600, content_type="text/plain", body=b"hi")
    desk.changed(9, "active")
    desk.changed(1, "terminated", reason="probation", retry_after_s=30, final=True)
    first, last = desk.posted
    assert first.kind == "subscription" and first.data == "hi"
    assert first.params == {
        "status": "active", "code": "0", "reason": "", "expires": "600", "has_body": "true", "handle": handle, "content_type": "text/plain",
    }  # fmt: skip
    assert last.data is None and last.params == {
        "status": "terminated", "code": "0", "reason": "probation", "expires": "0", "has_body": "false", "handle": handle, "retry_after": "30",
    }  # fmt: skip
    assert len(desk.subscriptions) == 0 and not desk.subscriptions.refresh(handle)


def test_refresh_and_remove() -> None:
    desk = Desk()
    handle, _ = desk.create()
    desk.sent()
    assert desk.subscriptions.refresh(handle) and desk.subscriptions.refresh(handle, 90) and desk.subscriptions.remove(handle)
    assert desk.sent() == [RefreshSubscription(1, 0), RefreshSubscription(1, 90), Unsubscribe(1)]
    assert not desk.subscriptions.refresh("other") and not desk.subscriptions.remove("other") and desk.sent() == []


def test_owner_goes() -> None:
    desk = Desk()
    desk.create()
    desk.create()
    other, _ = desk.subscriptions.create(SubscriptionOrder(**ORDER), "somebody")
    desk.sent()
    desk.subscriptions.remove_all("me")
    assert desk.sent() == [Unsubscribe(1), Unsubscribe(2)] and len(desk.subscriptions) == 1
    desk.changed(1, "terminated", final=True)
    assert desk.posted == [] and desk.subscriptions.remove(other)


def test_sip_process_goes() -> None:
    desk = Desk()
    desk.create()
    desk.book.sessions.sip_lost("the SIP process ended")
    assert [(e.params["status"], e.params["code"], e.params["reason"]) for e in desk.posted] == [
        ("failed", "503", "the SIP process ended")
    ]
    assert desk.create() == ("", "the SIP process is not up")
