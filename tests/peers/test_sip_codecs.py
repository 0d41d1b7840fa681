# SPDX-License-Identifier: GPL-2.0-or-later
"""The SIP process with codecs of ours: all of them negotiated, in offers of either side."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from di.media_control.codecs import choose
from di.sip.records import Dial, Hangup, Listen, ListenFailed, MediaNegotiated, Reinvite
from interfaces.sip.sdp.model import parse
from media.control.records import AudioFormat
from tests.support import sdp
from tests.support.sip_peer import PeerCall, UdpPeer
from tests.support.sip_process import SipProcess

pytestmark = pytest.mark.peers

FORMATS = (
    AudioFormat("PCMU", 8000, 1, 0),
    AudioFormat("PCMA", 8000, 1, 8),
    AudioFormat("G722", 8000, 1, 9, 16000),
    AudioFormat("G729", 8000, 1, 18, bit_rate=8000, fmtp="annexb=no"),
    AudioFormat("opus", 48000, 2, -1, 48000, fmtp="useinbandfec=1"),
    AudioFormat("iLBC", 8000, 1, -1, 8000, 15200, "mode=20"),
    AudioFormat("X-quite-NEW.1", 12000, 1, -1, 12000, 20000, "first=1;second;third=a b"),
    *(AudioFormat("speex", rate_hz, 1, -1, rate_hz) for rate_hz in (8000, 16000, 32000)),
    *(AudioFormat("L16", rate_hz, 1, 11 if rate_hz == 44100 else -1, rate_hz, 16 * rate_hz) for rate_hz in (8000, 44100, 48000)),
    *(AudioFormat(f"G726-{kbps}", 8000, 1, -1, 8000, 1000 * kbps) for kbps in (16, 24, 32, 40)),
)  # 16: more than pjmedia itself has


def listen(offered: tuple[str, ...] = ()) -> Listen:
    """All formats accepted."""
    accepted = choose(FORMATS, (), ()).accepted
    return Listen("127.0.0.1", 0, codecs=tuple(known.codec for known in accepted), formats=accepted, offered=offered)


@pytest.fixture
async def sip() -> AsyncIterator[SipProcess]:
    running = await SipProcess.start(listen(("PCMU/8000", "G729/8000", "OPUS/48000", "X-QUITE-NEW.1/12000")))
    yield running
    assert await running.stop() == 0
    assert "Traceback" not in running.log and "Assert" not in running.log, running.log


def offer_of(lines: str) -> str:
    """An offer of one audio stream; `lines`: payload types, then attributes, separated by `|`."""
    types, *attributes = lines.split("|")
    head = f"v=0\r\no=p 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP {types}\r\n"
    return head + "".join(f"a={line}\r\n" for line in attributes)


def call_with(peer: UdpPeer, name: str, offer: str) -> PeerCall:
    """Place a call with an offer."""
    call = PeerCall(peer, f"{name}@peer", "test")
    peer.calls[call.call_id] = call
    call.send_request("INVITE", offer)
    return call


async def test_every_format_is_negotiated(sip: SipProcess, peer: UdpPeer) -> None:
    for place, known in enumerate(FORMATS):
        kind = known.payload_type if known.payload_type >= 0 else 107
        channels = f"/{known.channels}" if known.channels > 1 else ""
        asked = "mode=20" if known.name == "iLBC" else "asked=1; for"
        rtpmap = f"rtpmap:{kind} {known.name.upper()}/{known.clock_hz}{channels}"
        call = call_with(
            peer, f"each{place}", offer_of(f"{kind} 110|{rtpmap}|fmtp:{kind} {asked}|rtpmap:110 telephone-event/{known.clock_hz}")
        )
        reply = await call.next(200)
        call.ack()
        answer = reply.body.decode()
        assert f" RTP/AVP {kind} 110\r\n" in answer, answer
        assert "\nb=" not in answer and sdp.fmtp_of(answer, kind) == known.fmtp
        media = (await sip.wait_for(MediaNegotiated, place + 1))[place]
        assert f"{media.codec}/{media.clock_hz}" == known.codec and media.channels == known.channels
        assert (media.payload_type_send, media.payload_type_receive, media.dtmf_send, media.dtmf_receive) == (
            kind,
            kind,
            110,
            110,
        )
        assert (media.ptime_ms, media.fmtp) == (20, "mode=20" if known.name == "iLBC" else "asked=1;for")
        assert await call.bye() == 200


@pytest.mark.parametrize(
    ("lines", "codec", "answered"),
    [
        ("107|rtpmap:107 opus/48000/2|fmtp:107 maxplaybackrate=16000;stereo=1", "OPUS/48000", "useinbandfec=1"),
        ("97|rtpmap:97 iLBC/8000|fmtp:97 mode=30|ptime:30", "ILBC/8000", "mode=30"),
        ("97|rtpmap:97 iLBC/8000", "ILBC/8000", "mode=30"),
        ("18|fmtp:18 annexb=yes|ptime:40", "G729/8000", "annexb=no"),
        ("10 11|rtpmap:10 L16/44100/2|rtpmap:11 L16/44100/1", "L16/44100", ""),
        ("99 98 0|rtpmap:99 AMR/8000|rtpmap:98 L16/44100", "L16/44100", ""),
        ("96 0|rtpmap:96 speex/44100", "PCMU/8000", ""),
    ],
)
async def test_what_phones_make_of_names(sip: SipProcess, peer: UdpPeer, lines: str, codec: str, answered: str) -> None:
    call = call_with(peer, "names", offer_of(lines))
    answer = (await call.next(200)).body.decode()
    call.ack()
    media = (await sip.wait_for(MediaNegotiated))[0]
    assert f"{media.codec}/{media.clock_hz}" == codec
    assert media.ptime_ms == int(lines.rpartition("ptime:")[2]) if "ptime:" in lines else 20
    assert sdp.fmtp_of(answer, media.payload_type_receive) == answered
    assert await call.bye() == 200


@pytest.mark.parametrize(
    ("rtpmap", "events", "number", "clock_hz"),
    [
        ("opus/48000/2", "110 telephone-event/8000", 110, 8000),
        ("opus/48000/2", "101 telephone-event/8000|102 telephone-event/48000", 102, 48000),
        ("opus/48000/2", "101 telephone-event/11025", 101, 11025),
        ("G722/8000", "110 telephone-event/16000", 110, 16000),
        ("G722/8000", "110 telephone-event/16000|96 Telephone-Event/8000", 96, 8000),
        ("speex/16000", "96 telephone-event/8000", 96, 8000),
        ("speex/32000", "110 telephone-event/8000", 110, 8000),
        ("L16/44100", "110 telephone-event/8000|111 telephone-event/44100", 111, 44100),
        ("PCMU/8000", "110 telephone-event/48000", 110, 48000),
    ],
)
async def test_keys_are_answered_as_they_are_offered(
    sip: SipProcess, peer: UdpPeer, rtpmap: str, events: str, number: int, clock_hz: int
) -> None:
    """At the audio's clock if they are, else at the one that there is: under the offer's number, in the answer and for the media process."""
    lines = "|".join(f"rtpmap:{event}" for event in events.split("|"))
    kind = {"G722/8000": 9, "PCMU/8000": 0}.get(rtpmap, 107)
    numbers = " ".join(event.split()[0] for event in events.split("|"))
    call = call_with(peer, "keys", offer_of(f"{kind} {numbers}|rtpmap:{kind} {rtpmap}|{lines}"))
    answer = (await call.next(200)).body.decode()
    call.ack()
    assert f" RTP/AVP {kind} {number}\r\n" in answer and f"a=rtpmap:{number} telephone-event/{clock_hz}\r\n" in answer, answer
    media = (await sip.wait_for(MediaNegotiated))[0]
    assert (media.dtmf_send, media.dtmf_receive) == (number, number)
    assert (media.dtmf_send_clock_hz, media.dtmf_receive_clock_hz) == (clock_hz, clock_hz)
    assert await call.bye() == 200


@pytest.mark.parametrize(("answered", "clock_hz"), [("8000", 8000), ("48000 8000", 48000), ("8000 48000", 48000), ("", 8000)])
async def test_keys_beside_opus_alone_in_our_offer(answered: str, clock_hz: int) -> None:
    """8000 Hz is there, too, and taken where it is all that the phone knows."""
    sip = await SipProcess.start(listen(("OPUS/48000",)))
    peer = await UdpPeer.open(sip.port)
    place = f"sip:peer@127.0.0.1:{peer.port}"
    sip.send(Dial(2, "<sip:me@127.0.0.1>", f"<{place}>", place, (), "127.0.0.1", 30000))
    call = await peer.take_invite()
    assert call.invite_message is not None
    stream = parse(call.invite_message.body.decode()).audio
    assert stream is not None and stream.codecs == ("OPUS/48000",) and sorted(stream.events.values()) == [8000, 48000]
    ours = {str(hz): int(kind) for kind, hz in stream.events.items()}
    theirs = {clock: 120 + place for place, clock in enumerate(answered.split())}
    lines = "".join(f"|rtpmap:{kind} telephone-event/{clock}" for clock, kind in theirs.items())
    opus = stream.formats[0]
    numbers = " ".join(map(str, (opus, *theirs.values())))
    call.reply(call.invite_message, 200, offer_of(f"{numbers}|rtpmap:{opus} opus/48000/2{lines}"))
    await call.next("ACK")
    media = (await sip.wait_for(MediaNegotiated))[0]
    clock = str(clock_hz)
    assert (media.dtmf_send, media.dtmf_receive) == (theirs.get(clock, -1), ours[clock] if theirs else -1)
    assert (media.dtmf_send_clock_hz, media.dtmf_receive_clock_hz) == (clock_hz, clock_hz)
    sip.send(Hangup(2))
    await call.taken_off()
    peer.close()
    assert await sip.stop() == 0


async def test_our_offer_and_the_answers_own_numbers(sip: SipProcess, peer: UdpPeer) -> None:
    place = f"sip:peer@127.0.0.1:{peer.port}"
    sip.send(Dial(2, "<sip:me@127.0.0.1>", f"<{place}>", place, (), "127.0.0.1", 30000))
    call = await peer.take_invite()
    assert call.invite_message is not None
    offer = call.invite_message.body.decode()
    assert sdp.audio_codecs(offer) == ["PCMU/8000", "G729/8000", "OPUS/48000", "X-QUITE-NEW.1/12000"]
    assert [line.rpartition("/")[2] for line in offer.split("\r\n") if "telephone-event" in line] == ["8000", "48000", "12000"]
    theirs = next(int(line[9:].split()[0]) for line in offer.split("\r\n") if "X-quite" in line)
    assert sdp.fmtp_of(offer, theirs) == "first=1;second;third=a b"
    call.reply(
        call.invite_message,
        200,
        offer_of("88|rtpmap:88 x-QUITE-new.1/12000|fmtp:88 of=theirs").replace(" 88", " 99").replace(":88", ":99"),
    )
    await call.next("ACK")
    media = (await sip.wait_for(MediaNegotiated))[0]
    assert (media.codec, media.payload_type_send, media.payload_type_receive, media.fmtp) == (
        "X-QUITE-NEW.1",
        99,
        theirs,
        "of=theirs",
    )
    sip.send(Hangup(2))
    await call.taken_off()


async def test_a_later_offer_of_ours_keeps_the_codec_in_use(sip: SipProcess, peer: UdpPeer) -> None:
    """It is none of those that we offer by ourselves."""
    call = call_with(peer, "kept", offer_of("101|rtpmap:101 G726-24/8000"))
    await call.next(200)
    call.ack()
    number = (await sip.wait_for(MediaNegotiated))[0].call
    sip.send(Reinvite(number, "sendonly"))
    request = await call.next("INVITE")
    offer = request.body.decode()
    assert "G726-24/8000" in sdp.audio_codecs(offer) and "a=sendonly" in offer
    kind = next(int(line[9:].split()[0]) for line in offer.split("\r\n") if "G726-24" in line)
    call.reply(request, 200, offer_of(f"{kind}|rtpmap:{kind} G726-24/8000|recvonly"))
    held = (await sip.wait_for(MediaNegotiated, 2))[1]
    assert held.codec == "G726-24" and not held.receive
    assert await call.bye() == 200


async def test_offer_in_the_answer(sip: SipProcess, peer: UdpPeer) -> None:
    """INVITE without description: the parameters that came with the ACK are the peer's."""
    call = peer.invite(offer=False)
    offer = (await call.next(200)).body.decode()
    assert sdp.audio_codecs(offer)[0] == "PCMU/8000"
    kind = next(int(line[9:].split()[0]) for line in offer.split("\r\n") if "opus" in line)
    call.ack(offer_of(f"{kind}|rtpmap:{kind} opus/48000/2|fmtp:{kind} usedtx=1"))
    media = (await sip.wait_for(MediaNegotiated))[0]
    assert (media.codec, media.fmtp) == ("OPUS", "usedtx=1")
    assert await call.bye() == 200


async def test_many_calls_in_all_codecs(sip: SipProcess, peer: UdpPeer) -> None:
    """One codec object serves every stream: streams that come and go in any order do not disturb each other."""
    standing: list[PeerCall] = []
    for place in range(120):
        known = FORMATS[place % len(FORMATS)]
        kind = known.payload_type if known.payload_type >= 0 else 107
        channels = f"/{known.channels}" if known.channels > 1 else ""
        call = call_with(peer, f"many{place}", offer_of(f"{kind}|rtpmap:{kind} {known.name}/{known.clock_hz}{channels}"))
        assert await call.final() == 200
        call.ack()
        standing.append(call)
        if place % 3 == 2:
            assert await standing.pop(place % len(standing)).bye() == 200
    assert len(await sip.wait_for(MediaNegotiated, 120)) == 120
    for call in standing:
        assert await call.bye() == 200


async def test_more_codecs_than_there_is_room_for_end_the_start() -> None:
    many = replace(listen(), formats=tuple(replace(listen().formats[0], name=f"X{number}") for number in range(65)))
    sip = await SipProcess.start(many)
    assert "no place for 65 codecs" in sip.of(ListenFailed)[0].reason
    await sip.stop()
