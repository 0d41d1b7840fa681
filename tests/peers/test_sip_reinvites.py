# SPDX-License-Identifier: GPL-2.0-or-later
"""What our re-INVITEs look like on the wire, and what becomes of them when the peer is in the way. A raw UDP peer sees every line."""

from __future__ import annotations

import pytest

from di.sip.records import CallConfirmed, CallEnded, Dial, Hangup, Listen, MediaNegotiated, Reinvite, ReplyReceived
from tests.support import sdp
from tests.support.sip_peer import UdpPeer, description
from tests.support.sip_process import SipProcess, connected

CODECS = ("PCMU/8000", "PCMA/8000", "GSM/8000")


@pytest.fixture
def listen() -> Listen:
    return Listen("127.0.0.1", 0, codecs=CODECS)


@pytest.mark.parametrize("direction", ["sendonly", "recvonly", "inactive", "sendrecv"])
async def test_offer_has_direction_codecs_in_order_address_and_headers(sip: SipProcess, peer: UdpPeer, direction: str) -> None:
    call = await connected(sip, peer)
    codecs = ("GSM/8000", "PCMU/8000")
    sip.send(Reinvite(1, direction, "127.0.0.9", 36000, 1, ("X-Why: because", "Via: SIP/2.0/UDP evil"), codecs))
    offer = await call.next("INVITE")
    body = offer.body.decode()
    assert sdp.audio_codecs(body) == list(codecs) and f"a={direction}" in body.splitlines()
    assert sdp.audio_address(body) == ("127.0.0.9", 36000)
    assert offer.header("X-Why") == "because" and not any("evil" in value for _, value in offer.headers)
    call.reply(offer, 200, description(40000, codec="GSM/8000", payload_type=3), "X-Answer: yes\r\n")
    await call.next("ACK")
    reply = (await sip.wait_for(ReplyReceived))[0]
    assert (reply.code, dict(reply.headers)["X-Answer"]) == (200, "yes") and b"GSM" in reply.body
    assert (await sip.wait_for(MediaNegotiated, 2))[1].codec == "GSM"


async def test_codecs_in_use_and_offered_ones_without_a_list(sip: SipProcess, peer: UdpPeer) -> None:
    call = await connected(sip, peer)
    sip.send(Reinvite(1, token=1, payloads=("PCMA/8000",)))
    call.reply(await call.next("INVITE"), 200, description(40000, codec="PCMA/8000", payload_type=8))
    sip.send(Reinvite(1, token=2))
    offer = await call.next("INVITE")
    assert sdp.audio_codecs(offer.body.decode()) == list(CODECS)  # the list was that offer's only


async def test_codecs_that_nobody_has_are_not_offered(sip: SipProcess, peer: UdpPeer) -> None:
    call = await connected(sip, peer)
    sip.send(Reinvite(1, token=1, payloads=("OPUS/48000",)))
    assert [(r.token, r.code) for r in await sip.wait_for(ReplyReceived)] == [(1, 488)]
    assert await call.bye() == 200


async def test_late_offer_is_answered_in_the_ack(sip: SipProcess, peer: UdpPeer) -> None:
    call = await connected(sip, peer)
    sip.send(Reinvite(1, "recvonly", "127.0.0.9", 36000, 1, payloads=("PCMA/8000",), offer=False))
    offer = await call.next("INVITE")
    assert offer.body == b""
    both = description(40000).replace("AVP 0 101", "AVP 0 8 101")
    call.reply(offer, 200, both)
    answer = (await call.next("ACK")).body.decode()
    assert sdp.audio_codecs(answer) == ["PCMA/8000"] and sdp.audio_address(answer) == ("127.0.0.9", 36000)
    assert "a=recvonly" in answer.splitlines()
    media = (await sip.wait_for(MediaNegotiated, 2))[1]
    assert (media.codec, media.send, media.receive) == ("PCMA", False, True)
    call.send_request("INVITE")  # now they ask us
    theirs = await call.next(200)
    assert "a=recvonly" in theirs.body.decode().splitlines()
    call.ack(description(40000, "sendonly"))
    sip.send(Reinvite(1, token=2))
    assert await call.take_offer() == "sendrecv"
    assert [(r.token, r.code) for r in await sip.wait_for(ReplyReceived, 2)] == [(1, 200), (2, 200)]


async def test_a_refresh_takes_no_hold_back_that_was_asked_for_before_it(sip: SipProcess, peer: UdpPeer) -> None:
    call = await connected(sip, peer)
    sip.send(Reinvite(1, "sendonly", token=1, nowhere=True))
    sip.send(Reinvite(1, "", token=2))
    call.reply(await call.next("INVITE"), 491)
    await call.next("ACK")
    for _ in range(2):
        offer = await call.next("INVITE")
        body = offer.body.decode()
        assert "a=sendonly" in body.splitlines() and sdp.audio_address(body)[0] == "0.0.0.0"
        call.reply(offer, 200, description(40000, "recvonly"))
        await call.next("ACK")
    assert [(r.token, r.code) for r in await sip.wait_for(ReplyReceived, 2)] == [(1, 200), (2, 200)]


async def test_held_call_stays_held_when_the_peer_offers(sip: SipProcess, peer: UdpPeer) -> None:
    call = await connected(sip, peer)
    sip.send(Reinvite(1, "sendonly"))
    await call.take_offer(direction="recvonly")
    call.send_request("INVITE", description(40000))
    answer = await call.next(200)
    call.ack()
    assert "a=sendonly" in answer.body.decode().splitlines()
    assert [(m.send, m.receive) for m in await sip.wait_for(MediaNegotiated, 3)][1:] == [(True, False)] * 2


async def test_refused_move_leaves_address_and_direction(sip: SipProcess, peer: UdpPeer) -> None:
    call = await connected(sip, peer)
    sip.send(Reinvite(1, "inactive", "127.0.0.9", 36000, 1))
    await call.take_offer(606)
    assert (await sip.wait_for(ReplyReceived))[0].code == 606
    call.send_request("INVITE", description(40000))
    answer = (await call.next(200)).body.decode()
    call.ack()
    assert sdp.audio_address(answer)[0] == "127.0.0.1" and "a=sendrecv" in answer.splitlines()


async def test_late_offer_that_nobody_can_answer_ends_the_call(sip: SipProcess, peer: UdpPeer) -> None:
    """RFC 3261 §13.2.2.4: it came in a 2xx, so it cannot be refused."""
    call = await connected(sip, peer)
    sip.send(Reinvite(1, token=1, offer=False))
    call.reply(await call.next("INVITE"), 200, description(40000, codec="X-NONE/8000", payload_type=96))
    await call.taken_off()
    assert [(e.code, e.by) for e in await sip.wait_for(CallEnded)] == [(488, "error")]
    assert len(sip.of(ReplyReceived)) == 1


@pytest.mark.parametrize("body", ["", "v=0 garbage", description(0)])
async def test_answer_that_is_none_changes_nothing(sip: SipProcess, peer: UdpPeer, body: str) -> None:
    call = await connected(sip, peer)
    sip.send(Reinvite(1, token=1))
    call.reply(await call.next("INVITE"), 200, body)
    await call.next("ACK")
    assert [r.code for r in await sip.wait_for(ReplyReceived)] == [200]
    assert await call.reoffer("sendonly") == 200
    assert [(m.send, m.receive) for m in await sip.wait_for(MediaNegotiated, 2)] == [(True, True), (False, True)]


async def test_hung_up_while_our_offer_is_out(sip: SipProcess, peer: UdpPeer) -> None:
    call = await connected(sip, peer)
    sip.send(Reinvite(1, token=1))
    theirs = await call.next("INVITE")
    sip.send(Hangup(1))
    await call.taken_off()
    call.reply(theirs, 487)
    await call.next("ACK")
    assert [e.by for e in await sip.wait_for(CallEnded)] == ["local"]
    assert [(r.token, r.code) for r in await sip.wait_for(ReplyReceived)] == [(1, 481)]


@pytest.mark.fast_clock
async def test_peer_that_never_lets_us_through(sip: SipProcess, peer: UdpPeer) -> None:
    call = await connected(sip, peer)
    sip.send(Reinvite(1, token=1))
    for _ in range(5):
        await call.take_offer(491)
    assert [(r.token, r.code) for r in await sip.wait_for(ReplyReceived)] == [(1, 491)]
    assert await call.bye() == 200


async def test_both_offer_at_once(sip: SipProcess, peer: UdpPeer) -> None:
    """RFC 3261 §14.1, §14.2: each side refuses the other's with 491, then one comes through."""
    call = await connected(sip, peer)
    sip.send(Reinvite(1, "sendonly", token=1))
    theirs = await call.next("INVITE")
    call.send_request("INVITE", description(40000))
    assert await call.final() == 491
    call.ack()
    call.reply(theirs, 491)
    await call.next("ACK")
    assert await call.take_offer(direction="recvonly") == "sendonly"
    assert [(r.token, r.code) for r in await sip.wait_for(ReplyReceived)] == [(1, 200)]
    assert await call.reoffer("sendrecv") == 200


async def test_offer_waits_for_the_ack_of_theirs(sip: SipProcess, peer: UdpPeer) -> None:
    call = await connected(sip, peer)
    call.send_request("INVITE", description(40000, "sendonly"))
    assert await call.final() == 200
    sip.send(Reinvite(1, token=1))
    assert (await call.exchange("OPTIONS")).code == 200  # what was sent before has been looked at
    assert not any(message.method == "INVITE" for message in call.seen)
    call.send_request("ACK", cseq=call.cseq - 1)
    await call.take_offer(direction="sendonly")
    assert [(r.token, r.code) for r in await sip.wait_for(ReplyReceived)] == [(1, 200)]


async def test_offer_before_the_ack_of_our_answer_waits(sip: SipProcess, peer: UdpPeer) -> None:
    call = peer.invite()
    assert await call.final() == 200
    sip.send(Reinvite(1, token=1))
    call.ack()
    await call.take_offer()
    assert [(r.token, r.code) for r in await sip.wait_for(ReplyReceived)] == [(1, 200)]


@pytest.mark.parametrize("code", [408, 481])
async def test_peer_that_has_lost_the_call(sip: SipProcess, peer: UdpPeer, code: int) -> None:
    """RFC 3261 §12.2.1.2: such a reply ends the dialog."""
    call = await connected(sip, peer)
    sip.send(Reinvite(1, token=1))
    await call.take_offer(code)
    await call.taken_off()
    assert len(await sip.wait_for(ReplyReceived)) == 1
    assert [e.by for e in await sip.wait_for(CallEnded)] == ["timeout"]


async def test_reinvite_logs_in(sip: SipProcess, peer: UdpPeer) -> None:
    target = f"sip:them@127.0.0.1:{peer.port}"
    credentials = {"username": "us", "password": "secret"}
    sip.send(Dial(2, "<sip:us@127.0.0.1>", f"<{target}>", target, (), "127.0.0.1", 30000, **credentials))
    call = await peer.take_invite()
    await call.accept()
    await sip.wait_for(CallConfirmed)
    sip.send(Reinvite(2, token=1))
    challenge = 'WWW-Authenticate: Digest realm="peer", nonce="1"\r\n'
    call.reply(await call.next("INVITE"), 401, headers=challenge)
    again = await call.next("INVITE")
    while not again.header("Authorization"):
        again = await call.next("INVITE")
    call.reply(again, 200, description(40000))
    assert [(r.token, r.code) for r in await sip.wait_for(ReplyReceived)] == [(1, 200)]
