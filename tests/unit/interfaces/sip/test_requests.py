# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests outside pjsua2, with a request that only notes its replies. Nothing of pjsua2 runs."""

from __future__ import annotations

from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.sip.outside_records import TakeOutside
from di.sip.records import RequestReceived, SendReply
from interfaces.sip.account import challenged_realms
from interfaces.sip.mending import Mended, Origin
from interfaces.sip.message import Message, parse
from interfaces.sip.outside import OutsideTransactions
from interfaces.sip.pace import Pace
from interfaces.sip.requests import MAX_WAITING_REQUESTS, Requests
from interfaces.sip.source_limits import SourceVerdict

ORIGIN = Origin("192.0.2.1", 5060)


class NotingRequest:
    source_ip, source_port = "192.0.2.1", 5060

    def __init__(self, text: str) -> None:
        self.message = parse(text)
        self.hidden: list[str] = []
        self.replies: list[tuple[Any, ...]] = []
        self.kept = self.released = False

    def keep(self) -> bool:
        self.kept = True
        return True

    def release(self) -> None:
        self.released = True

    def contact(self) -> str:
        return "<sip:here>"

    def hide(self, name: str) -> None:
        self.hidden.append(name)

    def reply(self, *parts: Any, **named: Any) -> bool:
        self.replies.append((*parts, *named.values()))
        return True


class Judge:
    """Who may come in, by whose clock."""

    def __init__(self) -> None:
        self.verdict, self.now_ns = SourceVerdict.PASS, 0
        self.asked: list[tuple[str, bool]] = []

    def admits(self, source_ip: str, invite: bool) -> SourceVerdict:
        self.asked.append((source_ip, invite))
        return self.verdict


def desk(closed: bool = False, taken: tuple[str, ...] = (), judge: Judge | None = None) -> tuple[Requests, list[Any], Any]:
    judge = judge or Judge()
    events: list[Any] = []
    call: Any = SimpleNamespace(
        number=1,
        waiting={},
        replies=OrderedDict(),
        remote_tag="theirs",
        remote_cseq=-1,
        told_later=None,
        ended=False,
        offers=Pace(5, 1, 0),
    )
    known = {("c", "ours"): call}

    def notified(call_id: str, tag: str, message: Message) -> Any:
        return (200, "OK", (("X-Said", message.method),)) if (call_id, tag) == ("c", "subscribed") else None

    outside = OutsideTransactions(events.append, lambda request, done: None)
    outside.take(TakeOutside(taken))
    return (
        Requests(
            events.append,
            lambda call_id, tag: known.get((call_id, tag)),
            lambda: closed,
            notified,
            outside,
            judge.admits,
            lambda: judge.now_ns,
        ),
        events,
        call,
    )


def text(method: str, tag: str = "", cseq: int = 1, call_id: str = "c", theirs: str = "theirs", more: str = "") -> str:
    to = f"<sip:a@h>;tag={tag}" if tag else "<sip:a@h>"
    return (
        f"{method} sip:a@h SIP/2.0\r\nTo: {to}\r\nFrom: <sip:b@h>;tag={theirs}\r\nCall-ID: {call_id}\r\n"
        f"CSeq: {cseq} {method}\r\n{more}\r\nbody"
    )


def ask(requests: Requests, message: str) -> tuple[bool, NotingRequest]:
    request = NotingRequest(message)
    return requests.arrived(request), request  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "tag", "handled", "code"),
    [
        ("INVITE", "", False, 0), ("ACK", "", False, 0), ("CANCEL", "", False, 0), ("UPDATE", "ours", False, 0), ("BYE", "ours", False, 0),
        ("BYE", "", True, 481), ("PRACK", "", True, 481), ("UPDATE", "", True, 481),
        ("REGISTER", "", True, 501), ("REFER", "", True, 488), ("INFO", "", True, 501),
        ("OPTIONS", "", True, 200), ("OPTIONS", "stranger", False, 0), ("INFO", "stranger", False, 0),
        ("NOTIFY", "", True, 481), ("NOTIFY", "stranger", True, 481), ("NOTIFY", "subscribed", True, 200), ("SUBSCRIBE", "", True, 501),
    ],
)  # fmt: skip
def test_who_answers_what(method: str, tag: str, handled: bool, code: int) -> None:
    requests, events, _ = desk()
    done, request = ask(requests, text(method, tag))
    assert done is handled and [reply[0] for reply in request.replies] == ([code] if code else []) and events == []


def test_a_folded_to_header_still_has_its_tag() -> None:
    for method in ("BYE", "INVITE"):
        done, request = ask(desk(closed=True)[0], f"{method} sip:a@h SIP/2.0\r\nt : <sip:a@h>\r\n ;tag=ours\r\n\r\n")
        assert not done and request.replies == []


def test_closed_refuses_new_calls_only() -> None:
    requests, _, _ = desk(closed=True)
    done, request = ask(requests, text("INVITE"))
    assert done and request.replies[0][0] == 503 and request.replies[0][2][0][0] == "Retry-After"
    assert not ask(requests, text("INVITE", "ours"))[0]


def test_inside_a_call_the_hub_answers_and_the_reply_is_remembered() -> None:
    requests, events, call = desk()
    done, request = ask(requests, text("INFO", "ours"))
    record = events[0]
    assert done and isinstance(record, RequestReceived) and record.body == b"body" and request.kept and not request.replies
    assert ask(requests, text("INFO", "ours"))[1].replies == [] and len(events) == 1
    requests.answer(call, SendReply(1, record.token, 415, "No", ("Accept: x", "broken"), "a/b", b"why"))
    assert request.replies == [(415, "No", (("Accept", "x"),), "a/b", b"why")] and request.released
    assert ask(requests, text("INFO", "ours"))[1].replies == request.replies and len(events) == 1


def test_numbers_must_rise() -> None:
    """RFC 3261 §12.2.2, whoever answers the request."""
    requests, events, call = desk()
    assert not ask(requests, text("INVITE", "ours", 5))[0] and call.remote_cseq == 5
    for method in ("INFO", "BYE", "OPTIONS", "INVITE", "PRACK"):
        done, request = ask(requests, text(method, "ours", 5, more="Via: x\r\n"))
        assert done and [reply[0] for reply in request.replies] == [500], method
    assert not ask(requests, text("ACK", "ours", 5))[0] and events == []
    assert ask(requests, text("INFO", "ours", 7))[0] and len(events) == 1
    assert ask(requests, text("INFO", "ours", 6))[1].replies[0][0] == 500


def test_strange_tag_is_left_to_the_dialogs() -> None:
    requests, events, call = desk()
    done, request = ask(requests, text("INFO", "ours", theirs="other"))
    assert not done and request.replies == [] and events == [] and call.remote_cseq == -1
    assert ask(requests, text("INFO", "ours", theirs="THEIRS"))[0] and len(events) == 1


def test_call_that_we_are_ending_has_no_dialog_for_the_hub() -> None:
    requests, events, call = desk()
    call.ended = True
    assert ask(requests, text("INFO", "ours"))[1].replies[0][0] == 481 and events == [] and not call.waiting
    assert not ask(requests, text("BYE", "ours", 2))[0]


def test_offers_are_told_later() -> None:
    requests, events, call = desk()
    for number, method in enumerate(("INVITE", "UPDATE"), 1):
        assert not ask(requests, text(method, "ours", number))[0] and events == []
        assert (call.told_later.method, call.told_later.token, call.told_later.reply_wanted) == (method, 0, False)
    assert not ask(requests, text("PRACK", "ours", 3))[0] and call.told_later.method == "UPDATE"


def test_options_inside_says_what_we_can() -> None:
    requests, events, call = desk()
    _, request = ask(requests, text("OPTIONS", "ours"))
    requests.answer(call, SendReply(1, events[0].token, 200, "OK", ("accept: a/b", "Allow: REFER")))
    headers = dict(request.replies[0][2])
    assert headers["accept"] == "a/b" and "Accept" not in headers and "Supported" in headers
    allowed = [value for name, value in request.replies[0][2] if name == "Allow"]
    assert allowed[0] == "REFER" and "INFO" in allowed[1] and "REFER" not in allowed[1], (
        "what the call takes, and what every call does"
    )


@pytest.mark.parametrize(("method", "code", "there"), [("REFER", 202, True), ("REFER", 603, False), ("INFO", 200, False)])
def test_transfers_are_told_where_we_are(method: str, code: int, there: bool) -> None:
    requests, events, call = desk()
    _, request = ask(requests, text(method, "ours"))
    requests.answer(call, SendReply(1, events[0].token, code, headers=("Contact: <sip:evil@h>",)))
    assert (("Contact", "<sip:here>") in request.replies[0][2]) is there and "evil" not in str(request.replies)


def test_replaces_is_hidden_from_pjsua_alone() -> None:
    requests, _, _ = desk()
    done, request = ask(requests, text("INVITE", more="Replaces: x;to-tag=a;from-tag=b\r\n"))
    assert not done and request.hidden == ["Replaces"]
    assert (
        ask(requests, text("INVITE"))[1].hidden == []
        and ask(requests, text("INVITE", "ours", more="Replaces: x\r\n"))[1].hidden == []
    )


def test_taken_methods_go_to_the_hub() -> None:
    requests, events, _ = desk(taken=("OPTIONS", "INVITE", "BYE"))
    done, request = ask(requests, text("OPTIONS"))
    assert done and request.kept and request.replies == [] and events[0].method == "OPTIONS"
    assert not ask(requests, text("INVITE"))[0] and ask(requests, text("BYE"))[1].replies[0][0] == 481 and len(events) == 1


def test_patience_and_number_are_bounded() -> None:
    requests, events, call = desk()
    asked = [ask(requests, text("INFO", "ours", number))[1] for number in range(MAX_WAITING_REQUESTS + 3)]
    assert len(events) == MAX_WAITING_REQUESTS and [r.replies[0][0] for r in asked[MAX_WAITING_REQUESTS:]] == [503] * 3
    for _ in range(30):
        requests.second_passed([call])
    assert {r.replies[0][0] for r in asked[:MAX_WAITING_REQUESTS]} == {500} and not call.waiting and len(call.replies) <= 16


def test_realms_of_a_challenge() -> None:
    head = 'SIP/2.0 401 U\r\nWWW-Authenticate: Digest realm="a b", nonce="1"\r\nProxy-Authenticate: Digest nonce="2", REALM=c, x\r\n\r\n'
    assert challenged_realms(parse(head)) == ["a b", "c"]
    assert challenged_realms(parse("SIP/2.0 401 U\r\nWWW-Authenticate: Basic\r\n\r\n")) == []


@given(st.text(max_size=200), st.sampled_from(["", "INFO ", "BYE ", "OPTIONS ", "INVITE ", "\r\n"]))
def test_any_text_is_answered_or_passed_on(rest: str, start: str) -> None:
    done, request = ask(desk()[0], start + rest)
    assert done is bool(request.replies) and len(request.replies) <= 1


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_offers_of_a_call_have_a_pace(method: str) -> None:
    judge = Judge()
    requests, _, call = desk(judge=judge)
    for cseq in range(1, 6):
        assert not requests.arrived(NotingRequest(text(method, "ours", cseq)))
    refused = NotingRequest(text(method, "ours", 6))
    assert requests.arrived(refused) and refused.replies == [(500, "Too Many Offers", [("Retry-After", "4")])]
    assert call.remote_cseq == 5
    assert not requests.arrived(NotingRequest(text("BYE", "ours", 7)))  # which is always heard
    judge.now_ns = 1_000_000_000
    assert not requests.arrived(NotingRequest(text(method, "ours", 8)))


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "MESSAGE", "REGISTER", "NOTIFY"])
def test_who_asks_for_too_much_is_kept_out(method: str) -> None:
    judge = Judge()
    requests, events, _ = desk(taken=("MESSAGE",), judge=judge)
    for cseq, (verdict, codes) in enumerate([(SourceVerdict.REFUSE, [503]), (SourceVerdict.DROP, [])], 1):
        judge.verdict = verdict
        request = NotingRequest(text(method))
        assert requests.arrived(request) and [reply[0] for reply in request.replies] == codes
        assert not requests.arrived(NotingRequest(text("BYE", "ours", cseq)))  # in a call nobody asks
    assert judge.asked == [("192.0.2.1", method == "INVITE")] * 2 and not events


@pytest.mark.parametrize("tag", ["", "ours"])
def test_an_extension_that_nobody_has_is_refused(tag: str) -> None:
    requests, events, call = desk(taken=("MESSAGE",))
    taken, request = ask(requests, text("MESSAGE", tag, more="Require: timer, a-b\r\nRequire: zz\r\n"))
    assert taken and request.replies == [(420, "Bad Extension", [("Unsupported", "a-b, zz")])] and events == []
    assert call.waiting == {} and not request.kept
    taken, request = ask(requests, text("MESSAGE", tag, 2, more="Require: Timer\r\n"))
    assert taken and request.replies == [] and len(events) == 1
    taken, request = ask(requests, text("BYE", "ours", 3, more="Require: zz\r\n"))
    assert not taken, "nobody is kept in a call by an extension"


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "BYE", "NEWMETHOD"])
def test_a_cseq_that_names_another_method(method: str) -> None:
    requests, events, _ = desk()
    done, request = ask(requests, text(method, "ours").replace(f"1 {method}", "1 MESSAGE"))
    assert done and request.replies == [(400, "CSeq Names Another Method")] and events == []


def test_the_refusal_of_what_cannot_be_read_goes_out_where_requests_are_admitted() -> None:
    judge = Judge()
    requests, _, _ = desk(judge=judge)
    refusal = Mended(b"SIP/2.0 400 Bad Contact", 400, "Bad Contact")
    for verdict, sent in ((SourceVerdict.PASS, True), (SourceVerdict.REFUSE, True), (SourceVerdict.DROP, False)):
        judge.verdict = verdict
        assert requests.unreadable(refusal, ORIGIN) is sent
    assert judge.asked == [("192.0.2.1", False)] * 3
    assert not requests.unreadable(Mended(b"", 400, "Bad From"), ORIGIN) and len(judge.asked) == 3


def test_many_messages_that_cannot_be_read_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    requests, _, _ = desk()
    with caplog.at_level("INFO"):
        for _ in range(40):
            requests.unreadable(Mended(text("INVITE").encode(), left_out=("Date",)), ORIGIN)
        requests.second_passed([])
        requests.second_passed([])
    assert len(caplog.records) == 6 and caplog.records[-1].getMessage() == "35 more messages could not be read"
