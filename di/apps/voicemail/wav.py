# SPDX-License-Identifier: GPL-2.0-or-later
"""Wav files that nobody has finished: a recorder that was killed leaves a header that says "no samples". Pure.

The header is written again with the length that the file has; the samples are all there but for the last second.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEAD_BYTES = 65_536
"""So much of a file's beginning is enough: its header is before the samples."""
_LONGEST = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class WavLength:
    """`length_ms` of the samples that are there. `repairs`: bytes to be written, each at its place; none where the header is right."""

    length_ms: int
    repairs: tuple[tuple[int, bytes], ...] = ()


def measure(head: bytes, size: int) -> WavLength | None:
    """Measure a wav file of `size` bytes that begins with `head`. None: it is none, or has no samples' chunk (RFC 2361, RIFF)."""
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    at, byte_rate, frame = 12, 0, 1
    while at + 8 <= len(head):
        name, (length,) = head[at : at + 4], struct.unpack_from("<I", head, at + 4)
        if name == b"fmt " and at + 24 <= len(head):
            byte_rate, frame = struct.unpack_from("<IH", head, at + 16)
        elif name == b"data":
            return _measured(at, length, size, byte_rate, max(frame, 1), struct.unpack_from("<I", head, 4)[0])
        at += 8 + length + (length & 1)
    return None


def _measured(at: int, declared: int, size: int, byte_rate: int, frame: int, riff: int) -> WavLength | None:
    there = min(size - at - 8, _LONGEST - at)
    if byte_rate <= 0 or there < 0:
        return None
    if 0 < declared <= there and riff + 8 <= size + 1:
        return WavLength(declared * 1000 // byte_rate)
    data = there - there % frame
    repairs = ((4, struct.pack("<I", at + data)), (at + 4, struct.pack("<I", data)))
    return WavLength(data * 1000 // byte_rate, repairs)
