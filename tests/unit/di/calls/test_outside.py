# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests outside dialogs, both ways."""

from __future__ import annotations

import asyncio

import pytest

from di.calls.outside import OutsideReply, OutsideRequest
from di.sip import outside_records
from di.sip.credentials import Credential
from tests.support.playbook import Playbook


@pytest.fixture
def book() -> Playbook:
    return Playbook()


def received(token: int, method: str = "MESSAGE") -> outside_records.OutsideReceived:
    return outside_records.OutsideReceived(
        token, method, "sip:us@here", "<sip:a@b>;tag=1", "<sip:us@here>", "id", "192.0.2.1", 5060, (), "text/plain", b"hi"
    )


def replies(book: Playbook) -> list[tuple[int, int]]:
    return [(one.token, one.code) for one in book.sip.commands if isinstance(one, outside_records.ReplyOutside)]


def test_a_method_is_taken_answered_and_given_back(book: Playbook) -> None:
    outside = book.sessions.outside
    seen: list[bytes] = []

    def take(request: outside_records.OutsideReceived) -> OutsideReply:
        seen.append(request.body)
        return OutsideReply(202, "Accepted", ("X-A: 1",))

    give_back = outside.serve("message", take)
    assert book.sip.commands == [outside_records.TakeOutside(("MESSAGE",))]
    book.sessions.on_sip_event(received(5))
    assert seen == [b"hi"] and replies(book) == [(5, 202)]
    with pytest.raises(ValueError, match="MESSAGE are taken"):
        outside.serve("MESSAGE", take)
    give_back()
    book.sessions.on_sip_event(received(6))
    assert replies(book)[-1] == (6, 405)
    assert outside_records.TakeOutside(()) in book.sip.commands


def test_the_sip_process_is_told_again_when_it_has_come_up(book: Playbook) -> None:
    book.sessions.outside.serve("OPTIONS", lambda request: OutsideReply(200))
    book.sip.commands.clear()
    book.sessions.sip_lost("gone")
    book.sessions.sip_up(book.sip)
    assert book.sip.commands == [outside_records.TakeOutside(("OPTIONS",))]


async def test_a_handler_may_wait_and_may_fail(book: Playbook, caplog: pytest.LogCaptureFixture) -> None:
    gate: asyncio.Future[OutsideReply] = asyncio.get_running_loop().create_future()
    book.sessions.outside.serve("MESSAGE", lambda request: gate)

    def fail(request: outside_records.OutsideReceived) -> OutsideReply:
        raise LookupError("broken")

    book.sessions.outside.serve("NOTIFY", fail)
    book.sessions.on_sip_event(received(1))
    book.sessions.on_sip_event(received(2, "NOTIFY"))
    assert replies(book) == [(2, 500)]
    assert "NOTIFY from 192.0.2.1:5060: its handler failed" in caplog.text
    gate.set_result(OutsideReply(200))
    await book.waiting.pop()
    assert replies(book) == [(2, 500), (1, 200)]


def test_a_request_is_sent_and_its_reply_comes_back_once(book: Playbook) -> None:
    got: list[tuple[int, str]] = []
    request = OutsideRequest(
        "message", "sip:b@there", body=b"hi", content_type="text/plain", credential=Credential("r", "u", "p")
    )
    assert book.sessions.outside.send(request, lambda reply: got.append((reply.code, reply.reason))) == ""
    (sent,) = book.sip.commands
    assert isinstance(sent, outside_records.SendOutside)
    assert (sent.method, sent.to_uri, sent.username, sent.password, sent.realm) == ("MESSAGE", "<sip:b@there>", "u", "p", "r")
    for _ in range(2):
        book.sessions.on_sip_event(outside_records.OutsideReplied(sent.token, 200, "OK"))
    assert got == [(200, "OK")]


def test_when_the_sip_process_goes_every_request_is_answered(book: Playbook) -> None:
    got: list[int] = []
    book.sessions.outside.send(OutsideRequest("OPTIONS", "sip:b@there"), lambda reply: got.append(reply.code))
    book.sessions.sip_lost("gone")
    assert got == [503]
    assert "not up" in book.sessions.outside.send(OutsideRequest("OPTIONS", "sip:b@there"), lambda reply: None)


@pytest.mark.parametrize(
    "request_",
    [
        OutsideRequest("OPTIONS", "b@there"),
        OutsideRequest("OPTIONS", "sip:b@there", from_header="<sip:a@b>\r\nX: 1"),
        OutsideRequest("OPTIONS", "sip:b@there", to_header="nobody"),
        OutsideRequest("OPTIONS", "sip:b@there", call_id="a\nb"),
    ],
)
def test_what_cannot_be_sent_is_said(book: Playbook, request_: OutsideRequest) -> None:
    assert book.sessions.outside.send(request_, lambda reply: None)
    assert book.sip.commands == []
