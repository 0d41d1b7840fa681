# SPDX-License-Identifier: GPL-2.0-or-later
"""HTTP/1.x requests out of a byte stream, for the two gateways whose bytes and speed no server library gives: pure, no socket.

Why not a library: XML-RPC clients may send any method and path, and bare LF line ends, and see exactly four reply headers in
a fixed order (spec di.md §3.4). Strict parsers refuse the first, frameworks add to the second, and both cost more than the
call itself. Bodies have a Content-Length or come in chunks (`http_chunks`); what else a request may have (upgrade) is for the framework
behind `web`.

Strict where laxness is dangerous: one Content-Length, digits only, no folded lines, every size checked before anything is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from interfaces.http_chunks import ChunkError, ChunkReader

MAX_HEAD_BYTES = 16384
"""Request line and headers together; common servers take 8 to 16 KiB."""
MAX_HEADERS = 100
_KNOWN_BYTES = 2048
"""Longest head that is kept for the next request: with 4096 connections that is 8 MB at most, and twice that with what was read from it."""
MAX_BODY_BYTES = 1 << 20
CHUNKED = -1
"""Length of a body that comes in chunks."""

_DIGITS = re.compile(rb"[0-9]{1,18}")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class BadRequest(Exception):
    """The stream cannot be read on; `status` 0 means: close without an answer, as SEMS does."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}" if status else reason)
        self.status, self.reason = status, reason


@dataclass(slots=True)
class HttpRequest:
    """One whole request. Header names are lower case; `source` is the peer's address, filled in by the shell.

    `headers` may be those of the connection's next request too: nobody changes them.
    """

    target: bytes
    keep_alive: bool
    headers: dict[bytes, bytes]
    body: bytes = b""
    source: str = ""
    admitted: bool = False
    """Its sender has said who he is, or need not."""
    secure: bool = False

    def header(self, name: bytes) -> str:
        """A header as text, empty when absent."""
        value = self.headers.get(name)
        return value.decode("latin-1") if value else ""


@dataclass(slots=True)
class RequestReader:
    """Collects bytes and gives whole requests. Feed with `receive_data`, then call `next_request` until it gives None."""

    max_body_bytes: int = MAX_BODY_BYTES
    buffer: bytearray = field(default_factory=bytearray)
    _head: HttpRequest | None = None
    _length: int = 0
    _chunks: ChunkReader | None = None
    wants_continue: bool = False
    _known: bytes = field(default=b"", repr=False)
    """The last head with the line that ends it: clients send one and the same time after time, and it is read once."""
    _meaning: tuple[HttpRequest, int] | None = field(default=None, repr=False)
    """What it says, without a body."""

    def receive_data(self, data: bytes) -> None:
        """Add what the peer sent."""
        self.buffer += data

    @property
    def pending(self) -> bool:
        """Whether a request has begun and is not complete."""
        return bool(self.buffer) or self._head is not None

    @property
    def held_bytes(self) -> int:
        """What is kept of a request that is not complete."""
        return len(self.buffer) + (len(self._chunks.body) if self._chunks is not None else 0)

    @property
    def between(self) -> bool:
        """Whether the next byte in the buffer begins a request."""
        return self._head is None

    def next_request(self) -> HttpRequest | None:
        """The next whole request, or None until more bytes come. Raises BadRequest."""
        head = self._head
        if head is None:
            head = self._read_head()
            if head is None:
                return None
            self._head = head
        if self._length == CHUNKED:
            if not self._take_chunks(head):
                return None
        elif len(self.buffer) < self._length:
            return None
        else:
            head.body = bytes(self.buffer[: self._length])
            del self.buffer[: self._length]
        self._head = None
        self.wants_continue = False
        return head

    def _take_chunks(self, head: HttpRequest) -> bool:
        """Read chunks into the body; True when it is complete. Raises BadRequest."""
        chunks = self._chunks = self._chunks or ChunkReader(self.max_body_bytes)
        try:
            complete = chunks.take(self.buffer)
        except ChunkError as error:
            raise (
                BadRequest(413, "Content Too Large") if error.too_large else BadRequest(400, f"Bad Request: {error}")
            ) from None
        if complete:
            head.body, self._chunks = bytes(chunks.body), None
            if not head.body:
                raise BadRequest(400, "Bad Request: the body is empty")
        return complete

    def _read_head(self) -> HttpRequest | None:
        buffer = self.buffer
        meaning = self._meaning
        if meaning is not None and buffer.startswith(self._known):
            del buffer[: len(self._known)]
        else:
            meaning = self._read_new_head()
            if meaning is None:
                return None
        said, self._length = meaning
        self.wants_continue = said.headers.get(b"expect", b"").lower() == b"100-continue" and (
            not buffer if self._length == CHUNKED else len(buffer) < self._length
        )
        return HttpRequest(said.target, said.keep_alive, said.headers)

    def _read_new_head(self) -> tuple[HttpRequest, int] | None:
        """Read a head that is not the last one; None until it is whole. Raises BadRequest."""
        buffer = self.buffer
        end = buffer.find(b"\r\n\r\n")
        size = 4
        bare = buffer.find(b"\n\n", 0, end if end >= 0 else len(buffer))
        if bare >= 0:
            end, size = bare, 2
        if end < 0:
            if len(buffer) > MAX_HEAD_BYTES:
                raise BadRequest(431, "Request Header Fields Too Large")
            return None
        if end > MAX_HEAD_BYTES:
            raise BadRequest(431, "Request Header Fields Too Large")
        meaning = parse_head(bytes(buffer[:end]), self.max_body_bytes)
        self._known, self._meaning = (bytes(buffer[: end + size]), meaning) if end <= _KNOWN_BYTES else (b"", None)
        del buffer[: end + size]
        return meaning


def parse_head(head: bytes, max_body_bytes: int) -> tuple[HttpRequest, int]:
    """Split request line and headers; returns the request without body, and the body's length. Raises BadRequest.

    Method and version's digits are not judged: any method works (spec di.md §3.4). Keep-alive as in HTTP/1.1 and 1.0.
    """
    lines = head.split(b"\n")
    if len(lines) > MAX_HEADERS + 1:
        raise BadRequest(431, "Request Header Fields Too Large")
    first = lines[0].split()
    headers: dict[bytes, bytes] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        name = name.lower()
        if not colon or not _NAME.fullmatch(name):
            raise BadRequest(400, "Bad Request")
        if name in headers and name in (b"content-length", b"transfer-encoding", b"authorization"):
            raise BadRequest(400, "Bad Request")
        headers[name] = value.strip(b" \t\r")
    connection = headers.get(b"connection", b"").lower()
    old = bool(first) and first[-1] == b"HTTP/1.0"
    keep_alive = b"keep-alive" in connection if old else b"close" not in connection
    return HttpRequest(first[1] if len(first) > 1 else b"", keep_alive, headers), body_length(headers, max_body_bytes)


def body_length(headers: dict[bytes, bytes], max_body_bytes: int) -> int:
    """The declared length of the body, CHUNKED for one that comes in chunks.

    Raises BadRequest, before a byte of it is kept, when it is absent, no number, or too large.
    """
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise BadRequest(415, "Unsupported Media Type")  # a few bytes could become any number
    text, coding = headers.get(b"content-length"), headers.get(b"transfer-encoding")
    if coding is not None:
        if text is not None:  # two readers could disagree about where the next request begins (RFC 9112 §6.3)
            raise BadRequest(400, "Bad Request: both Content-Length and Transfer-Encoding")
        if coding.lower() != b"chunked":
            raise BadRequest(501, "Not Implemented: Transfer-Encoding other than chunked")
        return CHUNKED
    if text is None:
        raise BadRequest(0, "no Content-Length and no chunks")
    if not _DIGITS.fullmatch(text):
        if text.isdigit():
            raise BadRequest(413, "Content Too Large")
        raise BadRequest(0, f"Content-Length {text[:20]!r} is no number")
    length = int(text)
    if length == 0:
        raise BadRequest(0, "Content-Length is 0")
    if length > max_body_bytes:
        raise BadRequest(413, "Content Too Large")
    return length
