# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests outside of dialogs, with a stack that only notes what it is given."""

from __future__ import annotations

from typing import Any

from di.sip.outside_records import OutsideReceived, OutsideReplied, ReplyOutside, SendOutside, TakeOutside
from interfaces.sip.abilities import Abilities
from interfaces.sip.exchange import CannotSend, Done, OutRequest
from interfaces.sip.message import parse
from interfaces.sip.outside import MAX_WAITING, OutsideTransactions
from tests.unit.interfaces.sip.test_requests import NotingRequest


class Stack:
    def __init__(self, broken: bool = False) -> None:
        self.events: list[Any] = []
        self.sent: list[tuple[OutRequest, Done]] = []
        self.broken = broken
        self.outside = OutsideTransactions(self.events.append, self.send)

    def send(self, request: OutRequest, done: Done) -> None:
        if self.broken:
            raise CannotSend("no way")
        self.sent.append((request, done))

    def ask(self, number: int = 1, method: str = "MESSAGE", branch: str = "x") -> tuple[bool, NotingRequest]:
        text = (
            f"{method} sip:a@h SIP/2.0\r\nVia: {branch}\r\nTo: <sip:a@h>\r\nFrom: <sip:b@h>;tag=t\r\n"
            f"Call-ID: c\r\nCSeq: {number} {method}\r\n\r\nbody"
        )
        request = NotingRequest(text)
        return self.outside.arrived(method, parse(text), request), request  # type: ignore[arg-type]


def wish(**more: Any) -> SendOutside:
    return SendOutside(9, "MESSAGE", "sip:a@h", "<sip:b@h>", "<sip:a@h>", **more)


def test_only_what_is_taken() -> None:
    stack = Stack()
    assert not stack.ask()[0]
    stack.outside.take(TakeOutside(("MESSAGE", "INVITE", "BYE")))
    assert stack.ask()[0] and not stack.ask(method="INVITE")[0] and not stack.ask(method="BYE")[0]
    assert [(e.method, e.body) for e in stack.events] == [("MESSAGE", b"body")]


def test_unanswered_gets_480_in_time() -> None:
    stack = Stack()
    stack.outside.take(TakeOutside(("MESSAGE",)))
    _, request = stack.ask()
    for _ in range(29):
        stack.outside.second_passed()
    assert request.replies == []
    stack.outside.second_passed()
    assert [reply[0] for reply in request.replies] == [480] and request.released
    stack.outside.reply(ReplyOutside(1, 200))
    assert len(request.replies) == 1 and stack.ask()[1].replies[0][0] == 480


def test_strangers_do_not_fill_our_memory() -> None:
    stack = Stack()
    stack.outside.take(TakeOutside(("MESSAGE",)))
    asked = [stack.ask(number)[1] for number in range(MAX_WAITING + 2)]
    assert [request.replies[0][0] for request in asked[MAX_WAITING:]] == [503, 503]
    assert len([e for e in stack.events if isinstance(e, OutsideReceived)]) == MAX_WAITING


def test_same_number_in_another_branch_is_another_request() -> None:
    stack = Stack()
    stack.outside.take(TakeOutside(("MESSAGE",)))
    stack.ask(branch="x"), stack.ask(branch="y"), stack.ask(branch="x")
    assert len(stack.events) == 2


def test_what_cannot_be_sent_is_told() -> None:
    stack = Stack(broken=True)
    stack.outside.send(wish())
    assert stack.events == [OutsideReplied(9, 500, "no way")] and not stack.outside.busy()


def test_no_reply_is_told_as_it_is() -> None:
    for code in (408, 503):
        stack = Stack()
        stack.outside.send(wish())
        assert stack.outside.busy()
        stack.sent[0][1](code, "Gone", None, "")
        assert stack.events == [OutsideReplied(9, code, "Gone", cseq=1)] and not stack.outside.busy()


def test_stale_nonce_is_answered_twice_more() -> None:
    stack = Stack()
    stack.outside.send(wish(username="u", password="p", cseq=5))
    for stale, sent in ((False, 2), (True, 3), (True, 4), (True, 4)):
        challenge = f'SIP/2.0 401 No\r\nWWW-Authenticate: Digest realm="r", nonce="n", stale={str(stale).lower()}\r\n\r\n'
        stack.sent[-1][1](401, "No", parse(challenge), "192.0.2.1")
        assert len(stack.sent) == sent
    assert [request.cseq for request, _ in stack.sent] == [5, 6, 7, 8]
    assert [sum(name == "Authorization" for name, _ in request.headers) for request, _ in stack.sent] == [0, 1, 1, 1]
    assert [e.code for e in stack.events] == [401]


def test_abilities_say_what_is_there() -> None:
    assert "PRACK" in Abilities(True).allow and "PRACK" not in Abilities(False).allow
    assert "100rel" in Abilities(True).supported and "100rel" not in Abilities(False).supported
    assert [name for name, _ in Abilities(True, "us").headers({"accept"})] == ["Allow", "Supported", "Server"]
