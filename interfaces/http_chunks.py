# SPDX-License-Identifier: GPL-2.0-or-later
"""A body that comes in chunks (RFC 9112 §7.1), out of a byte stream: pure. Extensions and trailers are read over.

5\\r\\nhello\\r\\n 6;x=y\\r\\n world\\r\\n 0\\r\\n Trailer: z\\r\\n \\r\\n          → b"hello world"
"""

from __future__ import annotations

import re

MAX_LINE_BYTES = 1024
MAX_TRAILER_BYTES = 16384

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(;[^\n]*)?")


class ChunkError(Exception):
    """What comes is no chunk, or too much; the text says which. `too_large`: the body is over its limit."""

    def __init__(self, reason: str, too_large: bool = False) -> None:
        super().__init__(reason)
        self.too_large = too_large


class ChunkReader:
    """Collects one body. `body`: what has come of it, never more than `max_body_bytes`."""

    def __init__(self, max_body_bytes: int) -> None:
        self.body = bytearray()
        self._max_body_bytes = max_body_bytes
        self._left = -1  # of the present chunk with its line end; -1: a size comes next
        self._trailer_bytes = -1  # read of it; -1: it has not begun

    def take(self, buffer: bytearray) -> bool:
        """Move what belongs to the body out of `buffer`; True when it is complete. Raises ChunkError."""
        while True:
            if self._left > 0:
                if not self._take_data(buffer):
                    return False
                continue
            line = _take_line(buffer)
            if line is None:
                return False
            if self._trailer_bytes >= 0:
                self._trailer_bytes += len(line)
                if self._trailer_bytes > MAX_TRAILER_BYTES:
                    raise ChunkError("the trailer is too long")
                if not line:
                    return True
            else:
                self._begin(line)

    def _begin(self, line: bytes) -> None:
        match = _SIZE.fullmatch(line)
        if match is None:
            raise ChunkError(f"{line[:20]!r} is no chunk size")
        size = int(match[1], 16)
        if len(self.body) + size > self._max_body_bytes:
            raise ChunkError(f"more than {self._max_body_bytes} bytes", too_large=True)
        if size:
            self._left = size + 2
        else:
            self._trailer_bytes = 0

    def _take_data(self, buffer: bytearray) -> bool:
        """Take of a chunk what is there; True when all of it was."""
        data = buffer[: max(self._left - 2, 0)]
        self.body += data
        del buffer[: len(data)]
        self._left -= len(data)
        if self._left > 2 or len(buffer) < 2:
            return False
        if buffer[:2] != b"\r\n":
            raise ChunkError("a chunk is longer than its size says")
        del buffer[:2]
        self._left = -1
        return True


def _take_line(buffer: bytearray) -> bytes | None:
    """Take a line without its end; None when it has not come whole. Raises ChunkError for one without end."""
    end = buffer.find(b"\r\n", 0, MAX_LINE_BYTES + 2)
    if end < 0:
        if len(buffer) > MAX_LINE_BYTES:
            raise ChunkError("a line of the chunks is too long")
        return None
    line = bytes(buffer[:end])
    del buffer[: end + 2]
    return line
