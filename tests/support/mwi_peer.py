# SPDX-License-Identifier: GPL-2.0-or-later
"""Phones that take NOTIFYs by UDP, in a thread: each is answered, and what it said of which box is kept.

with MwiPeer() as phones:
    … presence_server=127.0.0.1:{phones.port} …
    phones.wait("ann@shop.example", "1/0")
"""

from __future__ import annotations

import re
import socket
import threading
from types import TracebackType

from interfaces.sip.message import Message, parse
from tests.support.server import wait_until


class MwiPeer:
    """`codes`: the next replies, 200 when it is empty."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        """Box and `new/old` of each NOTIFY that was accepted."""
        self.messages: list[Message] = []
        self.codes: list[int] = []
        self._registered: set[str] = set()
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

    def register(self, user: str, port: int) -> None:
        """Bind a user of a registrar, which asks for no password, to these phones."""
        here = f"127.0.0.1:{self.port}"
        self._socket.sendto(
            f"REGISTER sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{user}\r\nFrom: <sip:{user}@127.0.0.1>;tag=r\r\n"
            f"To: <sip:{user}@127.0.0.1>\r\nCall-ID: register-{user}\r\nCSeq: 1 REGISTER\r\nMax-Forwards: 5\r\nExpires: 600\r\n"
            f"Contact: <sip:{user}@{here}>\r\nContent-Length: 0\r\n\r\n".encode(),
            ("127.0.0.1", port),
        )
        wait_until(lambda: user in self._registered, f"{user} is registered")

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
            if message.code:
                if message.code == 200:
                    self._registered.add(message.header("Call-ID").removeprefix("register-"))
                continue
            key = (message.header("Call-ID"), message.header("CSeq"))
            if key not in seen:
                seen[key] = self._answer(message)
            self._socket.sendto(seen[key], source)

    def _answer(self, message: Message) -> bytes:
        self.messages.append(message)
        code = self.codes.pop(0) if self.codes else 200
        if code == 200:
            text = message.body.decode()
            box = re.search(r"^Message-Account: sip:(.*?)\r$", text, re.MULTILINE)
            counts = re.search(r"^Voice-Message: (\S+)", text, re.MULTILINE)
            assert box is not None and counts is not None, text
            self.told.append((box[1], counts[1]))
        vias = "".join(f"Via: {value}\r\n" for name, value in message.headers if name == "Via")
        head = "".join(f"{name}: {message.header(name)}\r\n" for name in ("From", "Call-ID", "CSeq"))
        to = f"To: {message.header('To')};tag=phone\r\n"
        return f"SIP/2.0 {code} Reply\r\n{vias}{head}{to}Content-Length: 0\r\n\r\n".encode()
