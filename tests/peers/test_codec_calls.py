# SPDX-License-Identifier: GPL-2.0-or-later
"""Every codec in real calls to the whole server: negotiated, and the caller hears itself; codecs that change in mid-call.

The caller's SIP is written by hand, its sound made by the codec's library: what baresip has too, `test_interop_baresip.py` shows.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from media import codecs
from media.codecs.codec import Codec
from tests.support import sdp, tones
from tests.support.codec_peer import CodecPeer, answered, audio_offer, offer_call
from tests.support.rtp_peer import PeerGroup
from tests.support.server import Server, wait_until
from tests.support.sip_peer import UdpPeer

pytestmark = pytest.mark.peers

TONE_HZ = 1000.0
OTHERS_HZ = [600.0, 1400.0, 2600.0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(
        tmp_path_factory.mktemp("server"), {"app_mapping.conf": "^sip:room=>webconference\n^sip:echo=>echo\n"}
    ) as running:
        yield running


@dataclass(frozen=True)
class Case:
    """How a caller names a codec. `payload_type`: what it offers · `rtpmap`: empty for a static type without one."""

    codec: Codec
    payload_type: int
    rtpmap: str
    fmtp: str = ""
    packet_ms: int = 20

    def lines(self) -> list[str]:
        """The lines of the offer."""
        found = [f"a=rtpmap:{self.payload_type} {self.rtpmap}"] if self.rtpmap else []
        found += [f"a=fmtp:{self.payload_type} {self.fmtp}"] if self.fmtp else []
        return found

    def __str__(self) -> str:
        return f"{self.rtpmap or self.codec.rtpmap} {self.fmtp} as {self.payload_type}, {self.packet_ms} ms"


def cases() -> list[Case]:
    """Each codec by its usual name and number, then the ways in which phones name some of them otherwise."""
    made = []
    for place, known in enumerate(codecs.formats()):
        codec = codecs.find(known.name, known.clock_hz, known.fmtp)
        assert codec is not None
        rtpmap = f"{known.name}/{known.clock_hz}" + (f"/{known.channels}" if known.channels > 1 else "")
        made.append(Case(codec, known.payload_type if known.payload_type >= 0 else 97 + place, rtpmap, known.fmtp))
    for name, clock_hz, payload_type, rtpmap, fmtp, packet_ms in (
        ("PCMU", 8000, 0, "", "", 20),
        ("PCMU", 8000, 100, "pcmu/8000/1", "", 20),
        ("G729", 8000, 18, "", "annexb=yes", 40),
        ("G721", 8000, 2, "G726-32/8000", "", 20),
        ("L16", 44100, 99, "L16/44100", "", 20),
        ("SPEEX", 8000, 98, "SPEEX/8000", 'mode="4,any"', 20),
        ("OPUS", 48000, 111, "opus/48000/2", "maxplaybackrate=16000; maxaveragebitrate=20000;cbr=1", 20),
        ("ILBC", 8000, 97, "iLBC/8000", "mode=30", 30),
        ("ILBC", 8000, 97, "ilbc/8000", "", 30),
    ):
        codec = codecs.find(name, clock_hz, fmtp)
        if codec is not None:
            made.append(Case(codec, payload_type, rtpmap, fmtp, packet_ms))
    return made


async def phone_of(server: Server) -> UdpPeer:
    return await UdpPeer.open(server.sip_port)


def speaker(group: PeerGroup, case: Case, frequency_hz: float = TONE_HZ) -> CodecPeer:
    """A caller that says a tone."""
    samples = tones.tone(frequency_hz, 1000, case.codec.rate_hz)
    peer = CodecPeer(samples, case.payload_type, codec=case.codec, fmtp=case.fmtp, packet_ms=case.packet_ms)
    group.peers.append(peer)
    return peer


def hears(peer: CodecPeer, frequency_hz: float = TONE_HZ, skip_ms: int = 400) -> bool:
    """Whether the last second of what a caller heard holds its tone and no other."""
    assert peer.codec is not None
    sound = peer.sounds(skip_ms)
    rate_hz = peer.codec.rate_hz
    return len(sound) > rate_hz and tones.heard(sound[-rate_hz:], [frequency_hz, *OTHERS_HZ], rate_hz, 1500) == {frequency_hz}


async def listen(group: PeerGroup, *peers: CodecPeer) -> None:
    """Let all talk until each of these hears its tone, for a while at most."""
    for _ in range(15):
        await asyncio.to_thread(group.run_ms, 1500)
        if all(map(hears, peers)):
            return


@pytest.mark.parametrize("batch", range(4))
def test_each_codec_is_negotiated_and_heard(server: Server, batch: int) -> None:
    async def calls() -> list[str]:
        phone = await phone_of(server)
        with PeerGroup() as group:
            held = []
            for case in cases()[batch::4]:
                peer = speaker(group, case)
                call, answer = await offer_call(phone, "echo", peer, audio_offer(peer, *case.lines()))
                held.append((case, peer, call, answer))
            await listen(group, *(peer for _, peer, *_ in held))
            for *_, call, _answer in held:
                assert await call.bye() == 200
            phone.close()
            return [problem for case, peer, _, answer in held if (problem := wrong(case, peer, answer))]

    assert asyncio.run(calls()) == []
    wait_until(lambda: server.xml.calls() == 0, "all calls are over")


def wrong(case: Case, peer: CodecPeer, answer: str) -> str:
    """What is wrong with a call; empty when nothing is."""
    media = re.search(r"m=audio [0-9]+ RTP/AVP (.*)", answer)
    assert media is not None
    if media[1].split() != [str(case.payload_type)]:
        return f"{case}: answered with types {media[1]}"
    if case.codec.rtpmap == "ILBC" and f"mode={case.packet_ms}" not in sdp.fmtp_of(answer, case.payload_type):
        return f"{case}: answered with {sdp.fmtp_of(answer, case.payload_type)!r}"
    if case.codec.rtpmap == "G729" and sdp.fmtp_of(answer, 18) != "annexb=no":
        return f"{case}: answered with {sdp.fmtp_of(answer, 18)!r}"
    return "" if hears(peer) else f"{case}: not heard, {len(peer.packets)} packets"


def test_another_codec_by_reinvite(server: Server) -> None:
    """From narrow band to wide, to a codec without array operations and back: the caller goes on hearing itself."""

    async def calls() -> list[str]:
        phone = await phone_of(server)
        with PeerGroup() as group:
            chain = [case for name in ("PCMU/8000", "opus/48000/2", "G729/8000", "L16/16000", "GSM/8000", "PCMU/8000")
                     for case in cases() if case.rtpmap == name and not case.fmtp.startswith("maxp")]  # fmt: skip
            peer = speaker(group, chain[0])
            call, _ = await offer_call(phone, "echo", peer, audio_offer(peer, *chain[0].lines()))
            problems = []
            for place, case in enumerate(chain):
                if place:
                    peer = peer.changed(case.codec, case.payload_type, tones.tone(TONE_HZ, 1000, case.codec.rate_hz), case.fmtp)
                    call.send_request("INVITE", audio_offer(peer, *case.lines()))
                    await answered(call, peer)
                await listen(group, peer)
                if not hears(peer):
                    problems.append(f"{case} as number {place}: {len(peer.packets)} packets")
            assert await call.bye() == 200
            phone.close()
            return problems

    assert asyncio.run(calls()) == []


def test_dialled_party_chooses_its_own_payload_numbers(server: Server) -> None:
    """The server's offer numbers Opus and iLBC one way, the answer another: each side is sent what it has asked for."""

    async def call_taken(name: str, payload_type: int, fmtp: str) -> str:
        phone = await phone_of(server)
        uri = f"sip:bob@127.0.0.1:{phone.port}"
        dialling = asyncio.to_thread(server.xml.di, "di_dial", "dial", "echo", "bob", "sip:me@here.example", uri)
        call, _ = await asyncio.gather(phone.take_invite(), dialling)
        assert call.invite_message is not None
        offer = call.invite_message.body.decode()
        found = re.search(rf"a=rtpmap:([0-9]+) ({name}/[0-9/]+)", offer, re.IGNORECASE)
        assert found is not None and int(found[1]) != payload_type, offer
        codec = codecs.find(name, int(found[2].split("/")[1]), fmtp)
        assert codec is not None
        with PeerGroup() as group:
            case = Case(codec, payload_type, found[2], fmtp)
            peer = speaker(group, case)
            peer.payload_type, peer.receive_type = int(found[1]), payload_type
            peer.remote = sdp.audio_address(offer)
            call.reply(call.invite_message, 200, audio_offer(peer, *case.lines(), types=(payload_type,)))
            await call.next("ACK")
            await listen(group, peer)
            call.send_request("BYE")
            await call.final()
            phone.close()
            return (
                "" if hears(peer) else f"{name}: {len(peer.packets)} packets, types { ({p.payload_type for p in peer.packets}) }"
            )

    assert asyncio.run(call_taken("opus", 77 + 40, "useinbandfec=1")) == ""
    assert asyncio.run(call_taken("iLBC", 127, "mode=20")) == ""


def test_offer_fits_into_one_packet(server: Server) -> None:
    """RFC 3261 §18.1.1: a longer INVITE would have to go by TCP, which many peers do not take."""

    async def offered() -> tuple[int, list[str]]:
        phone = await phone_of(server)
        uri = f"sip:+493098765432@127.0.0.1:{phone.port}"
        dialling = asyncio.to_thread(server.xml.di, "di_dial", "dial", "echo", "bob", "sip:+4930123456@server.example.org", uri)
        call, _ = await asyncio.gather(phone.take_invite(), dialling)
        message = call.invite_message
        assert message is not None
        await call.refuse(486)
        phone.close()
        length = sum(len(name) + len(value) + 4 for name, value in message.headers) + len(message.body) + 80
        return length, sdp.audio_codecs(message.body.decode())

    length, names = asyncio.run(offered())
    assert length < 1300
    assert names[:4] == ["PCMU/8000", "GSM/8000", "PCMA/8000", "G722/8000"]
    assert {"OPUS/48000", "SPEEX/8000"} < set(names)


def test_long_offer_is_understood(server: Server) -> None:
    """A phone that offers everything and addresses beside it: over a kilobyte, which pjsua2 would show as nothing."""

    async def calls() -> bool:
        phone = await phone_of(server)
        with PeerGroup() as group:
            case = next(case for case in cases() if case.rtpmap == "iLBC/8000" and case.fmtp == "mode=20")
            peer = speaker(group, case)
            more = [f"a=candidate:{i} 1 UDP 2130706431 192.0.2.{i} {40000 + i} typ host" for i in range(1, 31)]
            offer = audio_offer(peer, *case.lines(), *more)
            assert len(offer) > 1500
            call, answer = await offer_call(phone, "echo", peer, offer)
            assert sdp.fmtp_of(answer, case.payload_type) == "mode=20"
            await listen(group, peer)
            assert await call.bye() == 200
            phone.close()
            return hears(peer)

    assert asyncio.run(calls())
