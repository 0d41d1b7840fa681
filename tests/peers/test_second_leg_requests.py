# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests inside two connected calls: what one phone asks, the other phone gets, and its answer comes back."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.switchboard import Switchboard

pytestmark = pytest.mark.peers
METHODS = ("MESSAGE", "OPTIONS", "NOTIFY", "INFO", "PUBLISH", "REFER", "FROBNICATE")
_MORE = {"NOTIFY": "Event: talk\r\nSubscription-State: active\r\n", "REFER": "Refer-To: <sip:carl@127.0.0.1>\r\n"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("from_callee", [False, True])
async def test_a_request_reaches_the_other_phone_and_its_reply_comes_back(
    board: Switchboard, method: str, from_callee: bool
) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben)
    asker, other = (two, one) if from_callee else (one, two)
    headers = f"X-Mine: seven\r\n{_MORE.get(method, '')}"
    asker.send_request(method, "how are you", "text/x-question", headers=headers)
    asked = await other.next(method)
    assert (asked.body, asked.content_type, asked.header("X-Mine")) == (b"how are you", "text/x-question", "seven")
    assert asked.header("Call-ID") == other.call_id != asker.call_id
    other.reply(asked, 288, "very well", "X-Yours: eight\r\n", "text/x-answer")
    reply = await asker.next(*range(200, 700))
    assert (reply.code, reply.body, reply.content_type, reply.header("X-Yours")) == (288, b"very well", "text/x-answer", "eight")
    await board.hang_up(one, two)


async def test_a_key_by_info_reaches_the_other_phone(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben)
    one.send_request("INFO", "Signal=5\r\nDuration=160\r\n", "application/dtmf-relay")
    asked = await two.next("INFO")
    assert asked.body == b"Signal=5\r\nDuration=160\r\n"
    two.reply(asked, 200)
    assert await one.final() == 200
    await board.hang_up(two, one)


async def test_what_the_application_takes_stays_here(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben, desk="take=MESSAGE")
    reply = await one.exchange("MESSAGE", body="for you")
    assert (reply.code, reply.body, reply.header("X-Taken")) == (299, b"by the desk", "here")
    one.send_request("OPTIONS")
    two.reply(await two.next("OPTIONS"), 200)
    assert await one.final() == 200
    assert [message.method for message in two.seen if message.method == "MESSAGE"] == []
    assert (await board.logged(one, "requests")).split(",")[-2:] == ["MESSAGE", "OPTIONS"]
    await board.hang_up(one, two)


async def test_without_relaying_requests_are_answered_here(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben, desk="keep")
    assert await one.request("MESSAGE", body="hello") == 501
    assert await one.request("OPTIONS") == 200
    assert not {"MESSAGE", "OPTIONS"} & {message.method for message in two.seen}
    await board.hang_up(one, two)


async def test_the_other_side_goes_while_a_request_waits(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben, desk="stay")
    one.send_request("MESSAGE", "are you there", "text/plain")
    await two.next("MESSAGE")
    assert await two.bye() == 200
    assert await one.final() == 481
    await board.logged(one, "other_bye")
    await board.hang_up(one)


async def test_a_side_that_never_answers(board: Switchboard) -> None:
    """Who asks gets a final answer while it still waits (32 s); the late one of the other side goes no further, and the call goes on."""
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben)
    one.send_request("MESSAGE", "are you there", "text/plain")
    asked = await two.next("MESSAGE")
    assert await one.final() == 504, "408 would be the transaction's own end, too late for who asked"
    two.reply(asked, 200)
    await board.hear({anna: {ben}, ben: {anna}})
    assert one.messages.empty()
    two.send_request("OPTIONS")
    one.reply(await one.next("OPTIONS"), 200)
    assert await two.final() == 200
    assert "MESSAGE gets no answer of the other side" in board.server.log
    await board.hang_up(one, two)


async def test_update_without_an_offer_is_passed_on(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben)
    assert await one.update(headers="P-Asserted-Identity: <sip:new@127.0.0.1>\r\n") == 200
    update = await two.next("UPDATE")
    assert update.header("P-Asserted-Identity") == "<sip:new@127.0.0.1>"
    two.reply(update, 200)
    await board.hang_up(one, two)


async def test_requests_cross_each_other(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben)
    one.send_request("MESSAGE", "from one", "text/plain")
    two.send_request("MESSAGE", "from two", "text/plain")
    to_one, to_two = await asyncio.gather(one.next("MESSAGE"), two.next("MESSAGE"))
    assert (to_one.body, to_two.body) == (b"from two", b"from one")
    one.reply(to_one, 202)
    two.reply(to_two, 204)
    assert (await one.final(), await two.final()) == (204, 202)
    await board.hang_up(one, two)


async def test_headers_of_one_dialog_do_not_reach_the_other(board: Switchboard) -> None:
    anna, ben = await board.phone(), await board.phone()
    one, two = await board.pair(anna, ben)
    one.send_request(
        "MESSAGE", "hi", "text/plain", headers="Supported: x-none\r\nUser-Agent: anna\r\nDate: Sat, 13 Nov 2010 23:29:00 GMT\r\n"
    )
    asked = await two.next("MESSAGE")
    assert asked.header("User-Agent") != "anna" and "x-none" not in asked.header("Supported") and not asked.header("Date")
    assert len([name for name, _ in asked.headers if name == "Via"]) == 1
    two.reply(asked, 200)
    assert await one.final() == 200
    await board.hang_up(one, two)
