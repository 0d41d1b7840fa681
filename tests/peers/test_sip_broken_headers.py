# SPDX-License-Identifier: GPL-2.0-or-later
"""No request is left without an answer: each header of it broken in each way, by UDP and by TCP, at the real process.

Each goes from a socket of its own, for of what is broken nothing can be found again. It is served or gets a 4xx or 5xx that repeats what came.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from di.sip.records import Hangup, Listen
from interfaces.sip.message import Message, parse, text_of
from tests.support.sip_process import SipProcess
from tests.support.sizes import size

pytestmark = [pytest.mark.peers, pytest.mark.timeout(180)]

HEADERS = {
    "Via": "SIP/2.0/{transport} {host}:{port};branch=z9hG4bK{n};rport",
    "Max-Forwards": "70",
    "From": "Somebody <sip:them@127.0.0.1>;tag=t{n}",
    "To": "<sip:us@127.0.0.1>",
    "Call-ID": "broken{n}@127.0.0.1",
    "CSeq": "7 {method}",
    "Contact": "<sip:them@{host}:{port}>",
    "Route": "<sip:127.0.0.1:{server};lr>",
    "Record-Route": "<sip:127.0.0.1:{server};lr>",
    "Content-Type": "application/sdp",
    "Content-Disposition": "session",
    "Content-Encoding": "identity",
    "Content-Language": "en",
    "Require": "timer",
    "Content-Length": "{length}",
}
FURTHER = {
    "Expires": "60", "Event": "presence", "Subscription-State": "active", "Refer-To": "<sip:a@127.0.0.1>", "RAck": "1 1 INVITE", "Date": "now",
    "Replaces": "a;to-tag=b;from-tag=c", "Session-Expires": "90", "Min-SE": "90", "Supported": "timer", "Allow": "INVITE", "Accept": "a/b",
    "Authorization": "Digest realm=a", "Proxy-Require": "x", "Referred-By": "<sip:a@b>", "Reason": "SIP", "P-Asserted-Identity": "<sip:a@b>",
    "User-Agent": "x", "Subject": "x", "Warning": "399 a b", "Retry-After": "1", "Timestamp": "1", "Allow-Events": "presence", "Identity": "x",
}  # fmt: skip
METHODS = (
    "REGISTER",
    "SUBSCRIBE",
    "NOTIFY",
    "REFER",
    "MESSAGE",
    "PRACK",
    "UPDATE",
    "BYE",
    "INFO",
    "PUBLISH",
    "CANCEL",
    "FURTHER",
)
BODY = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
VALUES = [
    "",
    " ", "<", ">", ";", ",", ",,", ";;", "@", '"', "a b", "<sip:ussd@1@127.0.0.1>", '"d" <ussd-1@example>', "<sip:x", '"open <sip:x@y>',
    "<sip:127.0.0.1;lr;did=a,b>", "<sip:a@b>, <", "sip:", "<>", "<sip:@>", "\x00", "\x01\x7f", "ünï \udcff", "%", "*", "-1", "0",
    "99999999999999999999",
    "1 INVITE extra", "x" * 1200, "<sip:" + "y" * 300 + "@z>", "SIP/2.0/UDP", "SIP/3.0/UDP h;rport", "a/b/c", "text", "/", "a\tb", "<mailto:a@b>",
    "(a",
]  # fmt: skip
LINES = [
    "{method} sip:us@127.0.0.1", "{method} sip:us@127.0.0.1 SIP/2.1", "{method} sip:us@127.0.0.1 SIP/3.0", "{method}  sip:us@127.0.0.1 SIP/2.0",
    "{method} sip:us@127.0.0.1  SIP/2.0", "{method} <sip:us@127.0.0.1> SIP/2.0", "{method} mailto:us@127.0.0.1 SIP/2.0", "{method} us SIP/2.0",
    "{method} sip:us@1@127.0.0.1 SIP/2.0", "{method} sip:us@127.0.0.1;a b SIP/2.0", "{method} sip:us@127.0.0.1;x=,y SIP/2.0", "{method} sip: SIP/2.0",
    "{method} sip:us@[::1 SIP/2.0", "{method} sip:us@127.0.0.1:99999999 SIP/2.0", "{method} tel:+1 SIP/2.0", "{method} sip:us@127.0.0.1 SIP/2.0 ",
    "{method} sip:%zz@127.0.0.1 SIP/2.0",
]  # fmt: skip


@dataclass
class Sent:
    """A request and what came of it."""

    name: str
    text: str
    heard: bytes = b""
    told: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def answer(self) -> Message | None:
        """The final reply."""
        for part in self.heard.split(b"\r\n\r\n"):
            message = parse(text_of(part.lstrip()))
            if message.code >= 200:
                return message
        return None


def request(method: str, broken: str = "", value: str | None = "", line: str = "", ending: str = "\r\n") -> str:
    """A request in which a header is broken, or missing (`value` None); what depends on the socket is in braces."""
    headers = {name: good for name, good in HEADERS.items() if name != broken}
    lines = [f"{name}: {good}" for name, good in headers.items() if name != "Content-Length"]
    if broken and value is not None:
        lines.insert(3, f"{broken}: " + value.replace("{", "(").replace("}", ")"))
    lines += [f"Content-Length: {headers['Content-Length']}"] if broken != "Content-Length" else []
    return ending.join([line or "{method} sip:us@127.0.0.1:{server} SIP/2.0", *lines, "", ""]).replace("{method}", method) + BODY


def systematic(transport: str) -> Iterator[tuple[str, str]]:
    """Each header in each way, missing and twice; each request line; other line ends, with which a stream has no end of a head."""
    for method in ("INVITE", "OPTIONS"):
        for name, good in HEADERS.items():
            for value in (*VALUES, None):
                yield f"{method} {name}: {value!r:.40}", request(method, name, value)
            yield f"{method} {name} twice", request(method).replace(f"{name}: {good}", f"{name}: {good}\r\n{name}: {good}")
        for line in LINES:
            yield f"{method} line {line}", request(method, line=line)
    for method in ("INVITE", *METHODS):
        for name in (*FURTHER, *HEADERS):
            for value in (";", "<", "\x00", None):
                yield f"{method} {name}: {value!r}", request(method, name, value)
    for name, value in (("From", "<"), ("Expires", "never"), ("To", None)) if transport == "UDP" else ():
        yield f"LF only, {name}", request("OPTIONS", name, value, ending="\n")


def by_chance(seed: int, count: int) -> Iterator[tuple[str, str]]:
    """Bytes changed, left out and put in within a header's value."""
    rng = random.Random(seed)
    for number in range(count):
        name = rng.choice([name for name in HEADERS if name != "Content-Length"])
        value = list(HEADERS[name])
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(value) + 1)
            value[at : at + rng.choice((0, 0, 1, 3))] = rng.choice(
                ["", "<", ">", '"', ";", ",", "@", ":", "\\", "%", " ", "\t", "\0", "=", "é", "{", "(", "/", "0", "z"]
            )
        yield (
            f"{seed}.{number} {name}: {''.join(value)}",
            request(rng.choice(("INVITE", "OPTIONS", "MESSAGE")), name, "".join(value)),
        )


class _Ear(asyncio.Protocol, asyncio.DatagramProtocol):
    def __init__(self, sent: Sent) -> None:
        self.sent = sent

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.data_received(data + b"\r\n\r\n")

    def data_received(self, data: bytes) -> None:
        self.sent.heard += data
        if self.sent.answer is not None:
            self.sent.told.set()


async def exchange(transport: str, port: int, number: int, sent: Sent, patience_s: float = 40.0) -> None:
    """Send it from a socket of its own and wait for its final reply."""
    loop = asyncio.get_running_loop()
    if transport == "UDP":
        udp, _ = await loop.create_datagram_endpoint(lambda: _Ear(sent), remote_addr=("127.0.0.1", port))
        socket: asyncio.BaseTransport = udp
        send = udp.sendto
    else:
        tcp, _ = await loop.create_connection(lambda: _Ear(sent), "127.0.0.1", port)
        socket, send = tcp, tcp.write  # type: ignore[assignment]
    host, own = socket.get_extra_info("sockname")[:2]
    words = {"transport": transport, "host": host, "port": own, "n": number, "server": port, "length": len(BODY)}
    text = sent.text
    for word, value in words.items():
        text = text.replace(f"{{{word}}}", str(value))
    send(text.encode("utf-8", "surrogateescape"))
    try:
        async with asyncio.timeout(patience_s):
            await sent.told.wait()
    except TimeoutError:
        pass
    finally:
        socket.close()


async def all_answered(sip: SipProcess, transport: str, messages: Iterator[tuple[str, str]]) -> list[Sent]:
    """Each gets a final reply. Some at a time, for each has a socket."""
    sip.on_offer = lambda offer: sip.send(Hangup(offer.call, 486, "Busy Here"))
    everything = [Sent(name, text) for name, text in messages]
    for first in range(0, len(everything), 100):
        batch = everything[first : first + 100]
        await asyncio.gather(*(exchange(transport, sip.port, first + n, sent) for n, sent in enumerate(batch)))
        assert not sip.lost.is_set(), sip.log[-3000:]
    assert "Dropping" not in sip.log and "Error processing" not in sip.log, "pjsip speaks of what it drops as if that were all"
    silent = [sent.name for sent in everything if sent.answer is None]
    assert not silent, f"{len(silent)} without an answer: " + "\n".join(silent)
    return everything


@pytest.fixture
def listen() -> Listen:
    return Listen("127.0.0.1", 0)


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_each_broken_header_gets_an_answer(sip: SipProcess, transport: str) -> None:
    for sent in await all_answered(sip, transport, systematic(transport)):
        answer = sent.answer
        assert answer is not None and answer.code in (200, 400, 403, 404, 405, 415, 416, 420, 481, 484, 486, 488, 500, 501, 505, 513), (
            sent.name, answer.start_line
        )  # fmt: skip


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_what_chance_breaks_gets_an_answer(sip: SipProcess, transport: str) -> None:
    await all_answered(sip, transport, by_chance(random.randrange(2**32), size(300, 20_000)))
