# SPDX-License-Identifier: GPL-2.0-or-later
"""Netstring framing, `<decimal length>:<payload>,` (spec di.md §4.2). Pure.

A frame that breaks a rule ends the connection: the stream cannot be read on. A length is judged before a byte of it is kept.
SEMS loses a connection whose first read ends behind the colon; here frames may come in any pieces.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_PAYLOAD_BYTES = 20 * 1024 * 1024 - 2
"""SEMS's own limit (spec di.md §4.2); the configured one is lower."""
_MAX_DIGITS = 10


class FramingError(Exception):
    """The peer sent something that is no netstring, or a longer one than is taken."""


@dataclass(slots=True)
class FrameReader:
    """Collects bytes and gives payloads. Feed with `receive_data`, then call `next_frame` until it gives None."""

    max_payload_bytes: int = MAX_PAYLOAD_BYTES
    buffer: bytearray = field(default_factory=bytearray)
    _length: int = -1

    def receive_data(self, data: bytes) -> None:
        """Add what the peer sent."""
        self.buffer += data

    @property
    def pending(self) -> bool:
        """Whether a frame has begun and is not complete."""
        return bool(self.buffer) or self._length >= 0

    def next_frame(self) -> bytes | None:
        """The next payload, or None until more bytes come. Empty frames are skipped. Raises FramingError."""
        while True:
            if self._length < 0 and not self._read_length():
                return None
            length = self._length
            if len(self.buffer) <= length:
                return None
            if self.buffer[length] != 0x2C:
                raise FramingError("the comma behind the payload is missing")
            payload = bytes(self.buffer[:length])
            del self.buffer[: length + 1]
            self._length = -1
            if payload:
                return payload

    def _read_length(self) -> bool:
        head = bytes(self.buffer[: _MAX_DIGITS + 1])
        digits, colon, _ = head.partition(b":")
        if not digits and not colon:
            return False
        if not digits.isdigit():
            raise FramingError(f"a frame begins with its length in digits, not with {head[:20]!r}")
        if not colon:
            if len(digits) > _MAX_DIGITS:
                raise FramingError(f"the length has more than {_MAX_DIGITS} digits")
            return False
        if digits[0] == 0x30 and len(digits) > 1:
            raise FramingError("the length has a leading zero")
        length = int(digits)
        if length > self.max_payload_bytes:
            raise FramingError(f"a frame of {length} bytes is longer than {self.max_payload_bytes}")
        del self.buffer[: len(digits) + 1]
        self._length = length
        return True


FRAME = (b"%d:", b",")
"""What stands before a payload, with its length, and behind it."""


def encode(payload: bytes) -> bytes:
    """Frame one payload."""
    return b"%d:%s," % (len(payload), payload)
