# SPDX-License-Identifier: GPL-2.0-or-later
"""What phones and carriers write into session descriptions, against the real SIP process: one odd item costs no call."""

from __future__ import annotations

import pytest

from di.sip.records import Answer, CallOffered, Dial, MediaNegotiated, Reinvite
from interfaces.sip.message import Message
from interfaces.sip.sdp.model import parse
from tests.support.sip_peer import PeerCall, UdpPeer, description
from tests.support.sip_process import SipProcess

pytestmark = [pytest.mark.peers, pytest.mark.asyncio]

GOOD = description(40000)
EVENTS = "a=rtpmap:101 telephone-event/16000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"


def with_formats(formats: str, lines: str = "") -> str:
    head = GOOD[: GOOD.index("m=audio")]
    return f"{head}m=audio 40000 RTP/AVP {formats}\r\na=rtpmap:0 PCMU/8000\r\n{lines}"


async def invited(peer: UdpPeer, body: str, kind: str = "application/sdp") -> tuple[PeerCall, Message]:
    """Offer that; the call and its final reply."""
    call = PeerCall(peer, f"odd{len(peer.calls)}@peer", "test")
    peer.calls[call.call_id] = call
    call.send_request("INVITE", body, kind)
    return call, await call.next(*range(200, 700))


def answered(reply: Message, streams: int = 1) -> str:
    """The answer, which must be ours: from our media address, with as many streams as were offered."""
    assert reply.code == 200, reply.start_line
    answer = reply.body.decode()
    said = parse(answer)
    ip, port = said.audio_address
    assert ip == "127.0.0.1" and 30000 <= port < 30010 and len(said.media) == streams, answer
    assert answer.startswith("v=0\r\no=sems "), answer
    return answer


async def told(sip: SipProcess, number: int = 1) -> MediaNegotiated:
    """What was negotiated, the first time or a later one."""
    return (await sip.wait_for(MediaNegotiated, number))[number - 1]


ODD = [
    ("s= empty", GOOD.replace("s=-", "s=")),
    ("no s=", "".join(line for line in GOOD.splitlines(True) if not line.startswith("s="))),
    ("o= without user", "".join("o= 1 1 IN IP4 127.0.0.1\r\n" if line.startswith("o=") else line for line in GOOD.splitlines(True))),
    ("no o=", "".join(line for line in GOOD.splitlines(True) if not line.startswith("o="))),
    ("blank line inside", GOOD.replace("m=audio", "\r\nm=audio")),
    ("blank lines at the end", GOOD + "\r\n\r\n"),
    ("a= empty", GOOD + "a=\r\n"),
    ("line without meaning", GOOD + "hello\r\n"),
    ("bandwidth without value", GOOD.replace("t=0 0", "b=AS\r\nt=0 0")),
    ("time in words", GOOD.replace("t=0 0", "t=now")),
    ("number without rtpmap", with_formats("0 101")),
    ("numbers beyond any payload type", with_formats("200 0 101 x")),
    ("rtpmap of nothing", with_formats("0 97", "a=rtpmap:97\r\n")),
    ("two events under one number", with_formats("0 101", EVENTS)),
    ("hundred attributes before the rtpmap", with_formats("97", "a=candidate:1 1 UDP 1 10.0.0.1 9 typ host\r\n" * 170 + "a=rtpmap:97 PCMU/8000\r\n")),
    ("family of another address", GOOD.replace("c=IN IP4", "c=in IP6")),
]  # fmt: skip
VIDEO = ["m=video 5006 RTP/AVP 96", "m=video 5006 RTP/AVP", "m=video x RTP/AVP 31", "m=video", "m=application 9 TCP/MSRP *"]


@pytest.mark.parametrize(("name", "body"), ODD, ids=[name for name, _ in ODD])
async def test_an_odd_line_costs_no_call(sip: SipProcess, peer: UdpPeer, name: str, body: str) -> None:
    call, reply = await invited(peer, body)
    answer = answered(reply)
    assert parse(answer).codecs[:1] == ("PCMU/8000",), f"{name}: {answer}"
    call.ack()
    negotiated = await told(sip)
    assert (negotiated.remote_ip, negotiated.remote_port) == ("127.0.0.1", 40000)
    call.send_request("INVITE", body)  # the same in a later offer
    answered(await call.next(*range(200, 700)))
    call.ack()
    assert await call.bye() == 200


@pytest.mark.parametrize("line", VIDEO)
async def test_a_stream_that_cannot_be_answered_is_refused_alone(sip: SipProcess, peer: UdpPeer, line: str) -> None:
    call, reply = await invited(peer, GOOD + line + "\r\na=x\r\n")
    answer = parse(answered(reply, streams=2))
    assert (answer.media[1].kind, answer.media[1].port) == (line[2:].split(maxsplit=1)[0], 0)
    call.ack()
    assert await call.bye() == 200


@pytest.mark.parametrize(("order", "clock_hz"), [("16000 8000", 8000), ("8000 16000", 8000)])
async def test_the_event_that_fits_the_codec_is_answered(sip: SipProcess, peer: UdpPeer, order: str, clock_hz: int) -> None:
    lines = "".join(f"a=rtpmap:101 telephone-event/{clock}\r\n" for clock in order.split())
    call, reply = await invited(peer, with_formats("0 101", lines))
    assert f"a=rtpmap:101 telephone-event/{clock_hz}\r\n" in answered(reply)
    record = await told(sip)
    assert (record.dtmf_send, record.dtmf_receive) == (101, 101)
    assert (record.dtmf_send_clock_hz, record.dtmf_receive_clock_hz) == (clock_hz, clock_hz)
    call.ack()
    assert await call.bye() == 200


@pytest.mark.parametrize("padding", [0, 1500, 6000])
async def test_a_description_among_other_parts_is_answered_with_our_address(sip: SipProcess, peer: UdpPeer, padding: int) -> None:
    """pjsua2 shows no description of more than 1024 bytes, and none that is one part of several."""
    body = GOOD + "".join(f"a=x-padding:{i:04}\r\n" for i in range(padding // 20))
    parts = (
        f"--unique\r\nContent-Type: application/isup;version=itu-t92+\r\n\r\n\x01\x02\r\n--unique\r\nContent-Type: application/sdp\r\n"
        f"Content-Disposition: session;handling=required\r\n\r\n{body}\r\n--unique--\r\n"
    )
    call, reply = await invited(peer, parts, "multipart/mixed;boundary=unique")
    offered = (await sip.wait_for(CallOffered))[0]
    assert offered.has_offer and offered.remote_media_port == 40000
    answered(reply)
    call.ack()
    negotiated = await told(sip)
    assert (negotiated.remote_ip, negotiated.remote_port) == ("127.0.0.1", 40000)
    call.send_request("INVITE", parts, "multipart/mixed;boundary=unique")
    answered(await call.next(*range(200, 700)))
    call.ack()
    assert await call.bye() == 200


async def test_hold_by_no_address_is_answered_with_ours_and_keeps_the_peers(sip: SipProcess, peer: UdpPeer) -> None:
    call, reply = await invited(peer, GOOD)
    answered(reply)
    call.ack()
    await told(sip)
    for number, (host, port) in enumerate((("0.0.0.0", 40000), ("0.0.0.0", 9), ("phone.invalid", 40000)), 2):
        call.send_request(
            "INVITE", GOOD.replace("c=IN IP4 127.0.0.1", f"c=IN IP4 {host}").replace("m=audio 40000", f"m=audio {port}")
        )
        answer = answered(await call.next(*range(200, 700)))
        assert "0.0.0.0" not in answer and "a=recvonly\r\n" in answer, "its music on hold is wanted"
        call.ack()
        held = await told(sip, number)
        assert (held.remote_ip, held.remote_port, held.send, held.receive) == ("127.0.0.1", 40000, False, True)
    call.send_request("INVITE", GOOD)
    assert "a=sendrecv\r\n" in answered(await call.next(*range(200, 700)))
    call.ack()
    resumed = await told(sip, 5)
    assert (resumed.remote_ip, resumed.remote_port, resumed.send, resumed.receive) == ("127.0.0.1", 40000, True, True)
    assert await call.bye() == 200


async def test_a_call_may_begin_on_hold(sip: SipProcess, peer: UdpPeer) -> None:
    call, reply = await invited(peer, GOOD.replace("c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0"))
    offered = (await sip.wait_for(CallOffered))[0]
    assert (offered.remote_media_ip, offered.remote_media_port) == ("0.0.0.0", 0), "no address, but its family"
    assert "a=recvonly\r\n" in answered(reply)
    call.ack()
    held = await told(sip)
    assert (held.remote_ip, held.send, held.receive) == ("0.0.0.0", False, True)
    assert await call.bye() == 200


async def test_host_names_and_the_address_of_reports_reach_the_hub_as_written(sip: SipProcess, peer: UdpPeer) -> None:
    body = GOOD.replace("c=IN IP4 127.0.0.1", "c=IN IP4 media.example") + "a=rtcp:41234 IN IP4 127.0.0.2\r\n"
    call, reply = await invited(peer, body)
    answered(reply)
    record = await told(sip)
    assert (record.remote_ip, record.remote_port) == ("media.example", 40000)
    assert (record.rtcp_ip, record.rtcp_port) == ("127.0.0.2", 41234)
    call.ack()
    assert await call.bye() == 200


async def test_each_codec_of_an_answer_is_told_with_both_numbers(sip: SipProcess, peer: UdpPeer) -> None:
    """The same for the first offer and for a later one of ours."""
    answer = GOOD[: GOOD.index("m=audio")] + "m=audio 40000 RTP/AVP 8 0\r\na=rtcp:40007\r\n"
    sip.send(
        Dial(2, "<sip:us@127.0.0.1>", f"<sip:a@127.0.0.1:{peer.port}>", f"sip:a@127.0.0.1:{peer.port}", (), "127.0.0.1", 30000)
    )
    call = await peer.take_invite()
    assert call.invite_message is not None
    assert parse(call.invite_message.body.decode()).audio_address == ("127.0.0.1", 30000)
    call.reply(call.invite_message, 200, answer)
    await call.next("ACK")
    record = await told(sip)
    assert [(one.payload_type, one.payload_type_send, one.codec) for one in record.also] == [
        (0, 0, "PCMU")
    ] and record.codec == "PCMA"
    assert (record.rtcp_ip, record.rtcp_port) == ("127.0.0.1", 40007)
    sip.send(Reinvite(2, "sendrecv", "127.0.0.1", 30002))
    offer = await call.next("INVITE")
    call.reply(offer, 200, answer.replace("RTP/AVP 8 0", "RTP/AVP 0").replace("a=rtcp:40007\r\n", ""))
    await call.next("ACK")
    record = await told(sip, 2)
    assert (record.codec, record.also, record.rtcp_port) == ("PCMU", (), 0)
    assert await call.bye() == 200


async def test_what_pjsip_writes_never_goes_out(sip: SipProcess, peer: UdpPeer) -> None:
    """A hub that answers without a media address: no description names an address of no socket."""
    sip.on_offer = lambda offer: sip.send(Answer(offer.call, 200))
    call, reply = await invited(peer, GOOD)
    assert reply.code >= 400 or all(not stream.port for stream in parse(reply.body.decode()).media), reply.body
    call.send_request("ACK", cseq=call.cseq)
    await sip.wait_until(lambda: "answered without a media address" in sip.log)


@pytest.mark.parametrize(
    ("clock", "there"), [("2147483647", False), ("192001", False), ("192000", True), ("16000", True), ("0", False)]
)
async def test_keys_at_a_clock_that_no_audio_has_are_none(sip: SipProcess, peer: UdpPeer, clock: str, there: bool) -> None:
    """Their durations would not fit into a packet."""
    call, answer = await invited(peer, GOOD.replace("telephone-event/8000", f"telephone-event/{clock}"))
    assert (answer.code, f"telephone-event/{clock}" in answer.body.decode()) == (200, there)
    call.ack()
    (media,) = await sip.wait_for(MediaNegotiated)
    assert (media.dtmf_send, media.dtmf_send_clock_hz) == ((101, int(clock)) if there else (-1, 8000))
