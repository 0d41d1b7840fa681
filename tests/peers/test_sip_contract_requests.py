# SPDX-License-Identifier: GPL-2.0-or-later
"""The contract of the SIP process, real and fake (see test_sip_contract.py): requests inside a call, ours and the peer's."""

from __future__ import annotations

import asyncio

import pytest

from di.sip.records import (
    Answer,
    CallConfirmed,
    CallEnded,
    CallIdentified,
    CallOffered,
    CallProgressed,
    Dial,
    MediaNegotiated,
    Reinvite,
    ReplyReceived,
    RequestReceived,
    SendReply,
    SendRequest,
)
from tests.support.sip_sides import Side, answered, kinds


async def test_hub_offers_again(side: Side) -> None:
    call = side.peer.invite()
    await side.wait_for(CallOffered)
    await answered(side, call)
    flows = {"sendonly": (True, False), "recvonly": (False, True), "inactive": (False, False), "sendrecv": (True, True)}
    for token, (direction, flow) in enumerate(flows.items(), 1):
        side.send(Reinvite(1, direction, token=token))
        assert await call.take_offer(direction=REVERSED[direction]) == direction
        media = (await side.wait_for(MediaNegotiated, token + 1))[-1]
        assert (media.send, media.receive) == flow
        assert [(r.token, r.code) for r in await side.wait_for(ReplyReceived, token)][-1] == (token, 200)
    assert kinds(side)[-2:] == ["MediaNegotiated", "ReplyReceived"]


REVERSED = {"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive", "sendrecv": "sendrecv"}


async def test_hub_asks_for_an_offer(side: Side) -> None:
    call = side.peer.invite()
    await side.wait_for(CallOffered)
    await answered(side, call)
    side.send(Reinvite(1, token=7, offer=False))
    assert await call.take_offer() == ""
    await side.wait_for(MediaNegotiated, 2)
    assert [(r.token, r.code) for r in await side.wait_for(ReplyReceived)] == [(7, 200)]


async def test_codecs_of_a_further_offer(side: Side) -> None:
    call = side.peer.invite()
    await side.wait_for(CallOffered)
    await answered(side, call)
    side.send(Reinvite(1, token=1, payloads=("PCMU/8000",)))
    await call.take_offer()
    assert [m.codec for m in await side.wait_for(MediaNegotiated, 2)] == ["PCMU", "PCMU"]


async def test_refused_offer_leaves_the_call_as_it_was(side: Side) -> None:
    call = side.peer.invite()
    await side.wait_for(CallOffered)
    await answered(side, call)
    side.send(Reinvite(1, "sendonly", token=3))
    await call.take_offer(488)
    assert [(r.token, r.code) for r in await side.wait_for(ReplyReceived)] == [(3, 488)]
    assert len(await side.wait_for(MediaNegotiated)) == 1
    assert await call.bye() == 200


async def test_offer_that_crosses_another_is_made_again(side: Side) -> None:
    call = side.peer.invite()
    await side.wait_for(CallOffered)
    await answered(side, call)
    side.send(Reinvite(1, "sendonly", token=4))
    assert await call.take_offer(491) == "sendonly"
    assert await call.take_offer(direction="recvonly") == "sendonly"
    assert [(r.token, r.code) for r in await side.wait_for(ReplyReceived)] == [(4, 200)]


async def test_second_offer_waits_for_the_first(side: Side) -> None:
    call = side.peer.invite()
    await side.wait_for(CallOffered)
    await answered(side, call)
    side.send(Reinvite(1, "sendonly", token=1))
    side.send(Reinvite(1, "sendrecv", token=2))
    assert await call.take_offer(direction="recvonly") == "sendonly"
    assert await call.take_offer() == "sendrecv"
    assert [(r.token, r.code) for r in await side.wait_for(ReplyReceived, 2)] == [(1, 200), (2, 200)]
    assert [(m.send, m.receive) for m in await side.wait_for(MediaNegotiated, 3)] == [(True, True), (True, False), (True, True)]


async def test_offer_before_the_call_is_up_is_refused(side: Side) -> None:
    call = side.peer.invite()
    await side.wait_for(CallOffered)
    side.send(Reinvite(1, token=5))
    assert [(r.token, r.code) for r in await side.wait_for(ReplyReceived)] == [(5, 500)]
    await answered(side, call)


async def test_end_of_the_call_answers_what_is_outstanding(side: Side) -> None:
    call = side.peer.invite()
    await side.wait_for(CallOffered)
    await answered(side, call)
    side.send(Reinvite(1, token=1))
    side.send(SendRequest(1, "INFO", 2))
    await call.arrival("INFO")
    assert await call.bye() == 200
    await side.wait_for(CallEnded)
    replies = [(r.token, r.code) for r in await side.wait_for(ReplyReceived, 2)]
    assert sorted(replies) == [(1, 481), (2, 481)] and kinds(side)[-1] == "CallEnded"


async def test_offers_of_the_peer_are_told(side: Side) -> None:
    call = side.peer.invite()
    await side.wait_for(CallOffered)
    await answered(side, call)
    assert await call.reoffer("sendonly", "X-Why: hold\r\n") == 200
    assert await call.update("sendrecv") == 200
    assert await call.update() == 200
    await side.wait_for(RequestReceived, 3)
    await side.wait_for(MediaNegotiated, 3)
    told = [event for event in side.events if isinstance(event, (RequestReceived, MediaNegotiated))][1:]
    assert [getattr(event, "method", "media") for event in told] == ["INVITE", "media", "UPDATE", "media", "UPDATE"]
    requests = [event for event in told if isinstance(event, RequestReceived)]
    assert not any(request.reply_wanted for request in requests)
    assert ("X-Why", "hold") in requests[0].headers and requests[0].content_type == requests[1].content_type == "application/sdp"
    assert b"a=sendonly" in requests[0].body and b"a=sendrecv" in requests[1].body and requests[2].body == b""


@pytest.mark.parametrize("method", ["OPTIONS", "MESSAGE", "REFER", "NOTIFY", "SUBSCRIBE", "PUBLISH", "INFO", "FROBNICATE"])
async def test_hub_answers_requests_inside(side: Side, method: str) -> None:
    call = side.peer.invite()
    await side.wait_for(CallOffered)
    await answered(side, call)
    waiting = asyncio.ensure_future(call.exchange(method, "text/plain", "ask", "X-Ask: 1\r\nRefer-To: <sip:x@127.0.0.1>\r\n"))
    request = (await side.wait_for(RequestReceived))[0]
    assert (request.method, request.reply_wanted, request.content_type, request.body) == (method, True, "text/plain", b"ask")
    assert ("X-Ask", "1") in request.headers and not waiting.done()
    side.send(SendReply(1, request.token, 202, "Noted", ("X-Answer: 2",), "text/x-note", b"answer"))
    reply = await waiting
    assert (reply.code, reply.header("X-Answer"), reply.content_type, reply.body) == (202, "2", "text/x-note", b"answer")
    assert "CallEnded" not in kinds(side)


async def test_branches_of_a_proxy_both_ring(side: Side) -> None:
    target = f"sip:them@127.0.0.1:{side.port}"
    side.send(Dial(2, "<sip:us@127.0.0.1>", f"<{target}>", target, (), "127.0.0.1", 30000))
    call = await side.peer.take_invite()
    call.ring("one")
    await side.wait_for(CallProgressed)
    call.ring("two")
    await side.wait_for(CallProgressed, 2)
    await call.accept("one")
    await side.wait_for(CallConfirmed)
    assert (await side.wait_for(CallIdentified))[-1].remote_tag == "one"


async def test_invite_that_replaces_a_call_is_offered_like_any(side: Side) -> None:
    call = side.peer.invite()
    await side.wait_for(CallOffered)
    await answered(side, call)
    known = (await side.wait_for(CallIdentified))[-1]
    replaces = f"{known.call_id};to-tag={known.local_tag};from-tag={known.remote_tag}"
    second = side.peer.invite(headers=f"Replaces: {replaces}\r\nReferred-By: <sip:boss@127.0.0.1>\r\n")
    offer = (await side.wait_for(CallOffered, 2))[1]
    assert ("Replaces", replaces) in offer.headers and ("Referred-By", "<sip:boss@127.0.0.1>") in offer.headers
    side.send(Answer(3, 486, "Busy Here"))
    assert await second.final() == 486
    assert [e.call for e in await side.wait_for(CallEnded)] == [3]
    assert await call.bye() == 200
