# SPDX-License-Identifier: GPL-2.0-or-later
"""One suite for the real SIP process and for the fake that the hub's tests use: the same steps give the same events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Protocol

import pytest
import pytest_asyncio

from di.sip.records import (
    Answer,
    CallConfirmed,
    CallEnded,
    CallIdentified,
    CallOffered,
    CallProgressed,
    Dial,
    Hangup,
    Listen,
    Listening,
    MediaNegotiated,
    OutsideReceived,
    OutsideReplied,
    RefreshSubscription,
    Reinvite,
    ReplyOutside,
    ReplyReceived,
    RequestReceived,
    SendOutside,
    SendReply,
    SendRequest,
    SessionTimedOut,
    SetOptionsReply,
    Stop,
    Subscribe,
    SubscriptionChanged,
    TakeOutside,
    Unsubscribe,
)
from tests.support.fake_sip import FakeSip
from tests.support.sip_peer import UdpPeer, description
from tests.support.sip_process import FAST_CLOCK, SipProcess


class Side(Protocol):
    """What the tests need of either."""

    peer: Any
    events: list[object]
    port: int

    def send(self, command: object) -> None: ...
    async def wait_for(self, kind: type[Any], count: int = 1) -> list[Any]: ...


class FakeSide:
    def __init__(self) -> None:
        self.events: list[object] = []
        self.sip = FakeSip(self.events.append)
        self.sip.send(Listen("127.0.0.1", 5060))
        self.peer = self.sip.peer
        self.port = 5060

    def send(self, command: object) -> None:
        self.sip.send(command)

    async def wait_for(self, kind: type[Any], count: int = 1) -> list[Any]:
        for _ in range(100):  # the fake is synchronous but for what the test itself started
            if len(found := [event for event in self.events if isinstance(event, kind)]) >= count:
                return found
            await asyncio.sleep(0)
        raise AssertionError(f"{count} times {kind.__name__} did not come: {self.events}")


class RealSide:
    def __init__(self, process: SipProcess, peer: UdpPeer) -> None:
        self.process, self.peer = process, peer
        self.events = process.events
        self.port = peer.port

    def send(self, command: object) -> None:
        self.process.send(command)

    async def wait_for(self, kind: type[Any], count: int = 1) -> list[Any]:
        return await self.process.wait_for(kind, count)


@pytest_asyncio.fixture(params=["fake", "real"])
async def sip(request: pytest.FixtureRequest) -> AsyncIterator[Side]:
    if request.param == "fake":
        yield FakeSide()
        return
    process = await SipProcess.start(program=FAST_CLOCK if request.node.get_closest_marker("fast_clock") else "")
    process.on_offer = lambda offer: None
    process.reply_code = 0
    peer = await UdpPeer.open(process.port)
    yield RealSide(process, peer)
    peer.close()
    assert await process.stop(0) == 0 and "Traceback" not in process.log, process.log


def kinds(sip: Side) -> list[str]:
    return [type(event).__name__ for event in sip.events]


async def answered(sip: Side, call: Any, number: int = 1) -> None:
    sip.send(Answer(number, 200, "OK", (), "127.0.0.1", 30000))
    assert await call.final() == 200
    call.ack()
    await sip.wait_for(CallConfirmed)


async def test_listening(sip: Side) -> None:
    listening = (await sip.wait_for(Listening))[0]
    assert [protocol for protocol, _, _ in listening.transports] == ["udp", "tcp"]


async def test_answered_and_hung_up_by_the_caller(sip: Side) -> None:
    call = sip.peer.invite("room1")
    offer = (await sip.wait_for(CallOffered))[0]
    assert offer.call == 1 and offer.request_uri.startswith("sip:room1@") and offer.has_offer
    assert (offer.remote_media_ip, offer.remote_media_port) == ("127.0.0.1", 40000) and offer.remote_tag
    await answered(sip, call)
    assert await call.bye() == 200
    ended = (await sip.wait_for(CallEnded))[0]
    assert (ended.call, ended.code, ended.by) == (1, 200, "remote")
    assert kinds(sip) == ["Listening", "CallOffered", "CallIdentified", "MediaNegotiated", "CallConfirmed", "CallEnded"]


async def test_hung_up_by_the_hub(sip: Side) -> None:
    call = sip.peer.invite()
    await sip.wait_for(CallOffered)
    await answered(sip, call)
    sip.send(Hangup(1))
    await call.taken_off()
    assert [(e.code, e.by) for e in await sip.wait_for(CallEnded)] == [(200, "local")]


@pytest.mark.parametrize("hang_up", [False, True])
async def test_refused(sip: Side, hang_up: bool) -> None:
    call = sip.peer.invite()
    await sip.wait_for(CallOffered)
    sip.send(Hangup(1, 404, "Not Found") if hang_up else Answer(1, 404, "Not Found"))
    assert await call.final() == 404
    assert [(e.code, e.reason, e.by) for e in await sip.wait_for(CallEnded)] == [(404, "Not Found", "local")]
    assert "CallConfirmed" not in kinds(sip) and "MediaNegotiated" not in kinds(sip)


async def test_ringing_without_media_then_cancelled(sip: Side) -> None:
    call = sip.peer.invite()
    await sip.wait_for(CallOffered)
    sip.send(Answer(1, 180, "Ringing"))
    await call.next(180)
    call.cancel()
    await call.next(487)
    assert [(e.code, e.by) for e in await sip.wait_for(CallEnded)] == [(487, "cancel")]
    assert kinds(sip) == ["Listening", "CallOffered", "CallIdentified", "CallEnded"]


async def test_early_media_is_negotiated_once(sip: Side) -> None:
    call = sip.peer.invite()
    await sip.wait_for(CallOffered)
    sip.send(Answer(1, 183, "Session Progress", (), "127.0.0.1", 30000))
    await call.next(183)
    await answered(sip, call)
    assert kinds(sip) == ["Listening", "CallOffered", "CallIdentified", "MediaNegotiated", "CallConfirmed"]


async def test_delayed_offer_is_negotiated_by_the_ack(sip: Side) -> None:
    call = sip.peer.invite(offer=False)
    offer = (await sip.wait_for(CallOffered))[0]
    assert not offer.has_offer and offer.remote_media_port == 0
    sip.send(Answer(1, 200, "OK", (), "127.0.0.1", 30000))
    assert await call.final() == 200
    assert "MediaNegotiated" not in kinds(sip)
    call.ack(description(40000))
    media = (await sip.wait_for(MediaNegotiated))[0]
    await sip.wait_for(CallConfirmed)
    assert (media.remote_port, media.codec, media.send, media.receive) == (40000, "PCMU", True, True)
    assert kinds(sip)[-2:] == ["MediaNegotiated", "CallConfirmed"]


@pytest.mark.parametrize(
    ("direction", "ours"), [("sendonly", (False, True)), ("recvonly", (True, False)), ("inactive", (False, False))]
)
async def test_held_by_the_caller(sip: Side, direction: str, ours: tuple[bool, bool]) -> None:
    call = sip.peer.invite()
    await sip.wait_for(CallOffered)
    await answered(sip, call)
    assert await call.reoffer(direction) == 200
    assert await call.reoffer("sendrecv") == 200
    media = await sip.wait_for(MediaNegotiated, 3)
    assert [(m.send, m.receive) for m in media] == [(True, True), ours, (True, True)]


async def test_request_inside_waits_for_the_hub(sip: Side) -> None:
    call = sip.peer.invite()
    await sip.wait_for(CallOffered)
    await answered(sip, call)
    waiting = asyncio.ensure_future(call.request("INFO", "application/dtmf-relay", "Signal=5\r\nDuration=100\r\n"))
    request = (await sip.wait_for(RequestReceived))[0]
    assert (request.method, request.content_type, request.reply_wanted) == ("INFO", "application/dtmf-relay", True)
    assert request.body == b"Signal=5\r\nDuration=100\r\n" and not waiting.done()
    sip.send(SendReply(1, request.token, 415, "Unsupported Media Type"))
    assert await waiting == 415


async def test_dialled_answered_and_hung_up(sip: Side) -> None:
    target = f"sip:them@127.0.0.1:{sip.port}"
    sip.send(Dial(2, "<sip:us@127.0.0.1>", f"<{target}>", target, (), "127.0.0.1", 30000))
    call = await sip.peer.take_invite()
    call.ring()
    assert [p.code for p in await sip.wait_for(CallProgressed)] == [180]
    await call.accept()
    await sip.wait_for(CallConfirmed)
    sip.send(Hangup(2))
    await call.taken_off()
    assert [(e.call, e.code, e.by) for e in await sip.wait_for(CallEnded)] == [(2, 200, "local")]
    progress = ["CallIdentified", "CallIdentified", "CallProgressed"]
    assert kinds(sip)[1:] == [*progress, "MediaNegotiated", "CallConfirmed", "CallEnded"]
    known = sip.events[1]
    assert isinstance(known, CallIdentified) and known.local_tag and not known.remote_tag


async def test_dialled_and_refused(sip: Side) -> None:
    target = f"sip:them@127.0.0.1:{sip.port}"
    sip.send(Dial(2, "<sip:us@127.0.0.1>", f"<{target}>", target, (), "127.0.0.1", 30000))
    await (await sip.peer.take_invite()).refuse(486)
    assert [(e.call, e.code, e.by) for e in await sip.wait_for(CallEnded)] == [(2, 486, "remote")]


async def test_dialled_and_cancelled(sip: Side) -> None:
    target = f"sip:them@127.0.0.1:{sip.port}"
    sip.send(Dial(2, "<sip:us@127.0.0.1>", f"<{target}>", target, (), "127.0.0.1", 30000))
    call = await sip.peer.take_invite()
    call.ring()
    await sip.wait_for(CallProgressed)
    sip.send(Hangup(2, 487, "Changed"))
    await call.cancelled()
    assert [(e.code, e.by) for e in await sip.wait_for(CallEnded)] == [(487, "local")]


async def test_request_sent_and_answered(sip: Side) -> None:
    call = sip.peer.invite()
    await sip.wait_for(CallOffered)
    await answered(sip, call)
    sip.send(SendRequest(1, "MESSAGE", 9, (), "text/plain", b"hello"))
    await call.answer_request("MESSAGE", 202)
    assert [(r.call, r.token, r.code) for r in await sip.wait_for(ReplyReceived)] == [(1, 9, 202)]


async def test_commands_for_calls_that_are_over_do_nothing(sip: Side) -> None:
    call = sip.peer.invite()
    await sip.wait_for(CallOffered)
    sip.send(Answer(1, 603, "Decline"))
    assert await call.final() == 603
    before = len(await sip.wait_for(CallEnded))
    for command in (Answer(1, 200), Hangup(1), Reinvite(1), SendRequest(1, "INFO"), SendReply(1, 5, 200), Hangup(99)):
        sip.send(command)
    again = sip.peer.invite()
    await sip.wait_for(CallOffered, 2)
    sip.send(Answer(3, 486, "Busy Here"))
    assert await again.final() == 486
    assert [e.call for e in await sip.wait_for(CallEnded, before + 1)] == [1, 3]


async def test_stop_ends_every_call(sip: Side) -> None:
    first, second = sip.peer.invite(), sip.peer.invite()
    await sip.wait_for(CallOffered, 2)
    await answered(sip, first)
    sip.send(Stop(0))
    await first.taken_off()
    assert await second.final() == 503
    assert {(e.call, e.by) for e in await sip.wait_for(CallEnded, 2)} == {(1, "local"), (3, "local")}


@pytest.mark.fast_clock
async def test_peer_that_does_not_refresh(sip: Side) -> None:
    """The hub is told once and the call goes on; ending it is the hub's business (RFC 4028 §10)."""
    call = sip.peer.invite(interval_s=90)
    await sip.wait_for(CallOffered)
    await answered(sip, call)
    call.expire()
    assert await sip.wait_for(SessionTimedOut) == [SessionTimedOut(1)]
    assert "CallEnded" not in kinds(sip)
    sip.send(Hangup(1))
    await call.taken_off()
    assert [(e.code, e.by) for e in await sip.wait_for(CallEnded)] == [(200, "local")]


# -------------------------------------------------------------------------------------------------- requests in the dialog
async def test_hub_offers_again(sip: Side) -> None:
    call = sip.peer.invite()
    await sip.wait_for(CallOffered)
    await answered(sip, call)
    flows = {"sendonly": (True, False), "recvonly": (False, True), "inactive": (False, False), "sendrecv": (True, True)}
    for token, (direction, flow) in enumerate(flows.items(), 1):
        sip.send(Reinvite(1, direction, token=token))
        assert await call.take_offer(direction=REVERSED[direction]) == direction
        media = (await sip.wait_for(MediaNegotiated, token + 1))[-1]
        assert (media.send, media.receive) == flow
        assert [(r.token, r.code) for r in await sip.wait_for(ReplyReceived, token)][-1] == (token, 200)
    assert kinds(sip)[-2:] == ["MediaNegotiated", "ReplyReceived"]


REVERSED = {"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive", "sendrecv": "sendrecv"}


async def test_hub_asks_for_an_offer(sip: Side) -> None:
    call = sip.peer.invite()
    await sip.wait_for(CallOffered)
    await answered(sip, call)
    sip.send(Reinvite(1, token=7, offer=False))
    assert await call.take_offer() == ""
    await sip.wait_for(MediaNegotiated, 2)
    assert [(r.token, r.code) for r in await sip.wait_for(ReplyReceived)] == [(7, 200)]


async def test_codecs_of_a_further_offer(sip: Side) -> None:
    call = sip.peer.invite()
    await sip.wait_for(CallOffered)
    await answered(sip, call)
    sip.send(Reinvite(1, token=1, payloads=("PCMU/8000",)))
    await call.take_offer()
    assert [m.codec for m in await sip.wait_for(MediaNegotiated, 2)] == ["PCMU", "PCMU"]


async def test_refused_offer_leaves_the_call_as_it_was(sip: Side) -> None:
    call = sip.peer.invite()
    await sip.wait_for(CallOffered)
    await answered(sip, call)
    sip.send(Reinvite(1, "sendonly", token=3))
    await call.take_offer(488)
    assert [(r.token, r.code) for r in await sip.wait_for(ReplyReceived)] == [(3, 488)]
    assert len(await sip.wait_for(MediaNegotiated)) == 1
    assert await call.bye() == 200


async def test_offer_that_crosses_another_is_made_again(sip: Side) -> None:
    call = sip.peer.invite()
    await sip.wait_for(CallOffered)
    await answered(sip, call)
    sip.send(Reinvite(1, "sendonly", token=4))
    assert await call.take_offer(491) == "sendonly"
    assert await call.take_offer(direction="recvonly") == "sendonly"
    assert [(r.token, r.code) for r in await sip.wait_for(ReplyReceived)] == [(4, 200)]


async def test_second_offer_waits_for_the_first(sip: Side) -> None:
    call = sip.peer.invite()
    await sip.wait_for(CallOffered)
    await answered(sip, call)
    sip.send(Reinvite(1, "sendonly", token=1))
    sip.send(Reinvite(1, "sendrecv", token=2))
    assert await call.take_offer(direction="recvonly") == "sendonly"
    assert await call.take_offer() == "sendrecv"
    assert [(r.token, r.code) for r in await sip.wait_for(ReplyReceived, 2)] == [(1, 200), (2, 200)]
    assert [(m.send, m.receive) for m in await sip.wait_for(MediaNegotiated, 3)] == [(True, True), (True, False), (True, True)]


async def test_offer_before_the_call_is_up_is_refused(sip: Side) -> None:
    call = sip.peer.invite()
    await sip.wait_for(CallOffered)
    sip.send(Reinvite(1, token=5))
    assert [(r.token, r.code) for r in await sip.wait_for(ReplyReceived)] == [(5, 500)]
    await answered(sip, call)


async def test_end_of_the_call_answers_what_is_outstanding(sip: Side) -> None:
    call = sip.peer.invite()
    await sip.wait_for(CallOffered)
    await answered(sip, call)
    sip.send(Reinvite(1, token=1))
    sip.send(SendRequest(1, "INFO", 2))
    await call.arrival("INFO")
    assert await call.bye() == 200
    await sip.wait_for(CallEnded)
    replies = [(r.token, r.code) for r in await sip.wait_for(ReplyReceived, 2)]
    assert sorted(replies) == [(1, 481), (2, 481)] and kinds(sip)[-1] == "CallEnded"


async def test_offers_of_the_peer_are_told(sip: Side) -> None:
    call = sip.peer.invite()
    await sip.wait_for(CallOffered)
    await answered(sip, call)
    assert await call.reoffer("sendonly", "X-Why: hold\r\n") == 200
    assert await call.update("sendrecv") == 200
    assert await call.update() == 200
    await sip.wait_for(RequestReceived, 3)
    await sip.wait_for(MediaNegotiated, 3)
    told = [event for event in sip.events if isinstance(event, (RequestReceived, MediaNegotiated))][1:]
    assert [getattr(event, "method", "media") for event in told] == ["INVITE", "media", "UPDATE", "media", "UPDATE"]
    requests = [event for event in told if isinstance(event, RequestReceived)]
    assert not any(request.reply_wanted for request in requests)
    assert ("X-Why", "hold") in requests[0].headers and requests[0].content_type == requests[1].content_type == "application/sdp"
    assert b"a=sendonly" in requests[0].body and b"a=sendrecv" in requests[1].body and requests[2].body == b""


@pytest.mark.parametrize("method", ["OPTIONS", "MESSAGE", "REFER", "NOTIFY", "SUBSCRIBE", "PUBLISH", "INFO", "FROBNICATE"])
async def test_hub_answers_requests_inside(sip: Side, method: str) -> None:
    call = sip.peer.invite()
    await sip.wait_for(CallOffered)
    await answered(sip, call)
    waiting = asyncio.ensure_future(call.exchange(method, "text/plain", "ask", "X-Ask: 1\r\nRefer-To: <sip:x@127.0.0.1>\r\n"))
    request = (await sip.wait_for(RequestReceived))[0]
    assert (request.method, request.reply_wanted, request.content_type, request.body) == (method, True, "text/plain", b"ask")
    assert ("X-Ask", "1") in request.headers and not waiting.done()
    sip.send(SendReply(1, request.token, 202, "Noted", ("X-Answer: 2",), "text/x-note", b"answer"))
    reply = await waiting
    assert (reply.code, reply.header("X-Answer"), reply.content_type, reply.body) == (202, "2", "text/x-note", b"answer")
    assert "CallEnded" not in kinds(sip)


async def test_branches_of_a_proxy_both_ring(sip: Side) -> None:
    target = f"sip:them@127.0.0.1:{sip.port}"
    sip.send(Dial(2, "<sip:us@127.0.0.1>", f"<{target}>", target, (), "127.0.0.1", 30000))
    call = await sip.peer.take_invite()
    call.ring("one")
    await sip.wait_for(CallProgressed)
    call.ring("two")
    await sip.wait_for(CallProgressed, 2)
    await call.accept("one")
    await sip.wait_for(CallConfirmed)
    assert (await sip.wait_for(CallIdentified))[-1].remote_tag == "one"


async def test_invite_that_replaces_a_call_is_offered_like_any(sip: Side) -> None:
    call = sip.peer.invite()
    await sip.wait_for(CallOffered)
    await answered(sip, call)
    known = (await sip.wait_for(CallIdentified))[-1]
    replaces = f"{known.call_id};to-tag={known.local_tag};from-tag={known.remote_tag}"
    second = sip.peer.invite(headers=f"Replaces: {replaces}\r\nReferred-By: <sip:boss@127.0.0.1>\r\n")
    offer = (await sip.wait_for(CallOffered, 2))[1]
    assert ("Replaces", replaces) in offer.headers and ("Referred-By", "<sip:boss@127.0.0.1>") in offer.headers
    sip.send(Answer(3, 486, "Busy Here"))
    assert await second.final() == 486
    assert [e.call for e in await sip.wait_for(CallEnded)] == [3]
    assert await call.bye() == 200


# --------------------------------------------------------------------------------------------- requests outside of dialogs
async def outside(sip: Side, **more: Any) -> Any:
    target = f"sip:them@127.0.0.1:{sip.port}"
    message = SendOutside(
        5, "MESSAGE", target, "<sip:us@127.0.0.1>", f"<{target}>", ("X-Ask: 1",), "text/plain", b"hello", **more
    )
    sip.send(message)
    request = await sip.peer.take_outside()
    assert (request.method, request.body) == ("MESSAGE", b"hello")
    return request


async def test_request_outside_sent_and_answered(sip: Side) -> None:
    request = await outside(sip)
    request.answer(202, "X-Answer: 2\r\nContent-Type: text/x-note\r\n", "noted")
    (reply,) = await sip.wait_for(OutsideReplied)
    assert (reply.token, reply.code, reply.reason, reply.content_type, reply.body) == (5, 202, "Reply", "text/x-note", b"noted")
    assert ("X-Answer", "2") in reply.headers


async def test_request_outside_logs_in_once(sip: Side) -> None:
    request = await outside(sip, username="us", password="secret")
    request.answer(401)
    again = await sip.peer.take_outside()
    assert again.authorized and not request.authorized and again.body == b"hello"
    again.answer(401)
    assert [(r.token, r.code) for r in await sip.wait_for(OutsideReplied)] == [(5, 401)]


async def test_request_outside_without_a_password_is_told_of_the_challenge(sip: Side) -> None:
    (await outside(sip)).answer(407)
    assert [(r.token, r.code) for r in await sip.wait_for(OutsideReplied)] == [(5, 407)]


async def test_request_outside_to_no_address(sip: Side) -> None:
    sip.send(SendOutside(6, "OPTIONS", "nowhere", "<sip:us@127.0.0.1>", "<sip:them@127.0.0.1>"))
    assert [(r.token, r.code) for r in await sip.wait_for(OutsideReplied)] == [(6, 500)]


async def carried_out(sip: Side, *commands: object) -> None:
    """Give commands and wait until they have been carried out: the answer to OPTIONS says so."""
    for command in (*commands, SetOptionsReply(299, "Here")):
        sip.send(command)
    while (await sip.peer.exchange("OPTIONS")).code != 299:
        pass


async def test_hub_answers_requests_outside(sip: Side) -> None:
    await carried_out(sip, TakeOutside(("MESSAGE", "REGISTER")))
    waiting = asyncio.ensure_future(sip.peer.exchange("MESSAGE", "bob", body="hello", headers="X-Ask: 1\r\n"))
    (request,) = await sip.wait_for(OutsideReceived)
    assert (request.method, request.content_type, request.body) == ("MESSAGE", "text/plain", b"hello")
    assert request.request_uri.startswith("sip:bob@") and ("X-Ask", "1") in request.headers and not waiting.done()
    assert request.source_ip == "127.0.0.1" and request.source_port and request.call_id and "tag=" in request.from_header
    sip.send(ReplyOutside(request.token, 202, "Noted", ("X-Answer: 2",), "text/x-note", b"answer"))
    reply = await waiting
    assert (reply.code, reply.header("X-Answer"), reply.content_type, reply.body) == (202, "2", "text/x-note", b"answer")
    sip.send(ReplyOutside(request.token, 500))  # late: nothing happens


async def test_methods_that_the_hub_does_not_take(sip: Side) -> None:
    await carried_out(sip, TakeOutside(("MESSAGE",)))
    codes = [(await sip.peer.exchange(method)).code for method in ("OPTIONS", "REGISTER", "REFER", "NOTIFY")]
    assert codes == [299, 501, 488, 481]
    await carried_out(sip, TakeOutside(()))
    assert (await sip.peer.exchange("MESSAGE")).code == 501 and "OutsideReceived" not in kinds(sip)


# --------------------------------------------------------------------------------------------------------- subscriptions
async def subscribed(sip: Side, number: int = 1, expires_s: int = 600) -> Any:
    """A subscription whose first SUBSCRIBE has come to the notifier."""
    target = f"sip:300@127.0.0.1:{sip.port}"
    sip.send(Subscribe(number, target, "<sip:200@127.0.0.1>", f"<{target}>", "reg;id=7", expires_s, "application/reginfo+xml"))
    notifier = await sip.peer.take_subscribe()
    assert (notifier.event, notifier.expires_s) == ("reg;id=7", expires_s)
    return notifier


def changes(sip: Side) -> list[tuple[Any, ...]]:
    found = [event for event in sip.events if isinstance(event, SubscriptionChanged)]
    return [(e.state, e.code, e.reason, e.expires_s, e.final) for e in found]


async def test_subscription_goes_its_way(sip: Side) -> None:
    notifier = await subscribed(sip)
    notifier.answer(200)
    assert await notifier.notify("pending;expires=500") == 200
    assert await notifier.notify("active;expires=400", "application/reginfo+xml", "<reginfo/>") == 200
    sip.send(RefreshSubscription(1, 900))
    assert await notifier.next_subscribe() == 900
    notifier.answer(200)
    assert await notifier.notify("active;expires=900") == 200
    sip.send(Unsubscribe(1))
    assert await notifier.next_subscribe() == 0
    notifier.answer(200)
    assert await notifier.notify("terminated;reason=timeout") == 200
    await sip.wait_for(SubscriptionChanged, 4)
    assert changes(sip) == [
        ("pending", 0, "", 500, False), ("active", 0, "", 400, False), ("active", 0, "", 900, False), ("terminated", 0, "timeout", 0, True),
    ]  # fmt: skip
    bodies = [(e.content_type, e.body) for e in sip.events if isinstance(e, SubscriptionChanged)]
    assert bodies[1] == ("application/reginfo+xml", b"<reginfo/>") and bodies[0] == bodies[2] == ("", b"")
    assert await notifier.notify("active") == 481


async def test_subscription_notified_before_the_reply(sip: Side) -> None:
    notifier = await subscribed(sip)
    assert await notifier.notify("active;expires=600") == 200
    notifier.answer(202)
    sip.send(RefreshSubscription(1))
    assert await notifier.next_subscribe() == 600
    await sip.wait_for(SubscriptionChanged)
    assert changes(sip) == [("active", 0, "", 600, False)]


@pytest.mark.parametrize("code", [403, 404, 481, 489, 500])
async def test_subscription_refused(sip: Side, code: int) -> None:
    (await subscribed(sip)).answer(code)
    await sip.wait_for(SubscriptionChanged)
    assert changes(sip) == [("failed", code, "Reply", 0, True)]


async def test_subscription_too_brief(sip: Side) -> None:
    notifier = await subscribed(sip, expires_s=60)
    notifier.answer(423, "Min-Expires: 3600\r\n")
    assert await notifier.next_subscribe() == 3600
    notifier.answer(200)
    assert await notifier.notify("active;expires=3600") == 200
    await sip.wait_for(SubscriptionChanged)
    assert changes(sip) == [("active", 0, "", 3600, False)]


async def test_subscription_ended_by_the_notifier(sip: Side) -> None:
    notifier = await subscribed(sip)
    notifier.answer(200)
    assert await notifier.notify("terminated;reason=probation;retry-after=30") == 200
    (ended,) = await sip.wait_for(SubscriptionChanged)
    assert (ended.state, ended.reason, ended.retry_after_s, ended.final) == ("terminated", "probation", 30, True)


async def test_subscription_refuses_another_event(sip: Side) -> None:
    notifier = await subscribed(sip)
    notifier.answer(200)
    assert await notifier.notify("active;expires=600", event="presence") == 489
    assert await notifier.notify("active;expires=600") == 200
    await sip.wait_for(SubscriptionChanged)
    assert changes(sip) == [("active", 0, "", 600, False)]


async def test_subscription_lost_by_the_notifier(sip: Side) -> None:
    notifier = await subscribed(sip)
    notifier.answer(200)
    assert await notifier.notify("active;expires=600") == 200
    sip.send(RefreshSubscription(1))
    assert await notifier.next_subscribe() == 600
    notifier.answer(481)
    await sip.wait_for(SubscriptionChanged, 2)
    assert changes(sip)[-1] == ("failed", 481, "Reply", 0, True)


async def test_subscription_taken_back_before_it_is_there(sip: Side) -> None:
    notifier = await subscribed(sip)
    sip.send(Unsubscribe(1))
    assert await notifier.notify("active;expires=600") == 200
    notifier.answer(200)
    assert await notifier.next_subscribe() == 0
    notifier.answer(481)
    (first, *_) = await sip.wait_for(SubscriptionChanged)
    if not first.final:  # the NOTIFY was quicker than Unsubscribe
        await sip.wait_for(SubscriptionChanged, 2)
    assert changes(sip)[-1] == ("terminated", 481, "Reply", 0, True)


async def test_commands_for_subscriptions_that_are_over_do_nothing(sip: Side) -> None:
    (await subscribed(sip)).answer(404)
    await sip.wait_for(SubscriptionChanged)
    for command in (RefreshSubscription(1), Unsubscribe(1), Unsubscribe(99)):
        sip.send(command)
    again = await subscribed(sip, 2)
    again.answer(200)
    assert await again.notify("active;expires=600") == 200
    await sip.wait_for(SubscriptionChanged, 2)
    assert [state for state, *_ in changes(sip)] == ["failed", "active"]
