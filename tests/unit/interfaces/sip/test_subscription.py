# SPDX-License-Identifier: GPL-2.0-or-later
"""One subscription on a clock moved by hand: messages in, requests and news out."""

from __future__ import annotations

from typing import Any

import pytest

from di.sip.outside_records import Subscribe
from interfaces.sip.exchange import OutRequest
from interfaces.sip.message import Message, parse
from interfaces.sip.subscription import Subscription, SubscriptionState

S = 1_000_000_000


class Desk:
    """The subscription, its time, and a notifier's words."""

    def __init__(self, **wish: Any) -> None:
        fields: dict[str, Any] = {"expires_s": 600, "event": "reg", **wish}
        target = "sip:300@home.example"
        self.subscription = Subscription(
            Subscribe(1, target, "<sip:200@home.example>", f"<{target}>", **fields), "call", "ours", lambda: "c0"
        )
        self.now_ns = 0
        self.cseq = 0
        self.subscription.start(0)

    def sent(self) -> OutRequest:
        """The one request that it wants sent."""
        assert len(self.subscription.requests) == 1, self.subscription.requests
        return self.subscription.requests.popleft()

    def expires(self) -> int:
        return int(header(self.sent(), "Expires"))

    def told(self) -> list[tuple[Any, ...]]:
        news = [(n.state, n.code, n.reason, n.expires_s, n.final) for n in self.subscription.news]
        self.subscription.news.clear()
        return news

    def reply(self, code: int, *lines: str, tag: str = "theirs", source: str = "10.0.0.1") -> None:
        to = "To: <sip:300@home.example>" + (f";tag={tag}" if tag else "")
        text = f"SIP/2.0 {code} Said\r\n{to}\r\n" + "".join(line + "\r\n" for line in lines) + "\r\n"
        self.subscription.handle_reply(code, "Said", parse(text), source, self.now_ns)

    def silence(self, code: int = 408) -> None:
        self.subscription.handle_reply(code, "Request Timeout", None, "", self.now_ns)

    def notify(
        self,
        state: str = "active;expires=600",
        *lines: str,
        tag: str = "theirs",
        cseq: int = 0,
        body: str = "",
        event: str = "reg",
    ) -> int:
        self.cseq = cseq or self.cseq + 1
        return self.subscription.handle_notify(message(state, self.cseq, *lines, tag=tag, body=body, event=event), self.now_ns)[0]

    def pass_s(self, seconds: float) -> None:
        """Let time go by, its deadlines served on the way."""
        until = self.now_ns + int(seconds * S)
        while (
            (due := self.subscription.deadline_ns()) is not None
            and due <= until
            and self.subscription.state is not SubscriptionState.OVER
        ):
            self.now_ns = max(self.now_ns, due)
            self.subscription.handle_timeout(self.now_ns)
        self.now_ns = until


def asked(**wish: Any) -> Desk:
    """Its first SUBSCRIBE is on the way."""
    desk = Desk(**wish)
    desk.sent()
    return desk


def accepted(**wish: Any) -> Desk:
    """It has its 200, and waits for the first NOTIFY."""
    desk = asked(**wish)
    desk.reply(200)
    return desk


def running(**wish: Any) -> Desk:
    """It has had its first NOTIFY, which nobody has been told of yet."""
    desk = accepted(**wish)
    desk.notify()
    return desk


def message(state: str, cseq: int, *lines: str, tag: str = "theirs", body: str = "", event: str = "reg") -> Message:
    head = [
        "NOTIFY sip:us SIP/2.0", f"From: <sip:300@home.example>;tag={tag}", "To: <sip:200@home.example>;tag=ours", "Call-ID: call",
        f"CSeq: {cseq} NOTIFY", f"Event: {event}", f"Subscription-State: {state}", *lines,
    ]  # fmt: skip
    return parse("\r\n".join(line for line in head if not line.endswith(": ")) + "\r\n\r\n" + body)


def header(request: OutRequest, name: str) -> str:
    return next((value for known, value in request.headers if known == name), "")


def test_first_subscribe() -> None:
    request = Desk(event="reg;id=7", accept="application/reginfo+xml", headers=("X-One: 1", "bad\r\nX: y")).sent()
    assert (request.method, request.target, request.cseq) == ("SUBSCRIBE", "sip:300@home.example", 1)
    assert request.from_value == "<sip:200@home.example>;tag=ours" and request.to_value == "<sip:300@home.example>"
    assert request.headers == (("Event", "reg;id=7"), ("Expires", "600"), ("Accept", "application/reginfo+xml"), ("X-One", "1"))


def test_refreshed_before_its_end_in_the_dialog_that_the_notify_made() -> None:
    desk = asked()
    desk.reply(200, "Expires: 300", "Contact: <sip:early@10.0.0.1>", "Record-Route: <sip:p1;lr>, <sip:p2;lr>")
    assert desk.told() == []
    routes = ("Record-Route: <sip:p2;lr>, <sip:p1;lr>",)
    assert desk.notify("active;expires=300", "Contact: <sip:now@10.0.0.2?Reason=x>", *routes) == 200
    assert desk.told() == [("active", 0, "", 300, False)]
    desk.pass_s(235)
    assert not desk.subscription.requests
    desk.pass_s(1)
    request = desk.sent()
    assert (request.target, request.cseq, header(request, "Expires")) == ("sip:now@10.0.0.2", 2, "600")
    assert [value for name, value in request.headers if name == "Route"] == ["<sip:p2;lr>", "<sip:p1;lr>"]
    assert request.to_value == "<sip:300@home.example>;tag=theirs"
    desk.reply(200, "Expires: 300")
    assert desk.notify("active;expires=300") == 200
    desk.pass_s(236)
    assert desk.expires() == 600


def test_2xx_without_tag_is_no_dialog() -> None:
    desk = asked()
    desk.reply(202, tag="")
    desk.subscription.refresh(0, 0)
    assert not desk.subscription.requests
    desk.notify()
    assert desk.expires() == 600


def test_routes_of_the_reply_are_turned_round() -> None:
    desk = asked()
    desk.reply(200, "Record-Route: <sip:p1;lr>", "Record-Route: <sip:p2;lr>", "Contact: <sip:c@h>")
    desk.subscription.refresh(90, 0)
    request = desk.sent()
    assert [value for name, value in request.headers if name == "Route"] == ["<sip:p2;lr>", "<sip:p1;lr>"]
    assert (request.target, header(request, "Expires")) == ("sip:c@h", "90")


def test_notify_of_another_fork_than_the_reply() -> None:
    """The reply came from one fork, the NOTIFY from another: the NOTIFY's sender is the notifier, everybody else a stranger."""
    desk = asked()
    desk.reply(200, tag="fork1")
    assert desk.notify(tag="fork2") == 200
    assert desk.notify(tag="fork1", cseq=9) == 481
    assert desk.notify(tag="fork3", cseq=10) == 481
    assert desk.told() == [("active", 0, "", 600, False)]
    assert desk.notify("terminated", tag="fork2", cseq=11) == 200


def test_no_notify_is_a_timeout() -> None:
    desk = accepted()
    desk.pass_s(33)
    assert desk.told() == []
    desk.pass_s(2)
    assert desk.told() == [("timeout", 408, "no NOTIFY came", 0, True)]
    assert desk.notify() == 481


def test_nobody_answers() -> None:
    desk = asked()
    desk.silence()
    assert desk.told() == [("failed", 408, "Request Timeout", 0, True)]


def test_refresh_that_nobody_answers_ends_it() -> None:
    desk = running()
    desk.told()
    desk.pass_s(536)
    assert desk.expires() == 600
    desk.silence()
    assert desk.told() == [("failed", 408, "Request Timeout", 0, True)]


def test_refresh_refused_for_now_is_tried_again_until_the_end() -> None:
    desk = running()
    desk.told()
    desk.pass_s(536)
    desk.sent()
    desk.reply(503, "Retry-After: 20")
    desk.pass_s(19)
    assert not desk.subscription.requests
    desk.pass_s(1)
    desk.sent()
    desk.reply(500)
    desk.pass_s(22)
    desk.sent()
    desk.reply(500)
    desk.pass_s(60)
    assert desk.told() == [("timeout", 408, "not refreshed in time", 0, True)]


@pytest.mark.parametrize("code", [401, 407])
def test_challenge_is_answered_once_and_a_stale_nonce_twice_more(code: int) -> None:
    desk = asked(username="200", password="secret")
    name, answer = ("WWW-Authenticate", "Authorization") if code == 401 else ("Proxy-Authenticate", "Proxy-Authorization")
    desk.reply(code, f'{name}: Digest realm="home", nonce="n1", qop="auth"')
    request = desk.sent()
    assert (
        request.cseq == 2
        and 'username="200"' in header(request, answer)
        and 'uri="sip:300@home.example"' in header(request, answer)
    )
    assert "secret" not in header(request, answer)
    for nonce in ("n2", "n3"):
        desk.reply(code, f'{name}: Digest realm="home", nonce="{nonce}", qop="auth", stale=true')
        assert f'nonce="{nonce}"' in header(desk.sent(), answer)
    desk.reply(code, f'{name}: Digest realm="home", nonce="n4", qop="auth", stale=true')
    assert desk.told() == [("failed", code, "Said", 0, True)] and not desk.subscription.requests


def test_challenge_that_is_not_answered() -> None:
    lines = ('WWW-Authenticate: Digest realm="home", nonce="n1"',)
    nameless = asked()
    nameless.reply(401, *lines)
    assert nameless.told() == [("failed", 401, "Said", 0, True)]
    elsewhere = asked(username="200", password="p", realm="other")
    elsewhere.reply(401, *lines)
    assert elsewhere.told() == [("failed", 401, "Said", 0, True)]
    twice = asked(username="200", password="p")
    twice.reply(401, *lines)
    twice.sent()
    twice.reply(401, *lines)  # the same nonce, not stale: the password is wrong
    assert twice.told() == [("failed", 401, "Said", 0, True)]


def test_refresh_is_challenged_anew_but_not_from_elsewhere() -> None:
    desk = Desk(username="200", password="p")
    line = 'WWW-Authenticate: Digest realm="home", nonce="n1"'
    desk.sent()
    desk.reply(401, line, source="10.0.0.1")
    desk.sent()
    desk.reply(200)
    desk.notify()
    for source, answered in (("10.0.0.1", True), ("10.6.6.6", False)):
        desk.subscription.refresh(0, desk.now_ns)
        assert not header(desk.sent(), "Authorization")
        desk.reply(401, line, source=source)
        assert bool(desk.subscription.requests) is answered
        if answered:
            assert header(desk.sent(), "Authorization")
            desk.reply(200)


def test_too_brief_is_lengthened_once() -> None:
    desk = asked(expires_s=60)
    desk.reply(423, "Min-Expires: 3600")
    assert desk.expires() == 3600
    desk.reply(423, "Min-Expires: 7200")
    assert desk.told() == [("failed", 423, "Said", 0, True)]


@pytest.mark.parametrize("least", ["", "60", "30", "soon", "-5", "99999999999999"])
def test_too_brief_without_a_use(least: str) -> None:
    desk = asked(expires_s=60)
    desk.reply(423, f"Min-Expires: {least}")
    assert desk.told() == [("failed", 423, "Said", 0, True)]


def test_unsubscribe_and_the_last_word() -> None:
    desk = running()
    desk.subscription.unsubscribe(desk.now_ns)
    assert desk.expires() == 0
    assert desk.notify("active;expires=1") == 200  # crossed it
    desk.reply(200)
    assert desk.told() == [("active", 0, "", 600, False)]
    assert desk.notify("terminated;reason=timeout", body="last") == 200
    assert desk.told() == [("terminated", 0, "timeout", 0, True)]
    assert not desk.subscription.requests


def test_unsubscribe_without_a_last_word() -> None:
    desk = running()
    desk.told()
    desk.subscription.unsubscribe(desk.now_ns)
    desk.sent()
    desk.reply(200)
    desk.pass_s(35)
    assert desk.told() == [("terminated", 0, "no NOTIFY came", 0, True)]
    assert desk.subscription.forgotten(desk.now_ns + 34 * S) and not desk.subscription.forgotten(desk.now_ns)


def test_unsubscribe_while_a_refresh_is_under_way() -> None:
    desk = running()
    desk.subscription.refresh(0, 0)
    desk.sent()
    desk.subscription.unsubscribe(0)
    assert not desk.subscription.requests
    desk.reply(200)
    assert desk.expires() == 0


def test_unsubscribe_before_the_first_reply() -> None:
    accepted, refused, silent = Desk(), Desk(), Desk()
    for desk in (accepted, refused, silent):
        desk.sent()
        desk.subscription.unsubscribe(0)
    accepted.reply(200)
    assert accepted.expires() == 0
    refused.reply(403)
    assert refused.told() == [("terminated", 403, "Said", 0, True)]
    silent.pass_s(35)
    assert silent.told() == [("terminated", 0, "no NOTIFY came", 0, True)]
    challenged = asked(username="200", password="p")
    challenged.subscription.unsubscribe(0)
    challenged.reply(401, 'WWW-Authenticate: Digest realm="home", nonce="n1"')
    assert challenged.told() == [("terminated", 401, "Said", 0, True)] and not challenged.subscription.requests
    untagged = asked()
    untagged.subscription.unsubscribe(0)
    untagged.reply(200, tag="")
    assert not untagged.subscription.requests
    assert untagged.notify() == 200 and untagged.expires() == 0 and untagged.told() == []


def test_ended_by_the_notifier() -> None:
    desk = accepted()
    assert desk.notify("TERMINATED ; reason=probation;retry-after=30", body="x") == 200
    (news,) = desk.subscription.news
    assert (news.state, news.reason, news.retry_after_s, news.body, news.final) == ("terminated", "probation", 30, b"x", True)
    assert desk.notify("terminated;reason=probation", cseq=1) == 200  # it comes again: the same answer, told once
    assert desk.notify("active", cseq=2) == 481
    assert len(desk.subscription.news) == 1


def test_no_time_left_is_the_end() -> None:
    desk = accepted()
    desk.notify("active;expires=0")
    assert desk.told() == [("terminated", 0, "", 0, True)]


def test_a_state_of_the_notifiers_own() -> None:
    desk = accepted()
    desk.notify("sleeping;expires=100")
    assert desk.told() == [("unknown", 0, "", 100, False)]


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ("presence", 489),
        ("reg.winfo", 489),
        ("", 489),
        ("reg;id=8", 481),
        ("reg", 481),
        ("REG;id=7", 200),
        ("reg ; x=y;id=7", 200),
    ],
)
def test_event_must_be_ours(event: str, code: int) -> None:
    desk = accepted(event="reg;id=7")
    assert desk.notify(event=event) == code
    assert len(desk.told()) == (code == 200)


@pytest.mark.parametrize(
    "wrong",
    ["CSeq: x NOTIFY", "CSeq: 1 INFO", "CSeq: -1 NOTIFY", "CSeq: 1", "From: <sip:300@home.example>", "Subscription-State: "],
)
def test_notify_that_is_none(wrong: str) -> None:
    desk = asked()
    name = wrong.split(":", maxsplit=1)[0]
    good = message("active", 1)
    headers = tuple((known, wrong.split(":", 1)[1].strip() if known == name else value) for known, value in good.headers)
    assert desk.subscription.handle_notify(Message(good.start_line, headers, b""), 0)[0] == 400
    assert desk.told() == []


def test_order_of_notifies() -> None:
    desk = accepted()
    assert [desk.notify(cseq=number) for number in (5, 5, 7, 6, 7, 8)] == [200, 200, 200, 500, 200, 200]
    assert len(desk.told()) == 3


def test_refresh_after_the_end_does_nothing() -> None:
    desk = asked()
    desk.reply(404)
    desk.subscription.refresh(0, 0)
    desk.subscription.unsubscribe(0)
    desk.reply(200)
    assert not desk.subscription.requests and len(desk.told()) == 1


def test_next_hop_is_the_first_route_only() -> None:
    desk = Desk(next_hop="sip:proxy.example;lr")
    assert header(desk.sent(), "Route") == "<sip:proxy.example;lr>"
    desk.reply(200)
    desk.notify()
    desk.subscription.refresh(0, 0)
    assert header(desk.sent(), "Route") == ""
