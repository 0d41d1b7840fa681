# SPDX-License-Identifier: GPL-2.0-or-later
"""A proxy that takes NOTIFYs by UDP, in a thread: answers each, keeps what it was told; may ask for credentials or be out of order.

with MwiPeer() as proxy:
    … presence_server=127.0.0.1:{proxy.port} …
    proxy.wait("ann@shop.example", "1/0")
"""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from types import TracebackType

from interfaces.sip.message import Message, parse
from tests.support.server import wait_until

REALM, NONCE = "boxes", "abc123"


class MwiPeer:
    """`codes`: the next replies, 200 when it is empty; `login`: user and password that it asks for."""

    def __init__(self, login: tuple[str, str] | None = None) -> None:
        self.told: list[tuple[str, str]] = []
        """Box and `new/old` of each NOTIFY that was accepted."""
        self.messages: list[Message] = []
        self.codes: list[int] = []
        self._login = login
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> MwiPeer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.sendto(b"", ("127.0.0.1", self.port))  # an empty datagram ends the thread
        self._thread.join(10)
        self._socket.close()

    def wait(self, box: str, counts: str) -> None:
        """Wait until the last word of a box is that."""
        wait_until(lambda: ([c for b, c in self.told if b == box] or [""])[-1] == counts, f"{counts} of {box}; {self.told}")

    def of(self, box: str) -> list[str]:
        """All that was said of a box."""
        return [counts for name, counts in self.told if name == box]

    def _serve(self) -> None:
        seen: dict[tuple[str, str], bytes] = {}
        while True:
            data, source = self._socket.recvfrom(65536)
            if not data:
                return
            message = parse(data.decode())
            key = (message.header("Call-ID"), message.header("CSeq"))
            if key not in seen:
                seen[key] = self._answer(message)
            self._socket.sendto(seen[key], source)

    def _answer(self, message: Message) -> bytes:
        self.messages.append(message)
        code, more = self.codes.pop(0) if self.codes else 200, ""
        if self._login is not None and not self._knows(message):
            code, more = 407, f'Proxy-Authenticate: Digest realm="{REALM}", nonce="{NONCE}", algorithm=MD5\r\n'
        if code == 200:
            text = message.body.decode()
            box = re.search(r"^Message-Account: sip:(.*?)\r$", text, re.MULTILINE)
            counts = re.search(r"^Voice-Message: (\S+)", text, re.MULTILINE)
            assert box is not None and counts is not None, text
            self.told.append((box[1], counts[1]))
        vias = "".join(f"Via: {value}\r\n" for name, value in message.headers if name == "Via")
        head = "".join(f"{name}: {message.header(name)}\r\n" for name in ("From", "Call-ID", "CSeq"))
        to = f"To: {message.header('To')};tag=proxy\r\n"
        return f"SIP/2.0 {code} Reply\r\n{vias}{head}{to}{more}Content-Length: 0\r\n\r\n".encode()

    def _knows(self, message: Message) -> bool:
        """Whether the credentials are right (RFC 2617, without qop)."""
        given = dict(re.findall(r'(\w+)="?([^",]*)"?', message.header("Proxy-Authorization")))
        assert self._login is not None
        user, password = self._login
        first = hashlib.md5(f"{user}:{REALM}:{password}".encode()).hexdigest()
        second = hashlib.md5(f"NOTIFY:{given.get('uri')}".encode()).hexdigest()
        return given.get("response") == hashlib.md5(f"{first}:{NONCE}:{second}".encode()).hexdigest()
