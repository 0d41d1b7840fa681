# SPDX-License-Identifier: GPL-2.0-or-later
"""The contract of the SIP process, real and fake (see test_sip_contract.py): subscriptions."""

from __future__ import annotations

from typing import Any

import pytest

from di.sip.outside_records import RefreshSubscription, Subscribe, SubscriptionChanged, Unsubscribe
from tests.support.sip_sides import Side


async def subscribed(side: Side, number: int = 1, expires_s: int = 600) -> Any:
    """A subscription whose first SUBSCRIBE has come to the notifier."""
    target = f"sip:300@127.0.0.1:{side.port}"
    side.send(Subscribe(number, target, "<sip:200@127.0.0.1>", f"<{target}>", "reg;id=7", expires_s, "application/reginfo+xml"))
    notifier = await side.peer.take_subscribe()
    assert (notifier.event, notifier.expires_s) == ("reg;id=7", expires_s)
    return notifier


def changes(side: Side) -> list[tuple[Any, ...]]:
    found = [event for event in side.events if isinstance(event, SubscriptionChanged)]
    return [(e.state, e.code, e.reason, e.expires_s, e.final) for e in found]


async def test_subscription_goes_its_way(side: Side) -> None:
    notifier = await subscribed(side)
    notifier.answer(200)
    assert await notifier.notify("pending;expires=500") == 200
    assert await notifier.notify("active;expires=400", "application/reginfo+xml", "<reginfo/>") == 200
    side.send(RefreshSubscription(1, 900))
    assert await notifier.next_subscribe() == 900
    notifier.answer(200)
    assert await notifier.notify("active;expires=900") == 200
    side.send(Unsubscribe(1))
    assert await notifier.next_subscribe() == 0
    notifier.answer(200)
    assert await notifier.notify("terminated;reason=timeout") == 200
    await side.wait_for(SubscriptionChanged, 4)
    assert changes(side) == [
        ("pending", 0, "", 500, False), ("active", 0, "", 400, False), ("active", 0, "", 900, False), ("terminated", 0, "timeout", 0, True),
    ]  # fmt: skip
    bodies = [(e.content_type, e.body) for e in side.events if isinstance(e, SubscriptionChanged)]
    assert bodies[1] == ("application/reginfo+xml", b"<reginfo/>") and bodies[0] == bodies[2] == ("", b"")
    assert await notifier.notify("active") == 481


async def test_subscription_notified_before_the_reply(side: Side) -> None:
    notifier = await subscribed(side)
    assert await notifier.notify("active;expires=600") == 200
    notifier.answer(202)
    side.send(RefreshSubscription(1))
    assert await notifier.next_subscribe() == 600
    await side.wait_for(SubscriptionChanged)
    assert changes(side) == [("active", 0, "", 600, False)]


@pytest.mark.parametrize("code", [403, 404, 481, 489, 500])
async def test_subscription_refused(side: Side, code: int) -> None:
    (await subscribed(side)).answer(code)
    await side.wait_for(SubscriptionChanged)
    assert changes(side) == [("failed", code, "Reply", 0, True)]


async def test_subscription_too_brief(side: Side) -> None:
    notifier = await subscribed(side, expires_s=60)
    notifier.answer(423, "Min-Expires: 3600\r\n")
    assert await notifier.next_subscribe() == 3600
    notifier.answer(200)
    assert await notifier.notify("active;expires=3600") == 200
    await side.wait_for(SubscriptionChanged)
    assert changes(side) == [("active", 0, "", 3600, False)]


async def test_subscription_ended_by_the_notifier(side: Side) -> None:
    notifier = await subscribed(side)
    notifier.answer(200)
    assert await notifier.notify("terminated;reason=probation;retry-after=30") == 200
    (ended,) = await side.wait_for(SubscriptionChanged)
    assert (ended.state, ended.reason, ended.retry_after_s, ended.final) == ("terminated", "probation", 30, True)


async def test_subscription_refuses_another_event(side: Side) -> None:
    notifier = await subscribed(side)
    notifier.answer(200)
    assert await notifier.notify("active;expires=600", event="presence") == 489
    assert await notifier.notify("active;expires=600") == 200
    await side.wait_for(SubscriptionChanged)
    assert changes(side) == [("active", 0, "", 600, False)]


async def test_subscription_lost_by_the_notifier(side: Side) -> None:
    notifier = await subscribed(side)
    notifier.answer(200)
    assert await notifier.notify("active;expires=600") == 200
    side.send(RefreshSubscription(1))
    assert await notifier.next_subscribe() == 600
    notifier.answer(481)
    await side.wait_for(SubscriptionChanged, 2)
    assert changes(side)[-1] == ("failed", 481, "Reply", 0, True)


async def test_subscription_taken_back_before_it_is_there(side: Side) -> None:
    notifier = await subscribed(side)
    side.send(Unsubscribe(1))
    assert await notifier.notify("active;expires=600") == 200
    notifier.answer(200)
    assert await notifier.next_subscribe() == 0
    notifier.answer(481)
    (first, *_) = await side.wait_for(SubscriptionChanged)
    if not first.final:  # the NOTIFY was quicker than Unsubscribe
        await side.wait_for(SubscriptionChanged, 2)
    assert changes(side)[-1] == ("terminated", 481, "Reply", 0, True)


async def test_commands_for_subscriptions_that_are_over_do_nothing(side: Side) -> None:
    (await subscribed(side)).answer(404)
    await side.wait_for(SubscriptionChanged)
    for command in (RefreshSubscription(1), Unsubscribe(1), Unsubscribe(99)):
        side.send(command)
    again = await subscribed(side, 2)
    again.answer(200)
    assert await again.notify("active;expires=600") == 200
    await side.wait_for(SubscriptionChanged, 2)
    assert [state for state, *_ in changes(side)] == ["failed", "active"]
