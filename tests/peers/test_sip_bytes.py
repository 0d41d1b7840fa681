# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes that are no UTF-8 pass from one peer to another as they are: old phones say names in Latin-1, bodies may be binary."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from di.sip.records import (
    Answer,
    CallConfirmed,
    CallEnded,
    CallOffered,
    CallProgressed,
    Dial,
    Hangup,
    Reinvite,
    ReplyReceived,
    RequestReceived,
    SendReply,
    SendRequest,
)
from interfaces.sip.message import Message, text_of, wire_bytes
from tests.support.sip_peer import PeerCall, UdpPeer, description
from tests.support.sip_process import SipProcess

ANY_BYTES = bytes(range(256)) * 2
NAME = b'"J\xf6rg \xff\xfe"'
LINE = "X-Name: " + text_of(NAME)
ON_THE_WIRE = LINE + "\r\n"


@pytest_asyncio.fixture
async def sip() -> AsyncIterator[SipProcess]:
    process = await SipProcess.start()
    process.on_offer = lambda offer: None
    process.reply_code = 0
    yield process
    assert await process.stop(0) == 0 and "Traceback" not in process.log, process.log


def named(headers: tuple[tuple[str, str], ...] | Message) -> bytes:
    found = headers.headers if isinstance(headers, Message) else headers
    return wire_bytes(dict(found).get("X-Name", "nothing"))


def dial(sip: SipProcess, peer: UdpPeer, number: int = 2) -> None:
    target = f"sip:th\udce9m@127.0.0.1:{peer.port}"
    sip.send(Dial(number, '"\udce9" <sip:us@127.0.0.1>', f"<{target}>", target, (LINE,), "127.0.0.1", 30000))


async def connected(sip: SipProcess, peer: UdpPeer) -> PeerCall:
    call = peer.invite(headers=ON_THE_WIRE)
    (offer,) = await sip.wait_for(CallOffered)
    assert named(offer.headers) == NAME
    sip.send(Answer(1, 183, "Ring\udce9ng", (LINE,), "127.0.0.1", 30000))
    assert named(await call.next(183)) == NAME
    sip.send(Answer(1, 200, "OK", (LINE, "X-Other: \udcff"), "127.0.0.1", 30000))
    answer = await call.next(200)
    assert named(answer) == NAME and wire_bytes(answer.header("X-Other")) == b"\xff"
    call.ack()
    await sip.wait_for(CallConfirmed)
    return call


async def test_calls_in(sip: SipProcess, peer: UdpPeer) -> None:
    call = await connected(sip, peer)
    sip.send(Hangup(1, headers=(LINE,)))
    bye = await call.next("BYE")
    assert named(bye) == NAME
    call.reply(bye, 200)


async def test_refused(sip: SipProcess, peer: UdpPeer) -> None:
    call = peer.invite()
    await sip.wait_for(CallOffered)
    sip.send(Answer(1, 486, "B\udcfcsy", (LINE,)))
    reply = await call.next(486)
    assert named(reply) == NAME and reply.reason == "B\ufffdsy"
    assert [(e.code, e.by) for e in await sip.wait_for(CallEnded)] == [(486, "local")]


async def test_no_text_ends_its_line(sip: SipProcess, peer: UdpPeer) -> None:
    evil = "it\r\nX-Evil: yes\x00"
    call = peer.invite()
    await sip.wait_for(CallOffered)
    sip.send(Answer(1, 183, evil, (), "127.0.0.1", 30000))
    reply = await call.next(183)
    assert (reply.reason, reply.has("x-evil")) == ("it  X-Evil: yes", False)
    sip.send(Answer(1, 200, "OK", (), "127.0.0.1", 30000))
    await call.next(200)
    call.ack()
    await sip.wait_for(CallConfirmed)
    call.send_request("INFO")
    (asked,) = await sip.wait_for(RequestReceived)
    sip.send(SendReply(1, asked.token, 200, evil, (), f"x/{evil}", b"body"))
    answer = await call.next(200)
    assert (answer.reason, answer.has("x-evil"), answer.body) == ("it  X-Evil: yes", False, b"body")
    sip.send(SendRequest(1, "INFO", 1, (), f"x/{evil}", b"body"))
    request = await call.next("INFO")
    assert (request.has("x-evil"), request.body) == (False, b"body")
    call.reply(request, 200)
    sip.send(Hangup(1, 500, evil))
    bye = await call.next("BYE")
    assert not bye.has("x-evil")
    call.reply(bye, 200)


async def test_calls_out(sip: SipProcess, peer: UdpPeer) -> None:
    dial(sip, peer)
    call = await peer.take_invite()
    invite = call.invite_message
    assert invite is not None and named(invite) == NAME and invite.request_uri.lower().startswith("sip:th%e9m@")
    call.reply(invite, 180, headers=ON_THE_WIRE)
    assert named((await sip.wait_for(CallProgressed))[0].headers) == NAME
    call.reply(invite, 200, description(40000), headers=ON_THE_WIRE)
    assert named((await sip.wait_for(CallConfirmed))[0].headers) == NAME
    await call.next("ACK")
    call.send_request("BYE", headers=ON_THE_WIRE)
    assert named((await sip.wait_for(CallEnded))[0].headers) == NAME


async def test_requests_inside(sip: SipProcess, peer: UdpPeer) -> None:
    call = await connected(sip, peer)
    sip.send(SendRequest(1, "INFO", 1, (LINE,), "application/x-any", ANY_BYTES))
    request = await call.next("INFO")
    assert named(request) == NAME and request.body == ANY_BYTES and request.header("Content-Length") == "512"
    call.reply(request, 200, text_of(b"\xff\xfe"), ON_THE_WIRE, kind="x/y")
    (reply,) = await sip.wait_for(ReplyReceived)
    assert named(reply.headers) == NAME and reply.body == b"\xff\xfe"
    call.send_request("INFO", text_of(b"\xe9\x00\xff"), "x/y", headers=ON_THE_WIRE)
    (asked,) = await sip.wait_for(RequestReceived)
    assert named(asked.headers) == NAME and asked.body == b"\xe9\x00\xff"
    sip.send(SendReply(1, asked.token, 200, "OK", (LINE,), "x/y", ANY_BYTES))
    answer = await call.next(200)
    assert named(answer) == NAME and answer.body == ANY_BYTES


@pytest.mark.parametrize("body", [b"", b"plain", "gr\u00fc\u00df".encode(), b"a\0b", ANY_BYTES])
async def test_bodies_of_all_kinds(sip: SipProcess, peer: UdpPeer, body: bytes) -> None:
    call = await connected(sip, peer)
    sip.send(SendRequest(1, "MESSAGE", 1, (), "x/y" if body else "", body))
    request = await call.next("MESSAGE")
    assert request.body == body
    call.reply(request, 200)


async def test_offers(sip: SipProcess, peer: UdpPeer) -> None:
    call = await connected(sip, peer)
    sip.send(Reinvite(1, token=1, headers=(LINE,)))
    offer = await call.next("INVITE")
    assert named(offer) == NAME
    call.reply(offer, 200, description(40000), ON_THE_WIRE)
    assert named((await sip.wait_for(ReplyReceived))[0].headers) == NAME


async def test_of_a_refused_stream_that_is_no_text_an_answer_says_where_our_audio_is(sip: SipProcess, peer: UdpPeer) -> None:
    call = peer.call()
    call.send_request("INVITE", description(40000) + "m=video 0 RTP/AVP 31\r\nc=IN IP4 12\udcdc.0.0.1\r\n")
    await sip.wait_for(CallOffered)
    sip.send(Answer(1, 200, "OK", (), "127.0.0.1", 30000))
    answer = await call.next(200)
    call.ack()
    assert "m=audio 30000 " in answer.description and "\r\nm=video 0 " in answer.description
    await sip.wait_for(CallConfirmed)
    assert await call.bye() == 200
