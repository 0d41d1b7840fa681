# SPDX-License-Identifier: GPL-2.0-or-later
"""A small registrar by UDP for tests: it keeps every REGISTER with its time, checks digests, and does what the user part says.

    plain-…    takes anyone              brief-…   423, Min-Expires 1800        busy-…   503, Retry-After 1, then takes
    sha-…      asks with SHA-256         stale-…   every nonce is good for one use, then stale       wrong-…   401 for ever
    proxy-…    407, then 401             int-…     asks for auth-int only       garbage-…   noise before each good answer
    mute-…     answers nothing

Passwords are the user part behind the hyphen.
"""

from __future__ import annotations

import hashlib
import re
import select
import socket
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType

NOISE = (
    b"\0" * 40,
    b"SIP/2.0 200 OK\r\n\r\n",
    b"SIP/2.0 999 Odd\r\nVia: x\r\nContact: <<<>>>;expires=1\r\n\r\n",
    b"REGISTER",
    bytes(range(256)),
    b"SIP/2.0 200 OK\r\nContact: " + b"a" * 3000 + b"\r\n\r\n",
)


@dataclass
class Seen:
    """A REGISTER that came. `uses`: nc of its credentials, 0 without any; `good`: whether they are right."""

    user: str
    at: float
    expires: int
    cseq: int
    uses: int
    good: bool
    text: str = field(repr=False)


class SmallRegistrar:
    """Use as a context manager. `seen` grows while it runs; `grants_s` is what it grants at most."""

    def __init__(self, grants_s: int = 600, port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind(("127.0.0.1", port))
        self.port = int(self._socket.getsockname()[1])
        self.grants_s = grants_s
        self.seen: list[Seen] = []
        self._nonces: set[str] = set()
        self._used: set[str] = set()
        self._counts: dict[str, int] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def of(self, user: str) -> list[Seen]:
        """What came for a user, in order."""
        return [seen for seen in list(self.seen) if seen.user == user]

    def _run(self) -> None:
        while not self._stopping.is_set():
            if select.select([self._socket], [], [], 0.1)[0]:
                data, address = self._socket.recvfrom(65535)
                for answer in self._answers(data.decode("utf-8", "replace")):
                    self._socket.sendto(answer, address)

    def _answers(self, text: str) -> list[bytes]:
        if not text.startswith("REGISTER "):
            return []
        user = _found(r"\nTo:[^\r\n]*sip:([^@>]+)@", text)
        seen = Seen(
            user, time.monotonic(), int(_found(r"\nExpires: *(\d+)", text) or -1), int(_found(r"\nCSeq: *(\d+)", text)),
            int(_found(r"nc=([0-9a-f]{8})", text) or "0", 16), self._right(text, user), text,
        )  # fmt: skip
        again = any(seen.text == known.text for known in self.seen[-50:])
        if not again:
            self.seen.append(seen)
            self._counts[user] = self._counts.get(user, 0) + 1
        kind = user.partition("-")[0]
        if kind == "mute":
            return []
        answer = self._answer(kind, seen, self._counts[user])
        return [*NOISE, answer] if kind == "garbage" else [answer]

    def _answer(self, kind: str, seen: Seen, count: int) -> bytes:
        text = seen.text
        if kind == "brief" and 0 < seen.expires < 1800:
            return _reply(text, "423 Interval Too Brief", "Min-Expires: 1800\r\n")
        if kind == "busy" and count == 1:
            return _reply(text, "503 Service Unavailable", "Retry-After: 1\r\n")
        if kind == "wrong":
            return self._ask(text, "401 Unauthorized", "WWW-Authenticate")
        if kind == "int":
            return self._ask(text, "401 Unauthorized", "WWW-Authenticate", qop="auth-int")
        if kind == "proxy" and "\nProxy-Authorization:" not in text:
            return self._ask(text, "407 Proxy Authentication Required", "Proxy-Authenticate", realm="way")
        if kind in ("sha", "stale", "digest", "proxy") and not seen.good:
            return self._ask(text, "401 Unauthorized", "WWW-Authenticate", "SHA-256" if kind == "sha" else "MD5")
        if kind == "stale":
            nonce = _found(r'nonce="([^"]*)"', text)
            if nonce in self._used:
                return self._ask(text, "401 Unauthorized", "WWW-Authenticate", stale=True)
            self._used.add(nonce)
        contact = _found(r"\nContact: *(<[^\r\n>]*>)", text)
        granted = min(seen.expires, self.grants_s)
        return _reply(text, "200 OK", f"Contact: {contact};expires={granted}\r\n" if granted > 0 else "")

    def _ask(
        self,
        text: str,
        status: str,
        name: str,
        algorithm: str = "MD5",
        stale: bool = False,
        realm: str = "here",
        qop: str = "auth",
    ) -> bytes:
        nonce = f"n{len(self._nonces)}"
        self._nonces.add(nonce)
        more = ", stale=true" if stale else ""
        challenge = f'{name}: Digest realm="{realm}", nonce="{nonce}", qop="{qop}", opaque="o", algorithm={algorithm}{more}\r\n'
        return _reply(text, status, challenge)

    def _right(self, text: str, user: str) -> bool:
        """Whether the credentials for the realm `here` are right (RFC 7616 §3.4.1)."""
        line = _found(r"\n(Authorization: [^\r\n]*)", text)
        given = {name: bare or quoted for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^",\s]+))', line)}
        if not {"realm", "nonce", "uri", "nc", "cnonce", "response"} <= set(given) or given["nonce"] not in self._nonces:
            return False

        def digest(words: str) -> str:
            return hashlib.new("sha256" if given.get("algorithm") == "SHA-256" else "md5", words.encode()).hexdigest()

        secret = digest(f"{user}:{given['realm']}:{user.partition('-')[2]}")
        asked = digest(f"REGISTER:{given['uri']}")
        expected = digest(f"{secret}:{given['nonce']}:{given['nc']}:{given['cnonce']}:auth:{asked}")
        return given["realm"] == "here" and given["response"] == expected

    def __enter__(self) -> SmallRegistrar:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stopping.set()
        self._thread.join(5)
        self._socket.close()


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""


def _reply(text: str, status: str, headers: str) -> bytes:
    lines = [line for line in text.split("\r\n") if re.match(r"(Via|From|To|Call-ID|CSeq):", line)]
    lines = [line + ";tag=r" if line.startswith("To:") and ";tag=" not in line else line for line in lines]
    return ("SIP/2.0 " + status + "\r\n" + "\r\n".join(lines) + "\r\n" + headers + "Content-Length: 0\r\n\r\n").encode()
