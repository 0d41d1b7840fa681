# SPDX-License-Identifier: GPL-2.0-or-later
"""Speex by libspeex (RFC 5574) at 8, 16 and 32 kHz, whole 20 ms frames a packet."""

from __future__ import annotations

import ctypes
from functools import partial

import numpy as np

from media.codecs.codec import Codec, Samples, load_library, native_codec

MODES = {8000: 0, 16000: 1, 32000: 2}
BITS_BYTES = 64
"""Room for a SpeexBits structure (48 bytes on 64-bit machines)."""

LONGEST_PAYLOAD = 1024
MOST_FRAMES = 6
LEAST_BITS = 5
"""Fewer left over are padding: a frame begins with a bit and a mode of four."""

SET_QUALITY = 4
QUALITY = 8

_library = load_library("libspeex.so.1")
if _library is not None:
    for _name in ("speex_lib_get_mode", "speex_encoder_init", "speex_decoder_init"):
        getattr(_library, _name).restype = ctypes.c_void_p
    for _name in ("speex_encoder_destroy", "speex_decoder_destroy"):
        getattr(_library, _name).argtypes = [ctypes.c_void_p]


class SpeexCoder:
    """One leg's Speex state."""

    def __init__(self, rate_hz: int, fmtp: str) -> None:
        assert _library is not None
        mode = ctypes.c_void_p(_library.speex_lib_get_mode(MODES[rate_hz]))
        self._encoder = ctypes.c_void_p(_library.speex_encoder_init(mode))
        self._decoder = ctypes.c_void_p(_library.speex_decoder_init(mode))
        quality = ctypes.c_int(QUALITY)
        _library.speex_encoder_ctl(self._encoder, SET_QUALITY, ctypes.byref(quality))
        self._frame_samples = rate_hz // 50
        self._bits = ctypes.create_string_buffer(BITS_BYTES)
        _library.speex_bits_init(self._bits)
        self._out = ctypes.create_string_buffer(LONGEST_PAYLOAD)

    def __del__(self) -> None:
        if _library is not None:
            _library.speex_encoder_destroy(self._encoder)
            _library.speex_decoder_destroy(self._decoder)
            _library.speex_bits_destroy(self._bits)

    def encode(self, samples: Samples) -> bytes:
        """Encode whole frames; they follow each other bit by bit (RFC 5574 §3.3)."""
        assert _library is not None
        _library.speex_bits_reset(self._bits)
        frames = samples.copy()  # the encoder may write to it
        for first in range(0, len(frames) - self._frame_samples + 1, self._frame_samples):
            _library.speex_encode_int(self._encoder, ctypes.c_void_p(frames[first:].ctypes.data), self._bits)
        count = _library.speex_bits_write(self._bits, self._out, LONGEST_PAYLOAD)
        return self._out.raw[:count]

    def decode(self, payload: bytes) -> Samples:
        """Decode the frames of a payload; one that holds none gives no samples."""
        assert _library is not None
        _library.speex_bits_read_from(self._bits, payload, len(payload))
        frames: list[Samples] = []
        while len(frames) < MOST_FRAMES and (not frames or _library.speex_bits_remaining(self._bits) >= LEAST_BITS):
            frames.append(self._decode(self._bits))
            if not len(frames[-1]):
                break
        return np.concatenate(frames)

    def conceal(self, count: int) -> Samples:
        """Let the decoder make up for a lost frame."""
        return self._decode(None)

    def _decode(self, bits: object) -> Samples:
        assert _library is not None
        samples = np.zeros(self._frame_samples, np.int16)
        failed = _library.speex_decode_int(self._decoder, bits, ctypes.c_void_p(samples.ctypes.data))
        return samples[:0] if failed else samples


CODECS: tuple[Codec, ...] = (
    tuple(native_codec("SPEEX", rate_hz, rate_hz, partial(SpeexCoder, rate_hz)) for rate_hz in MODES)
    if _library is not None
    else ()
)
