# SPDX-License-Identifier: GPL-2.0-or-later
"""A phone with SIP over TLS and SRTP, both by itself: its keys and packets are `srtp_reference`'s, nothing of the server's.

peer = group.add(SecurePeer.saying(440, CM))
phone = SecurePhone(tls_port, peer, certificate)     # a Phone otherwise
phone.call("echo")                                   # offers a=crypto; the answer's key is taken
"""

from __future__ import annotations

import base64
import contextlib
import re
import secrets
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import tones
from tests.support.phone import Phone
from tests.support.rtp_peer import Peer
from tests.support.srtp_reference import CM, KEY_BYTES, NotAuthentic, Stream

_CRYPTO = re.compile(r"^a=crypto:(\d+) (\S+) inline:([^\s|]+)", re.MULTILINE)


@dataclass(eq=False)
class SecurePeer(Peer):
    """A peer that protects all that it sends and takes nothing that is not protected. `plain`: it does neither."""

    suite: str = CM
    key: bytes = b""
    mki: bytes = b""
    plain: bool = False
    sends: Stream | None = None
    hears: Stream | None = None
    protected: list[bytes] = field(default_factory=list)
    """What it has sent, as it went."""
    reports: list[bytes] = field(default_factory=list)
    refused: int = 0
    """Packets that were not authentic."""

    def __post_init__(self) -> None:
        Peer.__post_init__(self)
        self.take_key(self.key or secrets.token_bytes(KEY_BYTES[self.suite]))

    @classmethod
    def saying(cls, tone_hz: float, suite: str = CM, **more: object) -> SecurePeer:
        """One that says a tone."""
        return cls(tones.tone(tone_hz, 1000), suite=suite, **more)  # type: ignore[arg-type]

    def take_key(self, key: bytes) -> None:
        """Send under another key from now on."""
        self.key, self.sends = key, Stream(self.suite, key, self.mki)

    def closed(self, datagram: bytes) -> bytes:
        if self.plain or self.sends is None:
            return datagram
        self.protected.append(self.sends.protect(datagram))
        return self.protected[-1]

    def opened(self, datagram: bytes) -> bytes | None:
        if self.plain or self.hears is None:
            return datagram
        try:
            if 192 <= datagram[1] <= 223:
                self.reports.append(self.hears.unprotect_report(datagram))
                return None
            return self.hears.unprotect(datagram)
        except NotAuthentic:
            self.refused += 1
            return None

    def throw(self, datagram: bytes) -> None:
        """Send bytes as they are."""
        assert self.remote is not None
        self.socket.sendto(datagram, self.remote)

    def line(self, tag: int = 1, more: str = "") -> str:
        """Its crypto line."""
        mki = f"|{int.from_bytes(self.mki, 'big')}:{len(self.mki)}" if self.mki else ""
        return f"a=crypto:{tag} {self.suite} inline:{base64.b64encode(self.key).decode()}{mki}{more}"

    def hear_with(self, text: str) -> None:
        """Take the server's key from its description."""
        found = _CRYPTO.search(text)
        if found is None:
            self.hears = None
            return
        self.hears = Stream(found[2], base64.b64decode(found[3]))
        if found[2] != self.suite:
            self.suite = found[2]
            self.take_key(secrets.token_bytes(KEY_BYTES[self.suite]))


class _TlsSocket:
    """What a phone needs of a datagram socket, over one TLS connection: opened by the first that is sent, or by the server."""

    def __init__(self, certificate: Path) -> None:
        self._certificate = certificate
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._stream: ssl.SSLSocket | None = None
        self._timeout: float | None = None
        self._unread = b""

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", int(self._listening.getsockname()[1])

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds

    def sendto(self, data: bytes, server: tuple[str, int]) -> None:
        if self._stream is None:
            context = ssl.create_default_context(cafile=str(self._certificate))
            self._stream = context.wrap_socket(socket.create_connection(server, 20), server_hostname="127.0.0.1")
        self._stream.sendall(data)

    def recv(self, size: int) -> bytes:
        if self._stream is None:
            self._listening.settimeout(self._timeout)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(str(self._certificate))
            plain, _ = self._listening.accept()
            plain.settimeout(20)
            self._stream = context.wrap_socket(plain, server_side=True)
        while True:
            head, end, rest = self._unread.lstrip(b"\r\n").partition(b"\r\n\r\n")
            length = re.search(rb"(?im)^content-length *: *(\d+)", head)
            if end and len(rest) >= int(length[1] if length else 0):
                count = int(length[1] if length else 0)
                self._unread = rest[count:]
                return head + end + rest[:count]
            self._stream.settimeout(self._timeout)
            data = self._stream.recv(size)
            if not data:
                raise AssertionError("the server has closed the connection")
            self._unread += data

    def close(self) -> None:
        self._listening.close()
        if self._stream is not None:
            with contextlib.suppress(OSError):
                self._stream.close()


class SecurePhone(Phone):
    """`profile`: of its audio stream; `lines`: crypto lines of its descriptions, its peer's own by default."""

    transport = "TLS"
    peer: SecurePeer

    def __init__(
        self, tls_port: int, peer: SecurePeer, certificate: Path, profile: str = "RTP/SAVP", lines: tuple[str, ...] | None = None
    ) -> None:
        self._certificate = certificate
        super().__init__(tls_port, peer)
        self.profile, self.lines = profile, lines
        self.edit = self._with_keys

    def _connection(self) -> socket.socket:
        return _TlsSocket(self._certificate)  # type: ignore[return-value]

    @property
    def uri(self) -> str:
        return f"sip:phone@127.0.0.1:{self._port};transport=tls"

    def _with_keys(self, text: str) -> str:
        lines = (self.peer.line(),) if self.lines is None else self.lines
        return text.replace("RTP/AVP", self.profile) + "".join(f"{line}\r\n" for line in lines)

    def answered(self, seconds: float = 30.0) -> int:
        code = super().answered(seconds)
        if code < 300:
            self.peer.hear_with(self.answer)
        return code
