# SPDX-License-Identifier: GPL-2.0-or-later
"""The messages of tests/vectors/sip_torture: read, made fit for a test's addresses, sent each from a socket of its own, replies kept.

What a file may hold beside the message's text is in the README there.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from interfaces.sip.message import Message, parse, tag_of, text_of

FOLDER = Path(__file__).resolve().parents[1] / "vectors" / "sip_torture"
IGNORED = "ignored"
_MARK = re.compile(rb"<hex>([0-9a-f ]*)</hex>|<repeat ([0-9]+)>(.*?)</repeat>")
_MESSAGE = re.compile(rb"SIP/2\.0 .*?\r\n\r\n", re.DOTALL)


@dataclass(frozen=True)
class Torture:
    """One message. `expected`: codes of which the final reply must have one, or `ignored` for none."""

    name: str
    title: str
    expected: frozenset[str]
    text: bytes

    def made(self, here: str, peer: str, transport: str) -> bytes:
        """The bytes to send. `here`: the server's host:port, `peer`: where replies are to come."""
        data = self.text.replace(b"\n", b"\r\n")
        for name, value in (("HERE", here), ("PEER", peer), ("TRANSPORT", transport)):
            data = data.replace(f"@{name}@".encode(), value.encode())
        data = _MARK.sub(_spelled, data)
        while (at := data.find(b"@LENGTH@")) >= 0:
            length = len(data) - data.index(b"\r\n\r\n", at) - 4
            data = data[:at] + str(length).encode() + data[at + 8 :]
        return data


def _spelled(found: re.Match[bytes]) -> bytes:
    return bytes.fromhex(found[1].decode()) if found[1] is not None else found[3] * int(found[2])


def read_all() -> list[Torture]:
    """Every message, by name."""
    return [_read(path) for path in sorted(FOLDER.glob("*.txt"))]


def _read(path: Path) -> Torture:
    head, _, text = path.read_bytes().partition(b"\n\n")
    lines = head.decode().splitlines()
    expected = next(line.removeprefix("# expect: ") for line in lines if line.startswith("# expect: "))
    return Torture(path.stem, lines[0].removeprefix("# "), frozenset(part.strip() for part in expected.split("|")), text)


class _Ear:
    """Collects what comes to one socket."""

    def __init__(self) -> None:
        self.data = b""

    def replies(self) -> list[Message]:
        """What came so far."""
        return [parse(text_of(found)) for found in _MESSAGE.findall(self.data)]


class _Datagrams(_Ear, asyncio.DatagramProtocol):
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.data += data


class _Stream(_Ear, asyncio.Protocol):
    def data_received(self, data: bytes) -> None:
        self.data += data


async def _open(transport: str, port: int) -> tuple[_Ear, asyncio.BaseTransport, Callable[[bytes], None]]:
    """A socket to the server: what it hears, itself, and how to send."""
    loop = asyncio.get_running_loop()
    if transport == "UDP":
        udp, datagrams = await loop.create_datagram_endpoint(_Datagrams, remote_addr=("127.0.0.1", port))
        return datagrams, udp, udp.sendto
    tcp, stream = await loop.create_connection(_Stream, "127.0.0.1", port)
    return stream, tcp, tcp.write


async def torture(messages: Sequence[Torture], transport: str, port: int, patience_s: float = 5.0) -> dict[str, list[Message]]:
    """Send all at once and collect the replies of each; calls that were answered are ended."""
    opened = {message.name: await _open(transport, port) for message in messages}
    for message in messages:
        _, socket, send = opened[message.name]
        peer = "{}:{}".format(*socket.get_extra_info("sockname")[:2])
        send(message.made(f"127.0.0.1:{port}", peer, transport))
    found: dict[str, list[Message]] = {}
    for _ in range(8):  # a busy machine takes longer to answer those that are to be answered
        await asyncio.sleep(patience_s)
        found = {name: ear.replies() for name, (ear, _, _) in opened.items()}
        if all(IGNORED in message.expected or outcome(found[message.name]) != IGNORED for message in messages):
            break
    for name, replies in found.items():
        answers = [reply for reply in replies if reply.code == 200 and reply.header("CSeq").endswith("INVITE")]
        for method in ("ACK", "BYE") if answers else ():
            opened[name][2](_inside(answers[0], method))
    await asyncio.sleep(0.5)
    for _, socket, _ in opened.values():
        socket.close()
    return found


def _inside(answer: Message, method: str) -> bytes:
    """A request inside the call that an answer began."""
    cseq = int(answer.header("CSeq").split()[0]) + (method == "BYE")
    via = re.sub(r"branch=[^;,]*", f"branch=z9hG4bK-end{method}{tag_of(answer.header('To'))}", answer.header("Via"))
    lines = [f"{method} sip:echo@server.example SIP/2.0", f"Via: {via}", f"CSeq: {cseq} {method}", "Max-Forwards: 70"]
    lines += [f"{name}: {answer.header(name)}" for name in ("From", "To", "Call-ID")]
    return ("\r\n".join(lines) + "\r\nContent-Length: 0\r\n\r\n").encode("utf-8", "surrogateescape")


def outcome(replies: list[Message]) -> str:
    """The code of the final reply; `ignored` when there was none."""
    return next((str(reply.code) for reply in replies if reply.code >= 200), IGNORED)
