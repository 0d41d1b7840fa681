# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever bytes reach the SIP port, the process lives, its memory stays bounded and the next call works.

Messages in the manner of RFC 4475 (torture), of the advisories that hit pjsip (long CSeq method, multipart, bad fmtp, SDP without
clock) and random mutations of good ones, over UDP and TCP.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from di.sip.outside_records import SendOutside, TakeOutside
from di.sip.records import CallConfirmed, Reinvite, SendRequest
from interfaces.sip.message import text_of, wire_bytes
from tests.support.sip_peer import PeerOutside, UdpPeer, description
from tests.support.sip_process import SipProcess
from tests.support.sipp import place_calls
from tests.support.sizes import size
from tests.support.usage import resident_kb

pytestmark = pytest.mark.peers


@pytest_asyncio.fixture
async def sip() -> AsyncIterator[SipProcess]:
    process = await SipProcess.start()
    yield process
    assert await process.stop() == 0, process.log[-3000:]
    assert "Traceback" not in process.log, process.log[-3000:]


def invite(port: int, **parts: str) -> bytes:
    """A good INVITE with parts exchanged for bad ones."""
    words = {
        "line": f"INVITE sip:a@127.0.0.1:{port} SIP/2.0",
        "via": "Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKx",
        "from": "From: <sip:b@127.0.0.1>;tag=1",
        "to": f"To: <sip:a@127.0.0.1:{port}>",
        "callid": "Call-ID: garbage@127.0.0.1",
        "cseq": "CSeq: 1 INVITE",
        "contact": "Contact: <sip:b@127.0.0.1:9>",
        "type": "Content-Type: application/sdp",
        "more": "Max-Forwards: 70",
        "body": "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n",
        **parts,
    }
    body = words.pop("body")
    length = words.pop("length", f"Content-Length: {len(body.encode())}")
    head = "\r\n".join(value for value in [*words.values(), length] if value)
    return (head + "\r\n\r\n" + body).encode("utf-8", "surrogateescape")


SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
TORTURE: dict[str, dict[str, str]] = {
    "no via": {"via": ""},
    "no from": {"from": ""},
    "no to": {"to": ""},
    "no call-id": {"callid": ""},
    "no cseq": {"cseq": ""},
    "cseq of another method": {"cseq": "CSeq: 1 BYE"},
    "cseq out of range": {"cseq": "CSeq: 99999999999999999999 INVITE"},
    "long cseq method": {"cseq": "CSeq: 1 " + "A" * 3000},
    "negative length": {"length": "Content-Length: -999"},
    "length beyond the packet": {"length": "Content-Length: 9999"},
    "two lengths": {"length": "Content-Length: 1\r\nContent-Length: 500"},
    "two call-ids": {"callid": "Call-ID: a\r\nCall-ID: b"},
    "unclosed quote": {"to": 'To: "Mr. J. User <sip:a@127.0.0.1>'},
    "spaces in the uri": {"line": "INVITE sip:a@127.0.0.1; lr SIP/2.0"},
    "unknown scheme": {"line": "INVITE nobodyknows:this SIP/2.0"},
    "unknown version": {"line": "INVITE sip:a@127.0.0.1 SIP/7.0"},
    "escaped nul": {"line": "INVITE sip:a%00@127.0.0.1 SIP/2.0", "from": "From: <sip:%00%00@127.0.0.1>;tag=1"},
    "raw nul": {"from": "From: \0<sip:b@127.0.0.1>;tag=\0\0"},
    "utf-8 and worse": {"from": 'From: "\udcff\udcfe ünï" <sip:b@127.0.0.1>;tag=1'},
    "folded": {"more": "Max-Forwards:\r\n \r\n\t70\r\nSubject: a\r\n  b\r\n\tc"},
    "max-forwards 0": {"more": "Max-Forwards: 0"},
    "max-forwards wrong": {"more": "Max-Forwards: 300000000000"},
    "unknown require": {"more": "Require: nothingSupportsThis, nothingSupportsThisEither"},
    "proxy-require": {"more": "Proxy-Require: nothing"},
    "expires too large": {"more": "Expires: 1000000000000000000000"},
    "session timer wrong": {"more": "Session-Expires: 0;refresher=nobody\r\nMin-SE: -1"},
    "date wrong": {"more": "Date: Fri, 01 Jan 2010 16:00:00 EST"},
    "replaces nothing": {"more": "Replaces: a;to-tag=b;from-tag=c"},
    "many headers": {"more": "\r\n".join(f"X-{n}: {n}" for n in range(200))},
    "multipart": {"type": "Content-Type: multipart/mixed;boundary=x", "body": "--x\r\nContent-Type: application/sdp\r\n\r\nv=0"},
    "multipart without end": {"type": "Content-Type: multipart/mixed;boundary=", "body": "--\r\n\r\n--\r\n" * 50},
    "unknown content": {"type": "Content-Type: application/unknown", "body": "\1\2\3"},
    "type without slash": {"type": "Content-Type: sdp"},
    "sdp empty": {"body": ""},
    "sdp no media": {"body": SDP},
    "sdp media without codec": {"body": SDP + "m=audio 4000 RTP/AVP\r\n"},
    "sdp clock zero": {"body": SDP + "m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 PCMU/0\r\n"},
    "sdp payload type huge": {"body": SDP + "m=audio 4000 RTP/AVP 4294967296 -1 0\r\na=rtpmap:4294967296 PCMU/8000\r\n"},
    "sdp bad fmtp": {"body": SDP + "m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 opus/48000/2\r\na=fmtp:97 " + ";" * 500 + "\r\n"},
    "sdp fmtp without type": {"body": SDP + "m=audio 4000 RTP/AVP 0\r\na=fmtp\r\na=rtpmap\r\na=rtcp:\r\na=ptime:-20\r\n"},
    "sdp ptime zero": {"body": SDP + "m=audio 4000 RTP/AVP 0\r\na=ptime:0\r\na=maxptime:0\r\n"},
    "sdp many media": {"body": SDP + "m=audio 4000 RTP/AVP 0\r\n" * 60},
    "sdp no connection": {"body": "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"},
    "sdp bad address": {"body": SDP.replace("IP4 127.0.0.1", "IP4 999.1.1.1") + "m=audio 4000 RTP/AVP 0\r\n"},
    "sdp long line": {"body": SDP + "m=audio 4000 RTP/AVP 0\r\na=" + "x" * 2500 + "\r\n"},
    "sdp crypto": {"body": SDP + "m=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:xxx\r\n"},
    "contact star": {"contact": "Contact: *"},
    "contact missing": {"contact": ""},
    "route to us": {"more": "Route: <sip:127.0.0.1;lr>, <sip:127.0.0.1;lr>\r\nRecord-Route: <sip:127.0.0.1>"},
    "via loops": {"via": "\r\n".join(f"Via: SIP/2.0/UDP 127.0.0.1:{n};branch=z9hG4bK{n}" for n in range(1, 40))},
    "via huge port": {"via": "Via: SIP/2.0/UDP 127.0.0.1:999999;branch=z9hG4bKp;rport=abc;maddr=1"},
    "via unknown transport": {"via": "Via: SIP/2.0/UNKNOWN 127.0.0.1:9;branch=z9hG4bKu"},
    "tag twice": {"from": "From: <sip:b@127.0.0.1>;tag=1;tag=2"},
}
OTHERS = [
    b"",
    b"\r\n\r\n",
    b"\0" * 1200,
    b"SIP/2.0 200 OK\r\n\r\n",
    b"INVITE\r\n\r\n",
    b"A" * 60000,
    b"SIP/2.0 999 \xff\r\nVia: x\r\n\r\n",
]


def send_udp(port: int, *packets: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for packet in packets:
            sock.sendto(packet, ("127.0.0.1", port))


def send_tcp(port: int, *packets: bytes) -> None:
    for packet in packets:
        with socket.create_connection(("127.0.0.1", port), 30) as sock:
            sock.sendall(packet)


async def next_call_works(sip: SipProcess) -> None:
    result = await asyncio.to_thread(place_calls, 1, "after", sip.port, 50)
    assert result.successful == 1 and not sip.lost.is_set(), result.errors + sip.log[-3000:]


async def test_torture_over_udp(sip: SipProcess) -> None:
    for number, (name, parts) in enumerate(TORTURE.items()):
        via = f"Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKt{number}"
        bad = invite(sip.port, **{"callid": f"Call-ID: t{number}", "via": via, **parts})
        await asyncio.to_thread(send_udp, sip.port, bad)
        await asyncio.sleep(0.01)
        assert not sip.lost.is_set(), f"{name} ended the process: {sip.log[-3000:]}"
    await asyncio.to_thread(send_udp, sip.port, *OTHERS)
    await next_call_works(sip)


async def test_torture_over_tcp(sip: SipProcess) -> None:
    bad = [invite(sip.port, **{"callid": f"Call-ID: c{n}", **parts}) for n, parts in enumerate(TORTURE.values())]
    packets = [packet.replace(b"/UDP", b"/TCP") for packet in bad]
    await asyncio.to_thread(send_tcp, sip.port, *packets, *OTHERS)
    await next_call_works(sip)


async def test_torture_inside_a_call(sip: SipProcess) -> None:
    """Bad re-INVITEs, INFOs and BYEs for dialogs that exist only half."""
    for number, parts in enumerate(TORTURE.values()):
        for method in ("INVITE", "INFO", "BYE", "OPTIONS", "NOTIFY"):
            bad = invite(sip.port, **{"to": f"To: <sip:a@127.0.0.1>;tag=x{number}", **parts}).replace(b"INVITE", method.encode())
            await asyncio.to_thread(send_udp, sip.port, bad)
    await next_call_works(sip)


@settings(max_examples=size(4, 34), deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_mutations(seed: int) -> None:
    """A few hundred mutated messages a seed (thousands at full size), then a call."""

    async def once() -> None:
        sip = await SipProcess.start()
        rng = random.Random(seed)
        good = [invite(sip.port), *(invite(sip.port, **parts) for parts in TORTURE.values())]
        for _ in range(size(600, 3000) // 50):  # no more at once than the socket's buffer holds
            await asyncio.to_thread(send_udp, sip.port, *(mutated(rng, rng.choice(good)) for _ in range(50)))
            await asyncio.sleep(0.02)
        await next_call_works(sip)
        assert await sip.stop(0) == 0 and "Traceback" not in sip.log, sip.log[-3000:]

    asyncio.run(once())


@settings(max_examples=size(3, 8), deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_mutations_of_what_fits(seed: int) -> None:
    """Requests with the right tags, and replies to our own, each a little wrong; the hub takes part in all of it."""

    async def once() -> None:
        sip, rng = await SipProcess.start(), random.Random(seed)
        peer = await UdpPeer.open(sip.port)
        sip.send(TakeOutside(("OPTIONS", "MESSAGE", "NOTIFY")))
        call = peer.invite()
        await call.next(200)
        call.ack()
        await sip.wait_for(CallConfirmed)
        target = f"sip:them@127.0.0.1:{peer.port}"
        good: list[str] = []
        plain = peer.send
        peer.send = good.append  # type: ignore[method-assign]
        for method in ("INVITE", "UPDATE", "INFO", "REFER", "MESSAGE", "OPTIONS", "NOTIFY", "ACK", "PRACK"):
            call.send_request(
                method,
                description(40000),
                headers="Replaces: a;to-tag=b;from-tag=c\r\nRefer-To: <sip:x@h>\r\nRAck: 1 1 INVITE\r\n",
            )
        peer.send = plain  # type: ignore[method-assign]
        good += [text.replace(";tag=", ";gat=", 2) for text in good]
        for step in range(size(60, 200)):
            token = 2 * step + 1
            sip.send(SendOutside(token, "MESSAGE", target, "<sip:us@127.0.0.1>", f"<{target}>", username="a", password="b"))
            sip.send(SendRequest(1, "INFO", token + 1, ("X-A: \udcff",)))
            if step % 10 == 0:
                sip.send(Reinvite(1, token=10_000 + step, offer=step % 20 == 0))
            await asyncio.sleep(0.005)
            requests = [one.request_message for one in peer.calls.values() if isinstance(one, PeerOutside)]
            while not call.messages.empty():
                requests.append(call.messages.get_nowait())
            good_replies: list[str] = []
            peer.send = good_replies.append  # type: ignore[method-assign]
            for request in requests:
                if request.method not in ("", "ACK"):
                    challenge = 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"\r\n'
                    call.reply(request, rng.choice((200, 401, 407, 491, 302, 180)), description(40000), challenge)
            peer.send = plain  # type: ignore[method-assign]
            for text in [rng.choice(good), rng.choice(good), *good_replies[-3:]]:
                peer.send(text_of(mutated(rng, wire_bytes(text))))
        peer.close()
        await next_call_works(sip)
        assert await sip.stop(0) == 0 and "Traceback" not in sip.log, sip.log[-3000:]

    asyncio.run(once())


def mutated(rng: random.Random, message: bytes) -> bytes:
    """Flip, cut, repeat or insert, a few times."""
    data = bytearray(message)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0 and data:
            data[at % len(data)] = rng.randrange(256)
        elif kind == 1:
            del data[at : at + rng.randint(1, 40)]
        elif kind == 2:
            data[at:at] = data[at : at + rng.randint(1, 60)] * rng.randint(1, 4)
        else:
            data[at:at] = rng.choice([b"\r\n", b"\0", b";", b"<", b'"', b":", b"%00", b"\xff", b"a=rtpmap:", b"m=audio "])
    return bytes(data[:60000])


async def test_a_flood_of_requests_leaves_memory_bounded(sip: SipProcess) -> None:
    """REGISTER, OPTIONS, MESSAGE and stray in-dialog requests: answered or dropped without keeping anything."""
    methods = ("REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE", "INFO")

    def flood(start: int, count: int) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for n in range(start, start + count):
                via = f"Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKf{n}"
                good = invite(sip.port, callid=f"Call-ID: f{n}", via=via, body="", type="")
                sock.sendto(good.replace(b"INVITE", methods[n % len(methods)].encode()), ("127.0.0.1", sip.port))

    await asyncio.to_thread(flood, 0, 3000)
    await next_call_works(sip)
    before = resident_kb(sip.pid)
    await asyncio.to_thread(flood, 3000, 6000)
    await next_call_works(sip)
    assert resident_kb(sip.pid) - before < 8000
