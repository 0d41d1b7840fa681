# SPDX-License-Identifier: GPL-2.0-or-later
"""Which dialog a message belongs to, and what comes of one that does not fit: raw UDP, one line at a time."""

from __future__ import annotations

import asyncio
import os

import pytest

from di.sip.outside_records import OutsideReceived, OutsideReplied, SendOutside, TakeOutside
from di.sip.records import (
    Answer,
    CallConfirmed,
    CallEnded,
    CallIdentified,
    CallOffered,
    CallProgressed,
    Dial,
    Hangup,
    MediaNegotiated,
    Reinvite,
    ReplyReceived,
    RequestReceived,
    SendRequest,
    SipHeld,
)
from interfaces.sip.message import tag_of, uri_of
from tests.support.sip_peer import PeerCall, UdpPeer, description
from tests.support.sip_process import SipProcess, connected


def dial(sip: SipProcess, peer: UdpPeer, *headers: str) -> None:
    target = f"sip:them@127.0.0.1:{peer.port}"
    sip.send(Dial(2, "<sip:us@127.0.0.1>", f"<{target}>", target, headers, "127.0.0.1", 30000))


# ---------------------------------------------------------------------------------------------------------- what is there
async def test_the_hub_is_told_how_many_calls_dialogs_and_transactions_there_are(sip: SipProcess, peer: UdpPeer) -> None:
    """Transactions of the INVITE and the BYE stand on after the call (RFC 6026 §8.7, RFC 3261 §17.2.2), and with them pjsip's dialog."""
    call = await connected(sip, peer)
    await sip.wait_until(lambda: sip.held[-1:] == [SipHeld(calls=1, dialogs=1, transactions=1)])
    assert await call.request("BYE") == 200
    await sip.wait_until(lambda: sip.held[-1:] == [SipHeld(calls=0, dialogs=1, transactions=2)])


# ------------------------------------------------------------------------------------------------------- order and tags
@pytest.mark.parametrize("method", ["INFO", "MESSAGE", "OPTIONS", "UPDATE", "INVITE", "BYE"])
async def test_number_that_is_not_higher(sip: SipProcess, peer: UdpPeer, method: str) -> None:
    """RFC 3261 §12.2.2: 500, and the call goes on."""
    call = await connected(sip, peer)
    call.cseq = 9
    assert await call.request("INFO", body="x") == 200
    for number in (3, 10, 11):
        call.send_request(method, description(40000) if method == "INVITE" else "", cseq=number)
        if number < 11:
            assert await call.final() == 500
            if method == "INVITE":
                call.send_request("ACK", cseq=number)
    assert await call.final() == 200
    told = ["INFO", *([method] if method != "BYE" else [])]
    await sip.wait_until(lambda: [r.method for r in sip.of(RequestReceived)] == told)


@pytest.mark.parametrize("method", ["INFO", "OPTIONS", "UPDATE", "REFER", "NOTIFY"])
@pytest.mark.parametrize("side", ["local", "remote"])
async def test_tag_of_another_dialog(sip: SipProcess, peer: UdpPeer, method: str, side: str) -> None:
    call = await connected(sip, peer)
    right = getattr(call, side)
    setattr(call, side, right.partition(";tag=")[0] + ";tag=stranger")
    call.send_request(method)
    assert await call.final() == 481
    setattr(call, side, right)
    assert sip.of(RequestReceived) == [] and await call.bye() == 200


async def test_retransmission_gets_the_same_answer(sip: SipProcess, peer: UdpPeer) -> None:
    call = await connected(sip, peer)
    sip.reply_code = 202
    for _ in range(3):
        call.send_request("MESSAGE", "hello", "text/plain", cseq=5, branch="z9hG4bKsame")
        assert await call.final() == 202
    assert len(sip.of(RequestReceived)) == 1
    call.cseq = 5
    assert await call.bye() == 200


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
async def test_refused_offer_is_not_told(sip: SipProcess, peer: UdpPeer, method: str) -> None:
    call = await connected(sip, peer)
    call.send_request(method, description(40000, codec="X-NONE/8000", payload_type=96))
    assert await call.final() == 488
    if method == "INVITE":
        call.ack()
    assert await call.reoffer("sendonly") == 200
    told = (await sip.wait_for(RequestReceived))[0]
    assert b"sendonly" in told.body and len(sip.of(RequestReceived)) == 1


async def test_reinvite_without_an_offer_is_told(sip: SipProcess, peer: UdpPeer) -> None:
    call = await connected(sip, peer)
    call.send_request("INVITE")
    offer = await call.next(200)
    assert offer.has_sdp
    call.ack(description(40002))
    await sip.wait_for(MediaNegotiated, 2)
    kinds = [type(event).__name__ for event in sip.events]
    assert kinds[-2:] == ["RequestReceived", "MediaNegotiated"] and sip.of(MediaNegotiated)[1].remote_port == 40002


@pytest.mark.parametrize("method", ["INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE"])
async def test_requests_of_the_stack_are_not_sent_by_the_hub(sip: SipProcess, peer: UdpPeer, method: str) -> None:
    """pjsip keeps a state with each: without it a reply would end the process."""
    call = await connected(sip, peer)
    sip.send(SendRequest(1, method, 1, (), "application/sdp", description(1).encode() if method == "UPDATE" else b""))
    assert [(r.token, r.code) for r in await sip.wait_for(ReplyReceived)] == [(1, 500)]
    assert await call.bye() == 200 and not [message for message in call.seen if message.method]


@pytest.mark.parametrize("code", [200, 488, 501])
async def test_update_without_an_offer(sip: SipProcess, peer: UdpPeer, code: int) -> None:
    """A relayed change of identity; the session timer goes on."""
    call = peer.invite(interval_s=90)
    assert await call.final() == 200
    call.ack()
    await sip.wait_for(CallConfirmed)
    sip.send(SendRequest(1, "UPDATE", 1, ("P-Asserted-Identity: <sip:else@h>", "Via: evil")))
    update = await call.next("UPDATE")
    assert update.header("P-Asserted-Identity") == "<sip:else@h>" and update.body == b"" and update.header("Session-Expires")
    assert not any("evil" in value for _, value in update.headers)
    call.reply(update, code, headers="Session-Expires: 90;refresher=uac\r\n" if code == 200 else "")
    assert [(r.token, r.code) for r in await sip.wait_for(ReplyReceived)] == [(1, code)]
    sip.send(Reinvite(1, "sendonly", token=2))
    await call.take_offer(direction="recvonly")
    assert [(r.token, r.code) for r in await sip.wait_for(ReplyReceived, 2)] == [(1, code), (2, 200)]
    assert await call.bye() == 200


async def test_request_inside_logs_in(sip: SipProcess, peer: UdpPeer) -> None:
    """Of two under way one is challenged: each token gets its own reply."""
    target = f"sip:them@127.0.0.1:{peer.port}"
    credentials = {"username": "us", "password": "secret"}
    sip.send(Dial(2, "<sip:us@127.0.0.1>", f"<{target}>", target, (), "127.0.0.1", 30000, **credentials))
    call = await peer.take_invite()
    await call.accept()
    await sip.wait_for(CallConfirmed)
    sip.send(SendRequest(2, "INFO", 1, ("X-Number: 1",), "text/plain", b"one"))
    sip.send(SendRequest(2, "INFO", 2, ("X-Number: 2",), "text/plain", b"second"))
    first, second = await call.next("INFO"), await call.next("INFO")
    call.reply(second, 401, headers='WWW-Authenticate: Digest realm="peer", nonce="1"\r\n')
    again = await call.next("INFO")
    while not again.header("Authorization"):
        again = await call.next("INFO")
    call.reply(again, 202)
    assert again.body == b"second" and first.body == b"one"
    assert [(r.token, r.code) for r in await sip.wait_for(ReplyReceived)] == [(2, 202)]
    call.reply(first, 200)
    assert [(r.token, r.code) for r in await sip.wait_for(ReplyReceived, 2)] == [(2, 202), (1, 200)]


async def test_challenge_without_a_password_is_told(sip: SipProcess, peer: UdpPeer) -> None:
    call = await connected(sip, peer)
    sip.send(SendRequest(1, "INFO", 1))
    call.reply(await call.next("INFO"), 401, headers='WWW-Authenticate: Digest realm="peer", nonce="1"\r\n')
    assert [(r.token, r.code) for r in await sip.wait_for(ReplyReceived)] == [(1, 401)]


async def test_update_while_our_offer_is_out(sip: SipProcess, peer: UdpPeer) -> None:
    """RFC 3311 §5.2."""
    call = await connected(sip, peer)
    sip.send(Reinvite(1, token=1))
    theirs = await call.next("INVITE")
    assert await call.update("sendonly") == 491
    call.reply(theirs, 200, description(40000))
    await sip.wait_for(ReplyReceived)
    assert sip.of(RequestReceived) == [] and await call.bye() == 200


# ----------------------------------------------------------------------------------------------------------- transfers
async def test_refer_is_the_hubs(sip: SipProcess, peer: UdpPeer) -> None:
    """pjsua would dial by itself."""
    call = await connected(sip, peer)
    sip.reply_code = 202
    reply = await call.exchange("REFER", headers=f"Refer-To: <sip:other@127.0.0.1:{peer.port}>\r\n")
    assert reply.code == 202 and uri_of(reply.header("Contact")) == f"sip:127.0.0.1:{sip.port}"
    assert await call.request("OPTIONS") == 202 and peer.incoming.empty()
    assert not [m for m in call.seen if m.method]


async def test_replacing_call_is_answered_and_the_other_stays(sip: SipProcess, peer: UdpPeer) -> None:
    first = await connected(sip, peer)
    known = sip.of(CallIdentified)[0]
    sip.on_offer = lambda offer: None
    replaces = f"Replaces: {known.call_id};to-tag={known.local_tag};from-tag={known.remote_tag}\r\n"
    second = peer.invite(headers=f"{replaces}Require: replaces\r\n")
    offer = (await sip.wait_for(CallOffered, 2))[1]
    sip.send(Answer(offer.call, 200, "OK", (), "127.0.0.1", 30010))
    assert await second.final() == 200
    second.ack()
    await sip.wait_for(CallConfirmed, 2)
    assert sip.of(CallEnded) == []
    sip.send(Hangup(1))
    await first.taken_off()
    assert await second.bye() == 200


async def test_headers_of_a_transfer_go_out(sip: SipProcess, peer: UdpPeer) -> None:
    dial(
        sip,
        peer,
        "Replaces: a@b;to-tag=c;from-tag=d",
        "Referred-By: <sip:boss@127.0.0.1>",
        "Call-ID: evil",
        "Contact: <sip:evil@h>",
    )
    message = (await peer.take_invite()).invite_message
    assert message is not None
    assert message.header("Replaces") == "a@b;to-tag=c;from-tag=d" and message.header("Referred-By") == "<sip:boss@127.0.0.1>"
    assert not any("evil" in value for _, value in message.headers)
    await sip.wait_until(lambda: "header Call-ID cannot be given" in sip.log and "header Contact cannot be given" in sip.log)


# --------------------------------------------------------------------------------------------------------------- forks
@pytest.mark.parametrize("winner", ["one", "two"])
async def test_two_branches_ring_and_one_answers(sip: SipProcess, peer: UdpPeer, winner: str) -> None:
    dial(sip, peer)
    call = await peer.take_invite()
    for tag in ("one", "two"):
        call.fork(tag).ring()
    await sip.wait_for(CallProgressed, 2)
    answering = call.fork(winner)
    answering.reply(call.invite_message, 200, description(40000))  # type: ignore[arg-type]
    ack = await call.next_of("ACK", winner)
    assert uri_of(ack.header("To")).startswith("sip:them@")
    await sip.wait_for(CallConfirmed)
    assert sip.of(CallIdentified)[-1].remote_tag == winner
    assert await answering.bye() == 200
    assert [e.by for e in await sip.wait_for(CallEnded)] == ["remote"]


async def test_two_branches_answer(sip: SipProcess, peer: UdpPeer) -> None:
    """RFC 3261 §13.2.2.4: the first is the call, the other is acknowledged and ended."""
    dial(sip, peer)
    call = await peer.take_invite()
    first, second = call.fork("one"), call.fork("two")
    first.reply(call.invite_message, 200, description(40000))  # type: ignore[arg-type]
    await call.next_of("ACK", "one")
    second.reply(call.invite_message, 200, description(40002))  # type: ignore[arg-type]
    await call.next_of("ACK", "two")
    bye = await call.next_of("BYE", "two")
    second.reply(bye, 200)
    await sip.wait_for(CallConfirmed)
    assert sip.of(CallIdentified)[-1].remote_tag == "one" and [m.remote_port for m in sip.of(MediaNegotiated)] == [40000]
    assert await first.request("INFO", body="x") == 200
    sip.send(Hangup(2))
    assert tag_of((await call.next("BYE")).header("To")) == "one"
    assert len(await sip.wait_for(CallEnded)) == 1


async def test_early_media_of_two_branches(sip: SipProcess, peer: UdpPeer) -> None:
    """The branch that answers is the one that is heard in the end."""
    dial(sip, peer)
    call = await peer.take_invite()
    first, second = call.fork("one"), call.fork("two")
    first.ring(body=description(40000))
    await sip.wait_for(MediaNegotiated)
    second.ring(body=description(40002))
    await sip.wait_for(CallProgressed, 2)
    second.reply(call.invite_message, 200, description(40002))  # type: ignore[arg-type]
    await call.next_of("ACK", "two")
    await sip.wait_for(CallConfirmed)
    assert sip.of(MediaNegotiated)[-1].remote_port == 40002 and sip.of(CallIdentified)[-1].remote_tag == "two"
    assert await second.bye() == 200
    assert [e.by for e in await sip.wait_for(CallEnded)] == ["remote"]


async def test_answer_that_crosses_our_cancel(sip: SipProcess, peer: UdpPeer) -> None:
    """RFC 3261 §9.1: the call has been made, so it is acknowledged and ended."""
    dial(sip, peer)
    call = await peer.take_invite()
    call.ring()
    await sip.wait_for(CallProgressed)
    sip.send(Hangup(2, 487, "Enough"))
    cancel = await call.next("CANCEL")
    call.reply(call.invite_message, 200, description(40000))  # type: ignore[arg-type]
    call.reply(cancel, 200)
    await call.next("ACK")
    call.reply(await call.next("BYE"), 200)
    assert [(e.code, e.by) for e in await sip.wait_for(CallEnded)] == [(487, "local")]
    assert await peer.exchange("OPTIONS") and len(sip.of(CallEnded)) == 1 and sip.of(CallConfirmed) == []


# --------------------------------------------------------------------------------------------------------------- silence
@pytest.mark.long
@pytest.mark.skipif(not os.environ.get("CORDBOARD_LONG"), reason="64·T1 = 32 s: set CORDBOARD_LONG=1")
async def test_nobody_answers(sip: SipProcess, peer: UdpPeer) -> None:
    """Each side that stays silent is noticed: RFC 3261 §17.1.1.2 timer B, §17.1.2.2 timer F, and our own patience with the hub."""
    calls = [await connected(sip, peer) for _ in range(3)]
    sip.reply_code = 0
    sip.send(TakeOutside(("MESSAGE",)))
    sip.send(SendRequest(1, "INFO", 1))
    sip.send(Reinvite(3, token=2))
    target = f"sip:them@127.0.0.1:{peer.port}"
    sip.send(SendOutside(3, "NOTIFY", target, "<sip:us@127.0.0.1>", f"<{target}>"))
    for call, method in zip(calls, ("INFO", "INVITE"), strict=False):
        await call.next(method)
    await peer.take_outside()
    calls[2].send_request("INFO", "x", "text/plain")
    waiting = asyncio.ensure_future(sip.wait_for(OutsideReceived))
    late = PeerCall(peer, "silent@peer", "test")
    peer.calls[late.call_id] = late
    late.send_request("MESSAGE", "hello", "text/plain")
    await waiting
    assert (await calls[2].next(*range(200, 700), patience_s=60)).code == 500
    assert (await late.next(*range(200, 700), patience_s=60)).code == 480
    await sip.wait_until(lambda: len(sip.of(ReplyReceived)) == 2 and len(sip.of(OutsideReplied)) == 1, 60)
    assert sorted((r.token, r.code) for r in sip.of(ReplyReceived)) == [(1, 408), (2, 408)]
    assert [(r.token, r.code) for r in sip.of(OutsideReplied)] == [(3, 408)]
    for call in calls[:2]:  # RFC 3261 §12.2.1.2
        await call.taken_off()
    assert [e.by for e in await sip.wait_for(CallEnded, 2)] == ["timeout", "timeout"]
    assert await calls[2].bye() == 200
