# SPDX-License-Identifier: GPL-2.0-or-later
"""What a codec is to the engine: one record. A new codec is one file in this folder with a ``CODECS`` tuple.

There are two kinds. *Array codecs* (G.711, L16) are coded by the kernels, all legs at once; their records say only how.
*Library codecs* have a ``coder``: the kernels leave their legs' audio as plain samples, and the engine calls the library once a
frame and leg.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from media.dsp.coding import NATIVE

Samples = NDArray[np.int16]
Payload = NDArray[np.uint8]


class Coder(Protocol):
    """One leg's encoder and decoder in a library codec; samples are int16 at the codec's rate."""

    def encode(self, samples: Samples) -> bytes:
        """Return the payload of a packet of whole frames (``Codec.frame_ms``), at most LONGEST_PACKET_MS long."""

    def decode(self, payload: bytes) -> Samples:
        """Return a payload's samples; none when it is not of this codec."""

    def conceal(self, count: int) -> Samples:
        """Return so many samples in place of a lost payload; none when the codec has no way of its own."""


@dataclass(frozen=True, slots=True)
class Said:
    """What session descriptions say of a codec.

    `name`: usual spelling of its rtpmap name, empty for upper case · `payload_type`: static number (RFC 3551 §6), -1 for none ·
    `fmtp`: our own parameters · `bit_rate`: most bits a second that we send.
    """

    name: str = ""
    payload_type: int = -1
    fmtp: str = ""
    bit_rate: int = 64000


def _any_parameters(fmtp: str) -> bool:
    return True


@dataclass(frozen=True, slots=True, eq=False)
class Codec:
    """One wire format at one rate.

    `rtpmap`: name in upper case · `clock_hz`: RTP clock · `rate_hz`: samples a second once decoded · `coding`: how the kernels code it
    (``media.dsp.coding``) · `sample_bytes`: bytes a sample in the packet matrix · `encode`: int16 (n,) → uint8 (n · sample_bytes,), a
    new array · `decode`: the reverse · `coder`: makes a leg's Coder from the SDP's fmtp · `channels`: as its rtpmap says · `frame_ms`:
    a packet's length is a multiple of it · `said`: what session descriptions say of it · `takes`: whether it is the one for such fmtp
    parameters of the peer's · `joins`: a packet of several frames is their bytes one after the other · `delay_samples`: by which
    encoding and decoding once is late · `passes`: a decoder that has heard other packets before soon finds into a stream, so that
    payloads may be passed on. There is one record of each, so they are told apart as objects.
    """

    rtpmap: str
    clock_hz: int
    rate_hz: int
    coding: int
    sample_bytes: int
    encode: Callable[[Samples], Payload]
    decode: Callable[[Payload], Samples]
    coder: Callable[[str], Coder] | None = None
    channels: int = 1
    frame_ms: int = 10
    said: Said = field(default_factory=Said)
    takes: Callable[[str], bool] = _any_parameters
    joins: bool = True
    delay_samples: int = 0
    passes: bool = True


def native_codec(
    rtpmap: str,
    clock_hz: int,
    rate_hz: int,
    coder: Callable[[str], Coder],
    channels: int = 1,
    frame_ms: int = 20,
    said: Said | None = None,
    takes: Callable[[str], bool] = _any_parameters,
    joins: bool = True,
    delay_samples: int = 0,
    passes: bool = True,
) -> Codec:
    """Return the record of a library codec."""
    return Codec(
        rtpmap,
        clock_hz,
        rate_hz,
        NATIVE,
        2,
        _to_bytes,
        _from_bytes,
        coder,
        channels,
        frame_ms,
        said or Said(),
        takes,
        joins,
        delay_samples,
        passes,
    )


def parameters(fmtp: str) -> dict[str, str]:
    """Return fmtp parameters (`a=b; c=d`) by name in lower case; of those without a value it is empty, the first of a name counts."""
    found: dict[str, str] = {}
    for part in fmtp.split(";"):
        name, _, value = part.partition("=")
        if name.strip():
            found.setdefault(name.strip().lower(), value.strip().strip('"'))
    return found


def number(fmtp: dict[str, str], name: str, low: int, high: int) -> int | None:
    """Return a whole number among `parameters`, brought into limits; None without it, or when it is none."""
    text = fmtp.get(name, "")
    return min(max(int(text[:9]), low), high) if text.isascii() and text.isdigit() else None


TICK_MS = 20
LONGEST_PACKET_BYTES = 1400
"""Longer ones are cut into fragments on most networks; only frames of a tick that are longer by themselves are sent so."""

LONGEST_PACKET_MS = 120


def packet_ms(codec: Codec, ptime_ms: int) -> int:
    """Return how long packets to a peer are that asks for `ptime_ms`: whole frames, not more than asked for, never over the
    limits above (RFC 4566 §6: ptime is a wish; RFC 3551 §4.2: any whole number of frames)."""
    fitting = LONGEST_PACKET_BYTES * 1000 // (codec.sample_bytes * codec.rate_hz) if codec.coder is None else LONGEST_PACKET_MS
    longest = max(min(fitting, LONGEST_PACKET_MS), min(TICK_MS, max(ptime_ms, 1)))
    return max(min(ptime_ms, longest) // codec.frame_ms, 1) * codec.frame_ms


def load_library(name: str) -> ctypes.CDLL | None:
    """Load a shared library by its full name; None when this machine has none, its codecs are then not offered."""
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None


def _to_bytes(samples: Samples) -> Payload:
    return samples.astype(np.int16).view(np.uint8)


def _from_bytes(payload: Payload) -> Samples:
    return payload.view(np.int16)
