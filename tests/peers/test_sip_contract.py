# SPDX-License-Identifier: GPL-2.0-or-later
"""One suite for the real SIP process and for the fake that the hub's tests use: the same steps give the same events. Here: calls."""

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
    Hangup,
    Listening,
    MediaNegotiated,
    Reinvite,
    ReplyReceived,
    RequestReceived,
    SendReply,
    SendRequest,
    SessionTimedOut,
    Stop,
)
from tests.support.sip_peer import description
from tests.support.sip_sides import Side, answered, kinds


async def test_listening(side: Side) -> None:
    listening = (await side.wait_for(Listening))[0]
    assert [protocol for protocol, _, _ in listening.transports] == ["udp", "tcp"]


async def test_answered_and_hung_up_by_the_caller(side: Side) -> None:
    call = side.peer.invite("room1")
    offer = (await side.wait_for(CallOffered))[0]
    assert offer.call == 1 and offer.request_uri.startswith("sip:room1@") and offer.has_offer
    assert (offer.remote_media_ip, offer.remote_media_port) == ("127.0.0.1", 40000) and offer.remote_tag
    await answered(side, call)
    assert await call.bye() == 200
    ended = (await side.wait_for(CallEnded))[0]
    assert (ended.call, ended.code, ended.by) == (1, 200, "remote")
    assert kinds(side) == ["Listening", "CallOffered", "CallIdentified", "MediaNegotiated", "CallConfirmed", "CallEnded"]


async def test_hung_up_by_the_hub(side: Side) -> None:
    call = side.peer.invite()
    await side.wait_for(CallOffered)
    await answered(side, call)
    side.send(Hangup(1))
    await call.taken_off()
    assert [(e.code, e.by) for e in await side.wait_for(CallEnded)] == [(200, "local")]


@pytest.mark.parametrize("hang_up", [False, True])
async def test_refused(side: Side, hang_up: bool) -> None:
    call = side.peer.invite()
    await side.wait_for(CallOffered)
    side.send(Hangup(1, 404, "Not Found") if hang_up else Answer(1, 404, "Not Found"))
    assert await call.final() == 404
    assert [(e.code, e.reason, e.by) for e in await side.wait_for(CallEnded)] == [(404, "Not Found", "local")]
    assert "CallConfirmed" not in kinds(side) and "MediaNegotiated" not in kinds(side)


async def test_ringing_without_media_then_cancelled(side: Side) -> None:
    call = side.peer.invite()
    await side.wait_for(CallOffered)
    side.send(Answer(1, 180, "Ringing"))
    await call.next(180)
    call.cancel()
    await call.next(487)
    assert [(e.code, e.by) for e in await side.wait_for(CallEnded)] == [(487, "cancel")]
    assert kinds(side) == ["Listening", "CallOffered", "CallIdentified", "CallEnded"]


async def test_early_media_is_negotiated_once(side: Side) -> None:
    call = side.peer.invite()
    await side.wait_for(CallOffered)
    side.send(Answer(1, 183, "Session Progress", (), "127.0.0.1", 30000))
    await call.next(183)
    await answered(side, call)
    assert kinds(side) == ["Listening", "CallOffered", "CallIdentified", "MediaNegotiated", "CallConfirmed"]


async def test_delayed_offer_is_negotiated_by_the_ack(side: Side) -> None:
    call = side.peer.invite(offer=False)
    offer = (await side.wait_for(CallOffered))[0]
    assert not offer.has_offer and offer.remote_media_port == 0
    side.send(Answer(1, 200, "OK", (), "127.0.0.1", 30000))
    assert await call.final() == 200
    assert "MediaNegotiated" not in kinds(side)
    call.ack(description(40000))
    media = (await side.wait_for(MediaNegotiated))[0]
    await side.wait_for(CallConfirmed)
    assert (media.remote_port, media.codec, media.send, media.receive) == (40000, "PCMU", True, True)
    assert kinds(side)[-2:] == ["MediaNegotiated", "CallConfirmed"]


@pytest.mark.parametrize(
    ("direction", "ours"), [("sendonly", (False, True)), ("recvonly", (True, False)), ("inactive", (False, False))]
)
async def test_held_by_the_caller(side: Side, direction: str, ours: tuple[bool, bool]) -> None:
    call = side.peer.invite()
    await side.wait_for(CallOffered)
    await answered(side, call)
    assert await call.reoffer(direction) == 200
    assert await call.reoffer("sendrecv") == 200
    media = await side.wait_for(MediaNegotiated, 3)
    assert [(m.send, m.receive) for m in media] == [(True, True), ours, (True, True)]


async def test_request_inside_waits_for_the_hub(side: Side) -> None:
    call = side.peer.invite()
    await side.wait_for(CallOffered)
    await answered(side, call)
    waiting = asyncio.ensure_future(call.request("INFO", "application/dtmf-relay", "Signal=5\r\nDuration=100\r\n"))
    request = (await side.wait_for(RequestReceived))[0]
    assert (request.method, request.content_type, request.reply_wanted) == ("INFO", "application/dtmf-relay", True)
    assert request.body == b"Signal=5\r\nDuration=100\r\n" and not waiting.done()
    side.send(SendReply(1, request.token, 415, "Unsupported Media Type"))
    assert await waiting == 415


async def test_dialled_answered_and_hung_up(side: Side) -> None:
    target = f"sip:them@127.0.0.1:{side.port}"
    side.send(Dial(2, "<sip:us@127.0.0.1>", f"<{target}>", target, (), "127.0.0.1", 30000))
    call = await side.peer.take_invite()
    call.ring()
    assert [p.code for p in await side.wait_for(CallProgressed)] == [180]
    await call.accept()
    await side.wait_for(CallConfirmed)
    side.send(Hangup(2))
    await call.taken_off()
    assert [(e.call, e.code, e.by) for e in await side.wait_for(CallEnded)] == [(2, 200, "local")]
    progress = ["CallIdentified", "CallIdentified", "CallProgressed"]
    assert kinds(side)[1:] == [*progress, "MediaNegotiated", "CallConfirmed", "CallEnded"]
    known = side.events[1]
    assert isinstance(known, CallIdentified) and known.local_tag and not known.remote_tag


async def test_dialled_and_refused(side: Side) -> None:
    target = f"sip:them@127.0.0.1:{side.port}"
    side.send(Dial(2, "<sip:us@127.0.0.1>", f"<{target}>", target, (), "127.0.0.1", 30000))
    await (await side.peer.take_invite()).refuse(486)
    assert [(e.call, e.code, e.by) for e in await side.wait_for(CallEnded)] == [(2, 486, "remote")]


async def test_dialled_and_cancelled(side: Side) -> None:
    target = f"sip:them@127.0.0.1:{side.port}"
    side.send(Dial(2, "<sip:us@127.0.0.1>", f"<{target}>", target, (), "127.0.0.1", 30000))
    call = await side.peer.take_invite()
    call.ring()
    await side.wait_for(CallProgressed)
    side.send(Hangup(2, 487, "Changed"))
    await call.cancelled()
    assert [(e.code, e.by) for e in await side.wait_for(CallEnded)] == [(487, "local")]


async def test_request_sent_and_answered(side: Side) -> None:
    call = side.peer.invite()
    await side.wait_for(CallOffered)
    await answered(side, call)
    side.send(SendRequest(1, "MESSAGE", 9, (), "text/plain", b"hello"))
    await call.answer_request("MESSAGE", 202)
    assert [(r.call, r.token, r.code) for r in await side.wait_for(ReplyReceived)] == [(1, 9, 202)]


async def test_commands_for_calls_that_are_over_do_nothing(side: Side) -> None:
    call = side.peer.invite()
    await side.wait_for(CallOffered)
    side.send(Answer(1, 603, "Decline"))
    assert await call.final() == 603
    before = len(await side.wait_for(CallEnded))
    for command in (Answer(1, 200), Hangup(1), Reinvite(1), SendRequest(1, "INFO"), SendReply(1, 5, 200), Hangup(99)):
        side.send(command)
    again = side.peer.invite()
    await side.wait_for(CallOffered, 2)
    side.send(Answer(3, 486, "Busy Here"))
    assert await again.final() == 486
    assert [e.call for e in await side.wait_for(CallEnded, before + 1)] == [1, 3]


async def test_stop_ends_every_call(side: Side) -> None:
    first, second = side.peer.invite(), side.peer.invite()
    await side.wait_for(CallOffered, 2)
    await answered(side, first)
    side.send(Stop(0))
    await first.taken_off()
    assert await second.final() == 503
    assert {(e.call, e.by) for e in await side.wait_for(CallEnded, 2)} == {(1, "local"), (3, "local")}


@pytest.mark.fast_clock
async def test_peer_that_does_not_refresh(side: Side) -> None:
    """The hub is told once and the call goes on; ending it is the hub's business (RFC 4028 §10)."""
    call = side.peer.invite(interval_s=90)
    await side.wait_for(CallOffered)
    await answered(side, call)
    call.expire()
    assert await side.wait_for(SessionTimedOut) == [SessionTimedOut(1)]
    assert "CallEnded" not in kinds(side)
    side.send(Hangup(1))
    await call.taken_off()
    assert [(e.code, e.by) for e in await side.wait_for(CallEnded)] == [(200, "local")]
