# SPDX-License-Identifier: GPL-2.0-or-later
"""RTP with 16-bit samples (L16, RFC 3551 §4.5.11), as a stream has it: packets in, samples out, and the reverse. Pure.

Samples are little-endian bytes, as Python's `array`, numpy and speech engines have them; on the wire they are big-endian.
"""

from __future__ import annotations

import array
import struct

PAYLOAD_TYPE = 96
FRAME_MS = 20
_HEADER = struct.Struct("!BBHII")
_MOST_GAP_MS = 2000
"""A longer one is no loss: the stream began anew."""


def _swapped(data: bytes) -> bytes:
    samples = array.array("h", data[: len(data) // 2 * 2])
    samples.byteswap()
    return samples.tobytes()


class RtpReader:
    """Packets to samples. What is lost becomes silence; what is late, or comes twice, is left out."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._ssrc = -1
        self._next = 0
        self.lost_samples = 0

    def read(self, packet: bytes) -> bytes:
        """The samples of a packet, behind the silence of what was lost before it; nothing for what is no packet of ours."""
        if len(packet) < 12 or packet[0] >> 6 != 2 or packet[1] & 0x7F != PAYLOAD_TYPE:
            return b""
        first, _, _, timestamp, ssrc = _HEADER.unpack_from(packet)
        begin = 12 + 4 * (first & 15)
        if first & 16:  # an extension (RFC 3550 §5.3.1)
            if len(packet) < begin + 4:
                return b""
            begin += 4 + 4 * int.from_bytes(packet[begin + 2 : begin + 4], "big")
        end = len(packet) - (packet[-1] if first & 32 else 0)
        samples = _swapped(packet[begin:end])
        if not samples:
            return b""
        gap = (timestamp - self._next + (1 << 31)) % (1 << 32) - (1 << 31)
        if ssrc != self._ssrc or abs(gap) > self._rate_hz * _MOST_GAP_MS // 1000:
            self._ssrc, gap = ssrc, 0
        elif gap < 0:
            return b""
        self._next = (timestamp + len(samples) // 2) % (1 << 32)
        self.lost_samples += gap
        return bytes(2 * gap) + samples


class RtpWriter:
    """Samples to packets, one a frame of 20 ms. `ssrc`, `sequence`, `timestamp`: random at first (RFC 3550 §5.1)."""

    def __init__(self, rate_hz: int, ssrc: int, sequence: int, timestamp: int) -> None:
        self.frame_bytes = rate_hz * FRAME_MS // 1000 * 2
        self._ssrc, self._sequence, self._timestamp = ssrc, sequence, timestamp
        self._spoke = False

    def pass_by(self) -> None:
        """A frame in which nothing is sent."""
        self._timestamp += self.frame_bytes // 2
        self._spoke = False

    def write(self, samples: bytes) -> bytes:
        """The packet of a frame; one that is too short is filled with silence. The first after a pause is marked (RFC 3551 §4.1)."""
        marker = 0 if self._spoke else 0x80
        header = _HEADER.pack(
            0x80, marker | PAYLOAD_TYPE, self._sequence % (1 << 16), self._timestamp % (1 << 32), self._ssrc % (1 << 32)
        )
        self._sequence += 1
        self._timestamp += self.frame_bytes // 2
        self._spoke = True
        return header + _swapped(samples[: self.frame_bytes].ljust(self.frame_bytes, b"\0"))
