# SPDX-License-Identifier: GPL-2.0-or-later
"""Speex by libspeex (RFC 5574) at 8, 16 and 32 kHz, whole 20 ms frames a packet."""

from __future__ import annotations

import ctypes
from functools import partial

import numpy as np

from media.codecs.codec import Codec, Said, Samples, load_library, native_codec, number, parameters
from media.codecs.speex_frames import whole_frames

MODES = {16000: 1, 8000: 0, 32000: 2}
MOST_BITS = {8000: 24600, 16000: 42200, 32000: 44000}
BITS_BYTES = 64
"""Room for a SpeexBits structure (48 bytes on 64-bit machines)."""

LONGEST_PAYLOAD = 1024
MOST_FRAMES = 6
SET_QUALITY, SET_MODE, SET_VBR = 4, 6, 12
QUALITY = 8
"""As good as SEMS's; a peer's `mode` asks for another: a quality (wide band) or a mode of the coder (RFC 5574 §3.1)."""

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
        self._set(SET_QUALITY, QUALITY)
        self._follow(parameters(fmtp), rate_hz)
        self._frame_samples, self._layers = rate_hz // 50, MODES[rate_hz]
        self._bits = ctypes.create_string_buffer(BITS_BYTES)
        _library.speex_bits_init(self._bits)
        self._out = ctypes.create_string_buffer(LONGEST_PAYLOAD)

    def __del__(self) -> None:
        if _library is not None:
            _library.speex_encoder_destroy(self._encoder)
            _library.speex_decoder_destroy(self._decoder)
            _library.speex_bits_destroy(self._bits)

    def _follow(self, wanted: dict[str, str], rate_hz: int) -> None:
        """Send what the peer asks for (RFC 5574 §3.1): of several modes (`"4,any"`) the first; `vbr=on` lets the rate vary."""
        wanted = wanted | {"mode": wanted.get("mode", "").split(",")[0].strip()}
        mode = number(wanted, "mode", 1, 8) if rate_hz == 8000 else number(wanted, "mode", 0, 10)
        if mode is not None:
            self._set(SET_MODE if rate_hz == 8000 else SET_QUALITY, mode)
        if wanted.get("vbr") in ("on", "vad"):
            self._set(SET_VBR, 1)

    def _set(self, request: int, value: int) -> None:
        assert _library is not None
        _library.speex_encoder_ctl(self._encoder, request, ctypes.byref(ctypes.c_int(value)))

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
        count = whole_frames(payload, self._layers, MOST_FRAMES)
        return np.concatenate([self._decode(self._bits) for _ in range(count)]) if count else np.zeros(0, np.int16)

    def conceal(self, count: int) -> Samples:
        """Let the decoder make up for lost frames."""
        return np.concatenate([self._decode(None) for _ in range(-(-count // self._frame_samples))])[:count]

    def _decode(self, bits: object) -> Samples:
        assert _library is not None
        samples = np.zeros(self._frame_samples, np.int16)
        failed = _library.speex_decode_int(self._decoder, bits, ctypes.c_void_p(samples.ctypes.data))
        return samples[:0] if failed else samples


def _codec(rate_hz: int) -> Codec:
    return native_codec(
        "SPEEX",
        rate_hz,
        rate_hz,
        partial(SpeexCoder, rate_hz),
        said=Said("speex", bit_rate=MOST_BITS[rate_hz]),
        joins=False,
        passes=False,
    )


CODECS: tuple[Codec, ...] = tuple(_codec(rate_hz) for rate_hz in MODES) if _library is not None else ()
