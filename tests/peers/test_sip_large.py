# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages of up to 64 kB, both ways, by UDP and TCP; and datagrams that lack a part of their body (RFC 3261 §18.3)."""

from __future__ import annotations

import asyncio
import re

import pytest

from di.sip.outside_records import OutsideReceived, OutsideReplied, ReplyOutside, SendOutside, TakeOutside
from di.sip.records import (
    Answer,
    CallConfirmed,
    CallEnded,
    CallOffered,
    Dial,
    Hangup,
    ReplyReceived,
    RequestReceived,
    SendReply,
    SendRequest,
)
from tests.support.sip_peer import UdpPeer, description
from tests.support.sip_process import SipProcess

SIZES = (1400, 3900, 4001, 9000, 30_000, 65_000)


def padding(size: int) -> str:
    """Header lines of so many bytes together."""
    lines, left = [], size
    while left > 20:
        value = "x" * min(left - 10, 2000)
        lines.append(f"X-Pad: {value}\r\n")
        left -= len(lines[-1])
    return "".join(lines)


def long_description(size: int) -> str:
    """One that pads itself with lines that mean nothing to us."""
    offer = description(40000)
    return offer + "".join(f"a=x-pad:{'y' * 200}\r\n" for _ in range((size - len(offer)) // 212))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("where", ["headers", "description"])
async def test_an_invite_by_udp(sip: SipProcess, peer: UdpPeer, size: int, where: str) -> None:
    call = peer.call("large")
    if where == "headers":
        call.send_request("INVITE", description(40000), headers=padding(size - 700))
    else:
        call.send_request("INVITE", long_description(size - 500))
    answer = await call.next(*range(200, 700))
    assert answer.code == 200 and b"m=audio" in answer.body
    (offer,) = await sip.wait_for(CallOffered)
    assert offer.has_offer and offer.remote_media_port == 40000
    call.ack()
    await sip.wait_for(CallConfirmed)
    assert await call.bye() == 200


def by_tcp(port: int, size: int, method: str = "INVITE", call_id: str = "tcp") -> bytes:
    body = description(40000) if method == "INVITE" else ""
    head = (
        f"{method} sip:a@127.0.0.1:{port};transport=tcp SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK{call_id}{method};rport\r\n"
        f"From: <sip:b@127.0.0.1>;tag=t\r\nTo: <sip:a@127.0.0.1>\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n"
        "Contact: <sip:b@127.0.0.1:9;transport=tcp>\r\nContent-Type: application/sdp\r\n"
    )
    tail = f"Content-Length: {len(body)}\r\n\r\n{body}"
    return (head + padding(size - len(head) - len(tail)) + tail).encode()


async def replies(reader: asyncio.StreamReader, wanted: str, patience_s: float = 40) -> str:
    """All that came until a line begins with `wanted`."""
    text = ""
    async with asyncio.timeout(patience_s):
        while not re.search(rf"^{wanted}", text, re.MULTILINE):
            data = await reader.read(65536)
            assert data, f"closed after {text[-500:]!r}"
            text += data.decode()
    return text


@pytest.mark.parametrize("size", SIZES)
async def test_an_invite_by_tcp(sip: SipProcess, size: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sip.port)
    data = by_tcp(sip.port, size)
    for at in range(0, len(data), 7000):  # as segments arrive
        writer.write(data[at : at + 7000])
        await asyncio.sleep(0)
    await replies(reader, "SIP/2.0 200")
    (offer,) = await sip.wait_for(CallOffered)
    assert offer.has_offer
    writer.close()


async def test_a_message_that_is_too_long_for_us_ends_its_connection(sip: SipProcess) -> None:
    """What follows on it could not be told from the rest of the message."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sip.port)
    writer.write(by_tcp(sip.port, 200_000))
    async with asyncio.timeout(40):
        text = b""
        while data := await reader.read(65536):
            text += data
    assert text.startswith(b"SIP/2.0 513 ")
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", sip.port)
    writer.write(by_tcp(sip.port, 600, "OPTIONS"))
    await replies(reader, "SIP/2.0 200")
    writer.close()
    assert "longer than" in sip.log


async def test_a_cut_request_is_refused_and_nothing_is_made_of_it(sip: SipProcess, peer: UdpPeer) -> None:
    whole = description(40000)
    call = peer.call("cut")
    call.send_request("INVITE", whole, cut=20)
    refused = await call.next(*range(200, 700))
    assert (refused.code, refused.reason) == (400, "Body Shorter Than Content-Length")
    call.send_request("MESSAGE", "hello there", "text/plain", cut=1)
    assert await call.final() == 400
    good = peer.invite()
    assert await good.final() == 200
    good.send_request("ACK", whole, cseq=good.cseq, cut=5)
    await behind(sip, peer)
    assert not sip.of(CallConfirmed)
    good.ack()
    await sip.wait_for(CallConfirmed)
    good.send_request("INFO", "Signal=5\r\n", "application/dtmf-relay", cut=2)
    assert await good.final() == 400 and not sip.of(RequestReceived)
    assert await good.request("INFO", "application/dtmf-relay", "Signal=5\r\n") == 200
    assert await good.bye() == 200
    assert len(sip.of(CallOffered)) == 2


async def behind(sip: SipProcess, peer: UdpPeer) -> None:
    """What came before, the hub has been told: it hears of another call that came behind it, which is not acknowledged."""
    count = len(sip.of(CallOffered))
    peer.invite("behind")
    await sip.wait_for(CallOffered, count + 1)


async def test_a_cut_reply_is_as_none(sip: SipProcess, peer: UdpPeer) -> None:
    target = f"sip:them@127.0.0.1:{peer.port}"
    sip.send(Dial(2, "<sip:us@127.0.0.1>", f"<{target}>", target, (), "127.0.0.1", 30000))
    call = await peer.take_invite()
    assert call.invite_message is not None
    call.reply(call.invite_message, 200, description(40000), cut=10)
    await behind(sip, peer)
    assert not sip.of(CallConfirmed) and not sip.of(CallEnded)
    await call.accept()
    await sip.wait_for(CallConfirmed)


@pytest.mark.parametrize("size", SIZES)
async def test_what_we_say_is_long(sip: SipProcess, peer: UdpPeer, size: int) -> None:
    """Replies, requests in a call and outside of one; a request of over 1300 bytes goes by TCP where the peer takes it (§18.1.1)."""
    lines = tuple(line for line in padding(size - 1200).split("\r\n") if line)
    sip.on_offer = lambda offer: sip.send(Answer(offer.call, 200, "OK", lines, "127.0.0.1", 30000))
    call = peer.invite()
    answer = await call.next(200)
    assert sum(len(value) for name, value in answer.headers if name == "X-Pad") == sum(len(line) - 7 for line in lines)
    call.ack()
    await sip.wait_for(CallConfirmed)
    body = b"\x00\xffz" * ((size - 900) // 3)
    sip.send(SendRequest(1, "MESSAGE", 7, (), "application/octet-stream", body))
    message = await call.next("MESSAGE")
    assert message.body == body
    call.reply(message, 200)
    (reply,) = await sip.wait_for(ReplyReceived)
    assert reply.code == 200
    target = f"sip:them@127.0.0.1:{peer.port}"
    sip.send(SendOutside(9, "MESSAGE", target, "<sip:us@127.0.0.1>", f"<{target}>", (), "text/plain", body))
    outside = await peer.take_outside()
    assert outside.request_message.body == body
    outside.answer(200)
    assert (await sip.wait_for(OutsideReplied))[0].code == 200
    assert await call.bye() == 200


async def test_what_no_datagram_holds_is_said_to_have_failed(sip: SipProcess, peer: UdpPeer) -> None:
    call = peer.invite()
    assert await call.final() == 200
    call.ack()
    await sip.wait_for(CallConfirmed)
    sip.send(SendRequest(1, "MESSAGE", 7, (), "text/plain", b"z" * 80_000))
    (reply,) = await sip.wait_for(ReplyReceived)
    assert reply.code >= 400
    assert await call.bye() == 200


@pytest.mark.parametrize("method", ["INFO", "OPTIONS"])
async def test_a_reply_that_no_message_holds_is_refused_in_short(sip: SipProcess, peer: UdpPeer, method: str) -> None:
    """Inside a call and outside: whoever asked hears something, and the log says why."""
    sip.reply_code = 0
    sip.send(TakeOutside(("OPTIONS",)))
    call = peer.invite()
    assert await call.final() == 200
    call.ack()
    await sip.wait_for(CallConfirmed)
    if method == "INFO":
        call.send_request("INFO")
        (asked,) = await sip.wait_for(RequestReceived)
        sip.send(SendReply(asked.call, asked.token, 200, "OK", ("X-Long: " + "y" * 30_000,), "text/plain", b"z" * 40_000))
        reply = await call.next(*range(200, 700))
    else:
        waiting = asyncio.create_task(peer.exchange("OPTIONS"))
        (came,) = await sip.wait_for(OutsideReceived)
        sip.send(ReplyOutside(came.token, 200, "OK", (), "text/plain", b"z" * 80_000))
        reply = await waiting
    assert (reply.code, reply.body) == (500, b"")
    await sip.wait_until(lambda: "the reply 200 to" in sip.log)
    assert await call.bye() == 200


@pytest.mark.parametrize("confirmed", [True, False])
async def test_a_call_ends_though_what_is_said_with_its_end_is_too_long(sip: SipProcess, peer: UdpPeer, confirmed: bool) -> None:
    if not confirmed:
        sip.on_offer = lambda offer: None
    call = peer.invite()
    if confirmed:
        assert await call.final() == 200
        call.ack()
        await sip.wait_for(CallConfirmed)
    else:
        await sip.wait_for(CallOffered)
    sip.send(Hangup(1, 603, "Decline", ("X-Long: " + "y" * 80_000, "X-Short: 1")))
    if confirmed:
        await call.taken_off()
    else:
        assert await call.final() == 603
        call.send_request("ACK", cseq=call.cseq, branch=call.branch)
    assert len(await sip.wait_for(CallEnded)) == 1


async def test_an_answer_loses_the_lines_that_no_message_holds(sip: SipProcess, peer: UdpPeer) -> None:
    lines = ("X-Long: " + "y" * 80_000, "X-Half: " + "y" * 40_000, "X-Second: " + "y" * 40_000, "X-Short: 1")
    sip.on_offer = lambda offer: sip.send(Answer(offer.call, 200, "OK", lines, "127.0.0.1", 30000))
    call = peer.invite()
    answer = await call.next(200)
    call.ack()
    assert [name for name, _ in answer.headers if name.startswith("X-")] == ["X-Half", "X-Short"]
    await sip.wait_until(lambda: "header X-Long of 80008 bytes does not fit" in sip.log and "header X-Second" in sip.log)
    assert await call.bye() == 200
