# SPDX-License-Identifier: GPL-2.0-or-later
"""The contract of the SIP process, real and fake (see test_sip_contract.py): requests outside dialogs."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from di.sip.outside_records import OutsideReceived, OutsideReplied, ReplyOutside, SendOutside, TakeOutside
from di.sip.records import SetOptionsReply
from tests.support.sip_sides import Side, kinds


async def outside(side: Side, **more: Any) -> Any:
    target = f"sip:them@127.0.0.1:{side.port}"
    message = SendOutside(
        5, "MESSAGE", target, "<sip:us@127.0.0.1>", f"<{target}>", ("X-Ask: 1",), "text/plain", b"hello", **more
    )
    side.send(message)
    request = await side.peer.take_outside()
    assert (request.method, request.body) == ("MESSAGE", b"hello")
    return request


async def test_request_outside_sent_and_answered(side: Side) -> None:
    request = await outside(side)
    request.answer(202, "X-Answer: 2\r\nContent-Type: text/x-note\r\n", "noted")
    (reply,) = await side.wait_for(OutsideReplied)
    assert (reply.token, reply.code, reply.reason, reply.content_type, reply.body) == (5, 202, "Reply", "text/x-note", b"noted")
    assert ("X-Answer", "2") in reply.headers


async def test_request_outside_logs_in_once(side: Side) -> None:
    request = await outside(side, username="us", password="secret")
    request.answer(401)
    again = await side.peer.take_outside()
    assert again.authorized and not request.authorized and again.body == b"hello"
    again.answer(401)
    assert [(r.token, r.code) for r in await side.wait_for(OutsideReplied)] == [(5, 401)]


async def test_request_outside_without_a_password_is_told_of_the_challenge(side: Side) -> None:
    (await outside(side)).answer(407)
    assert [(r.token, r.code) for r in await side.wait_for(OutsideReplied)] == [(5, 407)]


async def test_request_outside_to_no_address(side: Side) -> None:
    side.send(SendOutside(6, "OPTIONS", "nowhere", "<sip:us@127.0.0.1>", "<sip:them@127.0.0.1>"))
    assert [(r.token, r.code) for r in await side.wait_for(OutsideReplied)] == [(6, 500)]


_NUMBERS = itertools.count()


async def carried_out(side: Side, *commands: object) -> int:
    """Give commands and wait until they have been carried out: the answer to OPTIONS says so, another one each time. Returns its code."""
    code = 280 + next(_NUMBERS) % 20
    for command in (*commands, SetOptionsReply(code, "Here")):
        side.send(command)
    while (await side.peer.exchange("OPTIONS")).code != code:
        pass
    return code


async def test_hub_answers_requests_outside(side: Side) -> None:
    await carried_out(side, TakeOutside(("MESSAGE", "REGISTER")))
    waiting = asyncio.ensure_future(side.peer.exchange("MESSAGE", "bob", body="hello", headers="X-Ask: 1\r\n"))
    (request,) = await side.wait_for(OutsideReceived)
    assert (request.method, request.content_type, request.body) == ("MESSAGE", "text/plain", b"hello")
    assert request.request_uri.startswith("sip:bob@") and ("X-Ask", "1") in request.headers and not waiting.done()
    assert request.source_ip == "127.0.0.1" and request.source_port and request.call_id and "tag=" in request.from_header
    side.send(ReplyOutside(request.token, 202, "Noted", ("X-Answer: 2",), "text/x-note", b"answer"))
    reply = await waiting
    assert (reply.code, reply.header("X-Answer"), reply.content_type, reply.body) == (202, "2", "text/x-note", b"answer")
    side.send(ReplyOutside(request.token, 500))  # late: nothing happens


async def test_methods_that_the_hub_does_not_take(side: Side) -> None:
    here = await carried_out(side, TakeOutside(("MESSAGE",)))
    codes = [(await side.peer.exchange(method)).code for method in ("OPTIONS", "REGISTER", "REFER", "NOTIFY")]
    assert codes == [here, 501, 488, 481]
    await carried_out(side, TakeOutside(()))
    assert (await side.peer.exchange("MESSAGE")).code == 501 and "OutsideReceived" not in kinds(side)
