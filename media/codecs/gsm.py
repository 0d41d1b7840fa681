# SPDX-License-Identifier: GPL-2.0-or-later
"""GSM full rate by libgsm (RFC 3551 §4.5.8): 33 bytes for 20 ms."""

from __future__ import annotations

import ctypes

import numpy as np

from media.codecs.codec import Codec, Said, Samples, load_library, native_codec

FRAME_BYTES = 33
FRAME_SAMPLES = 160
SAID = Said(payload_type=3, bit_rate=13200)

_library = load_library("libgsm.so.1")
if _library is not None:
    _library.gsm_create.restype = ctypes.c_void_p
    _library.gsm_destroy.argtypes = [ctypes.c_void_p]


class GsmCoder:
    """One leg's GSM state."""

    def __init__(self, fmtp: str) -> None:
        assert _library is not None
        self._encoder, self._decoder = (ctypes.c_void_p(_library.gsm_create()) for _ in range(2))
        self._out = ctypes.create_string_buffer(FRAME_BYTES)

    def __del__(self) -> None:
        if _library is not None:
            _library.gsm_destroy(self._encoder)
            _library.gsm_destroy(self._decoder)

    def encode(self, samples: Samples) -> bytes:
        """Encode whole frames."""
        assert _library is not None
        frames = []
        for first in range(0, len(samples) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
            _library.gsm_encode(self._encoder, ctypes.c_void_p(samples[first:].ctypes.data), self._out)
            frames.append(self._out.raw)
        return b"".join(frames)

    def decode(self, payload: bytes) -> Samples:
        """Decode whole frames; what is left over is dropped."""
        assert _library is not None
        count = len(payload) // FRAME_BYTES
        samples = np.zeros(count * FRAME_SAMPLES, np.int16)
        for i in range(count):
            frame = payload[i * FRAME_BYTES : (i + 1) * FRAME_BYTES]
            if _library.gsm_decode(self._decoder, frame, ctypes.c_void_p(samples[i * FRAME_SAMPLES :].ctypes.data)):
                return samples[: i * FRAME_SAMPLES]
        return samples

    def conceal(self, count: int) -> Samples:
        """None of its own."""
        return np.zeros(0, np.int16)


CODECS: tuple[Codec, ...] = (native_codec("GSM", 8000, 8000, GsmCoder, said=SAID),) if _library is not None else ()
