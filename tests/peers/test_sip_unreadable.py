# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests with headers that pjsip's parser refuses: what is not needed is left out, what is needed is 400; and what a fork brings twice."""

from __future__ import annotations

import pytest

from di.sip.records import CallEnded, CallOffered, Limits, Listen, ReplyReceived, SendRequest
from interfaces.sip.message import tag_of
from tests.support.sip_peer import PeerCall, UdpPeer, description
from tests.support.sip_process import SipProcess

pytestmark = pytest.mark.peers


# ------------------------------------------------------------------------------------------------------------------ headers
@pytest.mark.parametrize(
    "line",
    [
        "Expires: tomorrow", "Session-Expires: \\;refresher", "Min-SE: <90>", "Event: ;id=1", "Allow-Events: ,,;", "Retry-After: soon",
        "Max-Forwards: many", "Supported: ;;", "Accept: /;", "no colon here", "X(y): z", "Route: nobody", "Authorization: Digest realm",
    ],
)  # fmt: skip
async def test_what_an_invite_can_do_without_is_left_out(sip: SipProcess, peer: UdpPeer, line: str) -> None:
    call = peer.invite(headers=f"{line}\r\nX-After: {line[:2]}\r\n")
    assert await call.final() == 200
    call.ack()
    (offer,) = sip.of(CallOffered)
    assert dict(offer.headers)["X-After"] == line[:2]
    assert await call.bye() == 200
    await sip.wait_for(CallEnded)


@pytest.mark.parametrize(
    ("line", "reason"),
    [("Record-Route: ;;", "Bad Record-Route"), ("Contact: <sip:x", "Bad Contact"), ("Content-Length: -3", "Bad Content-Length")],
)  # fmt: skip
async def test_what_an_invite_needs_is_a_bad_request(sip: SipProcess, peer: UdpPeer, line: str, reason: str) -> None:
    call = peer.invite(headers=f"{line}\r\n")
    reply = await call.next(*range(200, 700))
    assert (reply.code, reply.reason) == (400, reason)
    assert reply.header("Call-ID") == call.call_id and tag_of(reply.header("From")) == tag_of(call.local)
    call.send_request("ACK", cseq=call.cseq, branch=call.branch)
    assert (await peer.exchange("OPTIONS")).code == 200 and sip.of(CallOffered) == []


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "MESSAGE", "ACK"])
async def test_a_refusal_repeats_what_came(sip: SipProcess, peer: UdpPeer, method: str) -> None:
    """Behind what a phone sends for its router's sake; and an ACK gets none."""
    for who in ("<sip:ussd@1@127.0.0.1>", '"d" <ussd-1@example>', "<sip:a@b", '"open <sip:a@b>'):
        call = peer.call()
        call.local = f"{who};tag=x1"
        peer.send("\r\n\r\n")
        call.send_request(method, headers="v: SIP/2.0/UDP further;branch=z9\r\n")
        if method == "ACK":
            assert (await peer.exchange("OPTIONS")).code == 200 and call.messages.empty()
            continue
        reply = await call.next(400)
        vias = [value for name, value in reply.headers if name == "Via"]
        assert (reply.reason, reply.header("From"), reply.header("CSeq")) == ("Bad From", call.local, f"{call.cseq} {method}")
        assert (
            tag_of(reply.header("To")) and vias[0].endswith(";received=127.0.0.1") and vias[1] == "SIP/2.0/UDP further;branch=z9"
        )
    assert sip.of(CallOffered) == []


async def test_a_refusal_goes_where_the_via_says(sip: SipProcess, peer: UdpPeer) -> None:
    """RFC 3261 §18.2.2: without rport to the port in it, at the address that it came from."""
    other = await UdpPeer.open(sip.port)
    call = other.calls["elsewhere@peer"] = PeerCall(other, "elsewhere@peer", "test")
    peer.send(
        f"OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP nowhere.invalid:{other.port};branch=z9hG4bKa\r\nFrom: <\r\n"
        "To: <sip:x@y>\r\nCall-ID: elsewhere@peer\r\nCSeq: 1 OPTIONS\r\n\r\n"
    )
    assert (await call.next(400)).reason == "Bad From"
    other.close()


async def test_a_reply_that_cannot_be_read_is_dropped_with_a_line(sip: SipProcess, peer: UdpPeer) -> None:
    call = peer.invite()
    assert await call.final() == 200
    call.ack()
    number = sip.of(CallOffered)[0].call
    sip.send(SendRequest(number, "MESSAGE", 5, (), "text/plain", b"hi"))
    asked = await call.next("MESSAGE")
    good = asked.header("From")
    peer.send(
        f"SIP/2.0 200 OK\r\nVia: {asked.header('Via')}\r\nFrom: <\r\nTo: {asked.header('To')}\r\nCall-ID: {call.call_id}\r\n"
        f"CSeq: {asked.header('CSeq')}\r\nContent-Length: 0\r\n\r\n"
    )
    call.reply(asked, 202)
    (replied,) = await sip.wait_for(ReplyReceived)
    assert replied.code == 202 and good
    assert f"a message from 127.0.0.1:{peer.port} cannot be read and is dropped: Bad From" in sip.log
    assert await call.bye() == 200
    await sip.wait_for(CallEnded)


async def test_refusals_are_limited_as_all_that_belongs_to_no_call() -> None:
    """Somebody who forges addresses cannot make us answer all of it."""
    sip = await SipProcess.start(Listen("127.0.0.1", 0, limits=Limits(requests_a_second=5, trusted=())))
    peer = await UdpPeer.open(sip.port)
    calls = [peer.call() for _ in range(60)]
    for call in calls:
        call.local = "<;tag=x"
        call.send_request("OPTIONS")
    await sip.wait_until(lambda: "more messages could not be read" in sip.log)
    answered = [call for call in calls if not call.messages.empty()]
    assert 10 <= len(answered) <= 40, "two seconds' worth, and ten a second"
    peer.close()
    assert await sip.stop(0) == 0


async def test_inside_a_call_too(sip: SipProcess, peer: UdpPeer) -> None:
    call = peer.invite()
    assert await call.final() == 200
    call.ack()
    assert await call.reoffer("sendonly", headers="Expires: never\r\nEvent: \r\n") == 200
    assert await call.reoffer("sendrecv", headers="Contact: <\r\n") == 400
    call.send_request("ACK", cseq=call.cseq, branch=call.branch)
    assert await call.bye() == 200
    await sip.wait_for(CallEnded)


async def test_a_reply_with_a_header_that_cannot_be_read(sip: SipProcess, peer: UdpPeer) -> None:
    """It counts: without it our request would be repeated until it times out."""
    call = peer.invite()
    assert await call.final() == 200
    call.ack()
    number = sip.of(CallOffered)[0].call
    sip.send(SendRequest(number, "MESSAGE", 5, (), "text/plain", b"hi"))
    asked = await call.next("MESSAGE")
    call.reply(asked, 202, headers="Expires: never\r\nX-Yes: 1\r\n")
    (replied,) = await sip.wait_for(ReplyReceived)
    assert (replied.code, dict(replied.headers)["X-Yes"]) == (202, "1")
    assert await call.bye() == 200
    await sip.wait_for(CallEnded)


# -------------------------------------------------------------------------------------------------------------------- forks
def forked(call: PeerCall) -> None:
    """The same INVITE by another way of a forking proxy."""
    call.remote = call.remote.partition(";tag=")[0]
    call.send_request("INVITE", description(40000), cseq=call.cseq, branch=f"{call.branch}-again")


async def test_an_invite_that_a_fork_brings_twice_is_two_calls(sip: SipProcess, peer: UdpPeer) -> None:
    call = peer.invite()
    first = await call.next(200)
    forked(call)
    second = await call.next(200)
    tags = {tag_of(first.header("To")), tag_of(second.header("To"))}
    assert len(tags) == 2 and len(sip.of(CallOffered)) == 2
    for answer in (first, second):
        call.remote = answer.header("To")
        call.ack()
        assert await call.bye() == 200
    assert len(await sip.wait_for(CallEnded, 2)) == 2


async def test_where_forks_are_not_wanted_the_second_is_a_loop() -> None:
    sip = await SipProcess.start(Listen("127.0.0.1", 0, accept_forked=False))
    peer = await UdpPeer.open(sip.port)
    call = peer.invite()
    first = await call.next(200)
    forked(call)
    assert (await call.next(*range(300, 700))).code == 482
    call.send_request("ACK", cseq=call.cseq, branch=call.branch)
    call.remote = first.header("To")
    call.ack()
    assert await call.bye() == 200
    await sip.wait_for(CallEnded)
    assert len(sip.of(CallOffered)) == 1
    peer.close()
    assert await sip.stop(0) == 0
