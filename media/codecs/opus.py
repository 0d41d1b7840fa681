# SPDX-License-Identifier: GPL-2.0-or-later
"""Opus by libopus (RFC 6716, RFC 7587): 48 kHz, one channel coded although its rtpmap always says two.

In-band error correction is on and a loss of 5 % expected (spec core.md §8).
"""

from __future__ import annotations

import ctypes

import numpy as np

from media.codecs.codec import Codec, Samples, load_library, native_codec

RATE_HZ = 48000
LONGEST_SAMPLES = RATE_HZ * 120 // 1000
LONGEST_PAYLOAD = 1275
APPLICATION_VOIP = 2048
SET_BITRATE, SET_COMPLEXITY, SET_FEC, SET_LOSS = 4002, 4010, 4012, 4014
COMPLEXITY = 10
EXPECTED_LOSS_PERCENT = 5

_library = load_library("libopus.so.0")
if _library is not None:
    _library.opus_encoder_create.restype = _library.opus_decoder_create.restype = ctypes.c_void_p
    for _name in ("opus_encoder_destroy", "opus_decoder_destroy"):
        getattr(_library, _name).argtypes = [ctypes.c_void_p]


class OpusCoder:
    """One leg's Opus state."""

    def __init__(self, fmtp: str) -> None:
        assert _library is not None
        error = ctypes.c_int()
        self._encoder = ctypes.c_void_p(_library.opus_encoder_create(RATE_HZ, 1, APPLICATION_VOIP, ctypes.byref(error)))
        self._decoder = ctypes.c_void_p(_library.opus_decoder_create(RATE_HZ, 1, ctypes.byref(error)))
        for request, value in ((SET_COMPLEXITY, COMPLEXITY), (SET_FEC, 1), (SET_LOSS, EXPECTED_LOSS_PERCENT)):
            _library.opus_encoder_ctl(self._encoder, request, ctypes.c_int(value))
        self._out = ctypes.create_string_buffer(LONGEST_PAYLOAD)
        self._samples = np.zeros(LONGEST_SAMPLES, np.int16)

    def __del__(self) -> None:
        if _library is not None:
            _library.opus_encoder_destroy(self._encoder)
            _library.opus_decoder_destroy(self._decoder)

    def encode(self, samples: Samples) -> bytes:
        """Encode 20, 40, 60, 80, 100 or 120 ms as one frame or several, as the library chooses."""
        assert _library is not None
        pointer = ctypes.c_void_p(samples.ctypes.data)
        count = _library.opus_encode(self._encoder, pointer, len(samples), self._out, LONGEST_PAYLOAD)
        return self._out.raw[:count] if count > 0 else b""

    def decode(self, payload: bytes) -> Samples:
        """Decode one packet of up to 120 ms."""
        return self._decode(payload, len(payload), LONGEST_SAMPLES)

    def conceal(self, count: int) -> Samples:
        """Let the decoder make up for a lost packet."""
        return self._decode(None, 0, count)

    def _decode(self, payload: bytes | None, length: int, most: int) -> Samples:
        assert _library is not None
        count = _library.opus_decode(self._decoder, payload, length, ctypes.c_void_p(self._samples.ctypes.data), most, 0)
        return self._samples[: max(count, 0)].copy()


CODECS: tuple[Codec, ...] = (native_codec("OPUS", RATE_HZ, RATE_HZ, OpusCoder, channels=2),) if _library is not None else ()
