# SPDX-License-Identifier: GPL-2.0-or-later
"""G.722 and G.726 by spandsp (RFC 3551 §4.5.2, §4.5.4). G.722 samples at 16 kHz although its RTP clock is 8 kHz."""

from __future__ import annotations

import ctypes
from functools import partial

import numpy as np

from media.codecs.codec import Codec, Said, Samples, load_library, native_codec

G722_BIT_RATE = 64000
G722_DELAY_SAMPLES = 22
"""Of its two filter banks, at 16 kHz."""

G726_LINEAR = 0
G726_FIRST_IN_LOW_BITS = 2
"""Packing of RFC 3551: the first code word in the least significant bits."""

G726_BIT_RATES = {"G726-32": 32000, "G726-40": 40000, "G726-24": 24000, "G726-16": 16000, "G721": 32000}
G721_PAYLOAD_TYPE = 2
"""Reserved by RFC 3551 §4.5.4 because of its past, and still what many phones call G.726 at 32 kbit/s."""

LONGEST_SAMPLES = 16000 * 120 // 1000

_library = load_library("libspandsp.so.2")
if _library is not None:
    for _name in ("g722_encode_init", "g722_decode_init", "g726_init"):
        getattr(_library, _name).restype = ctypes.c_void_p
    for _name in ("g722_encode_free", "g722_decode_free", "g726_free"):
        getattr(_library, _name).argtypes = [ctypes.c_void_p]


class _SpandspCoder:
    """Encoder and decoder of spandsp that share their way of being called."""

    def __init__(self, encoder: ctypes.c_void_p, decoder: ctypes.c_void_p, calls: tuple[str, str], ends: tuple[str, str]) -> None:
        self._encoder, self._decoder, self._ends = encoder, decoder, ends
        self._encode, self._decode = (getattr(_library, name) for name in calls)
        self._out = ctypes.create_string_buffer(LONGEST_SAMPLES)
        self._samples = np.zeros(4 * LONGEST_SAMPLES, np.int16)

    def __del__(self) -> None:
        for state, end in zip((self._encoder, self._decoder), self._ends, strict=True):
            getattr(_library, end)(state)

    def encode(self, samples: Samples) -> bytes:
        """Encode any even number of samples up to 120 ms."""
        count = self._encode(self._encoder, self._out, ctypes.c_void_p(samples.ctypes.data), min(len(samples), LONGEST_SAMPLES))
        return self._out.raw[:count]

    def decode(self, payload: bytes) -> Samples:
        """Decode up to 120 ms."""
        length = min(len(payload), LONGEST_SAMPLES)
        count = self._decode(self._decoder, ctypes.c_void_p(self._samples.ctypes.data), payload, length)
        return self._samples[:count].copy()

    def conceal(self, count: int) -> Samples:
        """None of its own."""
        return np.zeros(0, np.int16)


def _g722(fmtp: str) -> _SpandspCoder:
    assert _library is not None
    states = (ctypes.c_void_p(getattr(_library, f"g722_{way}_init")(None, G722_BIT_RATE, 0)) for way in ("encode", "decode"))
    return _SpandspCoder(next(states), next(states), ("g722_encode", "g722_decode"), ("g722_encode_free", "g722_decode_free"))


def _g726(bit_rate: int, fmtp: str) -> _SpandspCoder:
    assert _library is not None
    states = [ctypes.c_void_p(_library.g726_init(None, bit_rate, G726_LINEAR, G726_FIRST_IN_LOW_BITS)) for _ in range(2)]
    return _SpandspCoder(states[0], states[1], ("g726_encode", "g726_decode"), ("g726_free", "g726_free"))


def _all() -> tuple[Codec, ...]:
    g722 = native_codec("G722", 8000, 16000, _g722, frame_ms=10, said=Said(payload_type=9), delay_samples=G722_DELAY_SAMPLES)
    return (g722, *(_g726_codec(name, bit_rate) for name, bit_rate in G726_BIT_RATES.items()))


def _g726_codec(name: str, bit_rate: int) -> Codec:
    said = Said(payload_type=G721_PAYLOAD_TYPE if name == "G721" else -1, bit_rate=bit_rate)
    return native_codec(name, 8000, 8000, partial(_g726, bit_rate), frame_ms=10, said=said)


CODECS: tuple[Codec, ...] = _all() if _library is not None else ()
