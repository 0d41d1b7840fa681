# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever a notifier says in whatever order, a subscription stays one: its end is told once, it never hangs, nothing is smuggled out."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from di.sip.outside_records import Subscribe
from interfaces.sip.message import parse
from interfaces.sip.subscription import Subscription, SubscriptionState

S = 1_000_000_000

LINES = st.lists(
    st.sampled_from(
        [
            "Event: reg", "Event: reg;id=1", "Event: presence", "Event:", "o: reg", "CSeq: 1 NOTIFY", "CSeq: 2 NOTIFY", "CSeq: 3 NOTIFY",
            "CSeq: 99999999999 NOTIFY", "CSeq: NOTIFY", "CSeq: 4 INFO", "From: <sip:n@h>;tag=a", "From: <sip:n@h>;tag=b", "From: <sip:n@h>",
            'From: "x<;tag=q" <sip:n@h>;tag=a', "Subscription-State: active", "Subscription-State: active;expires=40", "Content-Type: a/b",
            "Subscription-State: pending;expires=0", "Subscription-State: terminated;reason=noresource;retry-after=9", "Min-Expires: 900",
            "Subscription-State: odd;expires=x", "Subscription-State: ;expires=5", "Contact: <sip:n@h:1?Event=x>", "Contact: *", "Contact: <",
            "Record-Route: <sip:p;lr>, <sip:q;lr>", 'Record-Route: "a,b" <sip:p>', "To: <sip:n@h>;tag=a", "To: <sip:n@h>", "To: <sip:n@h>;tag=c",
            "Expires: 0", "Expires: 30", "Expires: soon", "Retry-After: 5 (busy);x=y", 'WWW-Authenticate: Digest realm="r",nonce="n",qop="auth"',
            'Proxy-Authenticate: Digest realm="r", nonce="m", stale=true', "WWW-Authenticate: Digest",
        ]
    )
    | st.text(st.characters(blacklist_characters="\r\n"), max_size=40),
    max_size=9,
)  # fmt: skip
WHOLE = ["CSeq: 1 NOTIFY", "From: <sip:n@h>;tag=a", "Event: reg;id=1"]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("notify"), LINES, st.text(max_size=20)),
        st.tuples(st.just("good"), st.integers(1, 9), st.sampled_from(["active", "active;expires=50", "pending", "terminated"])),
        st.tuples(st.just("reply"), st.sampled_from([200, 202, 401, 403, 404, 407, 408, 423, 481, 489, 500, 503]), LINES),
        st.tuples(st.just("silence"), st.sampled_from([408, 503])),
        st.tuples(st.just("time"), st.integers(0, 700)),
        st.tuples(st.just("refresh"), st.integers(0, 2**31 - 1)),
        st.tuples(st.just("unsubscribe")),
    ),
    max_size=40,
)


class Held:
    """A subscription under the eyes of its properties."""

    def __init__(self) -> None:
        wish = Subscribe(1, "sip:n@h", "<sip:us@h>", "<sip:n@h>", "reg;id=1", 60, username="us", password="secret")
        self.subscription = Subscription(wish, "call", "ours", lambda: "0")
        self.now_ns = 0
        self.cseq = 0
        self.over = self.under_way = False
        self.subscription.start(0)
        self.look()

    def look(self) -> None:
        subscription = self.subscription
        while subscription.requests:
            request = subscription.requests.popleft()
            assert not self.under_way and not self.over, "one SUBSCRIBE at a time, none after the end"
            self.under_way = True
            assert request.cseq > self.cseq
            self.cseq = request.cseq
            values = [request.target, request.from_value, request.to_value, *(part for pair in request.headers for part in pair)]
            assert not any("\r" in value or "\n" in value for value in values) and "secret" not in "".join(values)
            assert "?" not in request.target
        while subscription.news:
            assert not self.over, "nothing is told after the end"
            self.over = subscription.news.popleft().final
        assert self.over is (subscription.state is SubscriptionState.OVER)
        assert subscription.in_flight is self.under_way
        assert self.over or self.under_way or subscription.deadline_ns() is not None, "it would hang"

    def step(self, what: str, *values: Any) -> None:
        subscription = self.subscription
        if what in ("notify", "good"):
            lines, body = (
                values
                if what == "notify"
                else ([f"CSeq: {values[0]} NOTIFY", *WHOLE[1:], f"Subscription-State: {values[1]}"], "")
            )
            code, _, _ = subscription.handle_notify(
                parse("NOTIFY sip:us SIP/2.0\r\n" + "\r\n".join(lines) + "\r\n\r\n" + body), self.now_ns
            )
            assert code in (200, 400, 481, 489, 500)
        elif what in ("reply", "silence") and self.under_way:
            self.under_way = False
            message = None
            if what == "reply":
                message = parse(f"SIP/2.0 {values[0]} Said\r\n" + "\r\n".join(values[1]) + "\r\n\r\n")
            subscription.handle_reply(values[0], "Said", message, "10.0.0.1", self.now_ns)
        elif what == "time":
            self.now_ns += values[0] * S
            due = subscription.deadline_ns()
            if due is not None and due <= self.now_ns:
                subscription.handle_timeout(self.now_ns)
        elif what == "refresh":
            subscription.refresh(values[0], self.now_ns)
        elif what == "unsubscribe":
            subscription.unsubscribe(self.now_ns)
        self.look()


@given(STEPS)
def test_hostile_notifier_and_a_subscription_stays_one(steps: list[tuple[Any, ...]]) -> None:
    held = Held()
    for step in steps:
        held.step(*step)
    for _ in range(20):  # from wherever it is, silence brings it to its end
        held.step("silence", 408)
        held.step("time", 2**31)
    assert held.over and held.subscription.forgotten(held.now_ns + 2**40 * S)
