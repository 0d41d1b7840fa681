# SPDX-License-Identifier: GPL-2.0-or-later
"""How calls look to their peers where an application says so: Contact, attribute lines, where requests go; and their messages as bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from di.sip.records import (
    Answer,
    Appearance,
    CallConfirmed,
    CallEnded,
    CallOffered,
    Dial,
    Hangup,
    LogMessages,
    MediaNegotiated,
    MessageSeen,
    Present,
    Reinvite,
    SendRequest,
)
from interfaces.sip.message import Message, parse, uri_of
from tests.support import sdp
from tests.support.sip_peer import UdpPeer, description
from tests.support.sip_process import SipProcess

pytestmark = [pytest.mark.peers, pytest.mark.asyncio]
LOOK = Appearance('"Desk" <sip:desk@sbc.example.org:5070;x=1>;q=0.5', ("a=x-flag:7",), anonymous=True)
BEHIND_NAT = "<sip:peer@192.0.2.7:5099>"


def shows(message: Message) -> None:
    assert message.header("Contact") == '"Desk" <sip:desk@sbc.example.org:5070;x=1>;q=0.5', message.headers
    body = message.body.decode()
    assert "a=x-flag:7\r\n" in body and "\r\ns=-\r\n" in body and "o=- " in body and sdp.audio_address(body)[1] == 30000


def dial(peer: UdpPeer, **more: object) -> Dial:
    me, them = "<sip:me@127.0.0.1>", f"sip:peer@127.0.0.1:{peer.port}"
    return Dial(2, me, f"<{them}>", them, media_ip="127.0.0.1", media_port=30000, **more)  # type: ignore[arg-type]


async def test_a_call_that_came_in(sip: SipProcess, peer: UdpPeer) -> None:
    sip.on_offer = lambda offer: None
    call = peer.call()
    call.send_request("INVITE", description(40000) + "a=x-hello\r\na=label:1\r\n")
    offered = (await sip.wait_for(CallOffered))[0]
    assert (offered.codecs, offered.lines) == (("PCMU/8000",), ("a=x-hello", "a=label:1"))
    sip.send(Present(1, LOOK))
    sip.send(Answer(1, 183, "", (), "127.0.0.1", 30000))
    shows(await call.next(183))
    sip.send(Answer(1, 200, "", (), "127.0.0.1", 30000))
    shows(await call.next(200))
    call.ack()
    await sip.wait_for(CallConfirmed)
    sip.send(Reinvite(1, "sendrecv", "127.0.0.1", 30000, nowhere=True))
    held = await call.next("INVITE")
    assert held.header("Contact").startswith('"Desk"') and sdp.audio_address(held.body.decode())[0] == "0.0.0.0"
    call.reply(held, 200, description(40000))
    await call.next("ACK")
    assert await call.bye() == 200


async def test_a_call_of_ours_and_what_the_answer_brings(sip: SipProcess, peer: UdpPeer) -> None:
    sip.send(dial(peer, appearance=LOOK, codecs=("PCMA/8000",)))
    call = await peer.take_invite()
    assert call.invite_message is not None
    shows(call.invite_message)
    assert sdp.audio_codecs(call.invite_message.body.decode()) == ["PCMA/8000"]
    call.reply(call.invite_message, 200, description(40000, codec="PCMA/8000", payload_type=8) + "a=x-answer\r\n")
    await call.next("ACK")
    assert (await sip.wait_for(MediaNegotiated))[0].lines == ("a=x-answer",)
    call.send_request("INVITE", description(40000))
    assert await call.final() == 488, "the call is limited to PCMA"
    call.send_request("ACK", cseq=call.cseq, branch=call.branch)
    sip.send(Hangup(2))
    await call.taken_off()


async def test_an_impossible_contact_is_left_out(sip: SipProcess, peer: UdpPeer) -> None:
    sip.on_offer = lambda offer: (sip.send(Present(offer.call, Appearance("<<>"))), sip.answer_all(offer))  # type: ignore[assignment]
    call = peer.invite()
    reply = await call.next(200)
    assert uri_of(reply.header("Contact")).endswith(f":{sip.port}")
    call.ack()
    assert await call.bye() == 200 and "Contact '<<>' cannot be sent" in sip.log


@pytest.mark.parametrize("ours", [False, True])
async def test_requests_go_to_where_the_peer_sends_from(sip: SipProcess, peer: UdpPeer, ours: bool) -> None:
    """Its Contact is of a network that nobody reaches; the Request-URI names it all the same."""
    if ours:
        sip.send(dial(peer, appearance=Appearance(to_source=True)))
        call = await peer.take_invite()
        assert call.invite_message is not None
        call.contact = BEHIND_NAT
        call.reply(call.invite_message, 200, description(40000))
        await call.next("ACK")
    else:
        sip.on_offer = lambda offer: (sip.send(Present(offer.call, Appearance(to_source=True))), sip.answer_all(offer))  # type: ignore[assignment]
        call = peer.call()
        call.contact = BEHIND_NAT
        call.send_request("INVITE", description(40000))
        await call.next(200)
        call.ack()
    await sip.wait_for(CallConfirmed)
    sip.send(SendRequest(2 if ours else 1, "INFO", 5))
    info = await call.next("INFO")
    assert info.request_uri == "sip:peer@192.0.2.7:5099" and not info.header("Route")
    call.reply(info, 200)
    sip.send(Hangup(2 if ours else 1))
    await call.taken_off()


async def test_a_call_that_could_not_leave_has_no_strangers_messages(sip: SipProcess, peer: UdpPeer) -> None:
    sip.send(replace(dial(peer, log_messages=True), to_uri="nowhere at all"))
    assert (await sip.wait_for(CallEnded))[0].code == 500
    call = peer.invite()
    await call.next(200)
    call.ack()
    await sip.wait_for(CallConfirmed)
    assert await call.bye() == 200
    await sip.wait_for(CallEnded, 2)
    assert not sip.of(MessageSeen)


@pytest.mark.parametrize("ours", [False, True])
async def test_messages_are_told_from_the_invite_to_the_last_reply(sip: SipProcess, peer: UdpPeer, ours: bool) -> None:
    if ours:
        sip.send(dial(peer, log_messages=True))
        call = await peer.take_invite()
        await call.accept()
        sip.send(Hangup(2))
        await call.taken_off()
    else:
        sip.on_offer = lambda offer: (sip.send(LogMessages(offer.call)), sip.answer_all(offer))  # type: ignore[assignment]
        call = peer.invite()
        await call.next(200)
        call.ack()
        await sip.wait_for(CallConfirmed)
        assert await call.bye() == 200
    await sip.wait_for(CallEnded)
    await sip.wait_until(
        lambda: any(
            b"CSeq" in one.data and one.data.startswith(b"SIP/2.0 200") and b"BYE" in one.data for one in sip.of(MessageSeen)
        )
    )
    seen = [parse(data.decode()) for data in dict.fromkeys(one.data for one in sip.of(MessageSeen))]  # a busy machine sends again
    words = [str(one.code or one.method) for one in seen if one.code != 100]
    assert words == ["INVITE", "200", "ACK", "BYE", "200"]
    first = sip.of(MessageSeen)[0]
    ends = (first.source_port, first.target_port)
    assert (
        ends == ((sip.port, peer.port) if ours else (peer.port, sip.port)) and first.source_ip == first.target_ip == "127.0.0.1"
    )
    assert first.epoch_us > 1_700_000_000_000_000 and first.call == (2 if ours else 1)
    assert {one.header("Call-ID") for one in seen} == {call.call_id}
