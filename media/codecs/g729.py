# SPDX-License-Identifier: GPL-2.0-or-later
"""G.729 by bcg729 (RFC 3551 §4.5.6): 10 bytes for 10 ms, several frames a packet, at the end perhaps a noise frame (annex B).

We say `annexb=no` and never send noise frames, whatever the peer would take; those that come all the same are decoded.
"""

from __future__ import annotations

import ctypes

import numpy as np

from media.codecs.codec import Codec, Said, Samples, load_library, native_codec

FRAME_BYTES = 10
NOISE_BYTES = 2
FRAME_SAMPLES = 80
MOST_FRAMES = 12

_library = load_library("libbcg729.so.0")
if _library is not None:
    for _way in ("Encoder", "Decoder"):
        getattr(_library, f"initBcg729{_way}Channel").restype = ctypes.c_void_p
        getattr(_library, f"closeBcg729{_way}Channel").argtypes = [ctypes.c_void_p]


class G729Coder:
    """One leg's G.729 state."""

    def __init__(self, fmtp: str) -> None:
        assert _library is not None
        self._encoder = ctypes.c_void_p(_library.initBcg729EncoderChannel(0))
        self._decoder = ctypes.c_void_p(_library.initBcg729DecoderChannel())
        self._out = ctypes.create_string_buffer(FRAME_BYTES)
        self._length = ctypes.c_uint8()

    def __del__(self) -> None:
        if _library is not None:
            _library.closeBcg729EncoderChannel(self._encoder)
            _library.closeBcg729DecoderChannel(self._decoder)

    def encode(self, samples: Samples) -> bytes:
        """Encode whole frames."""
        assert _library is not None
        frames = []
        for first in range(0, len(samples) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
            source = ctypes.c_void_p(samples[first:].ctypes.data)
            _library.bcg729Encoder(self._encoder, source, self._out, ctypes.byref(self._length))
            frames.append(self._out.raw[: self._length.value])
        return b"".join(frames)

    def decode(self, payload: bytes) -> Samples:
        """Decode speech frames and the noise frame that may follow them; a payload of another length is none."""
        voiced, rest = divmod(min(len(payload), FRAME_BYTES * MOST_FRAMES + NOISE_BYTES), FRAME_BYTES)
        if rest not in (0, NOISE_BYTES):
            return np.zeros(0, np.int16)
        samples = np.zeros((voiced + (rest == NOISE_BYTES)) * FRAME_SAMPLES, np.int16)
        for i in range(len(samples) // FRAME_SAMPLES):
            frame = payload[i * FRAME_BYTES : (i + 1) * FRAME_BYTES]
            self._decode(frame, samples[i * FRAME_SAMPLES :], noise=i == voiced)
        return samples

    def conceal(self, count: int) -> Samples:
        """Let the decoder make up for lost frames."""
        samples = np.zeros(count // FRAME_SAMPLES * FRAME_SAMPLES, np.int16)
        for first in range(0, len(samples), FRAME_SAMPLES):
            self._decode(None, samples[first:])
        return samples

    def _decode(self, frame: bytes | None, out: Samples, noise: bool = False) -> None:
        assert _library is not None
        length = len(frame) if frame else 0
        _library.bcg729Decoder(self._decoder, frame, length, frame is None, noise, 0, ctypes.c_void_p(out.ctypes.data))


CODECS: tuple[Codec, ...] = (
    (native_codec("G729", 8000, 8000, G729Coder, frame_ms=10, said=Said("", 18, "annexb=no", 8000)),)
    if _library is not None
    else ()
)
