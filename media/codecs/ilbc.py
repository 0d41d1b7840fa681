# SPDX-License-Identifier: GPL-2.0-or-later
"""iLBC by the WebRTC project's implementation (RFC 3951, RFC 3952), which `etc/setup/ilbc.sh` builds: 38 bytes for 20 ms or 50 for 30.

A leg sends in the mode that its peer asks for: 20 ms when its parameters say so, else 30 (RFC 3952 §5). Either mode is decoded,
whatever was agreed on: a payload's length tells it.
"""

from __future__ import annotations

import ctypes
import os.path
import sys
from functools import partial

import numpy as np

from media.codecs.codec import Codec, Said, Samples, load_library, native_codec, parameters

RATE_HZ = 8000
FRAME_BYTES = {20: 38, 30: 50}
MOST_FRAMES = 3
"""In one call of the library, either way."""

_library = load_library(os.path.join(sys.prefix, "lib", "libcordboard-ilbc.so"))
_encode = _decode = _conceal = None
if _library is not None:
    _encode, _decode = _library.WebRtcIlbcfix_Encode, _library.WebRtcIlbcfix_Decode
    _conceal = _library.WebRtcIlbcfix_DecodePlc
    _encode.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    _decode.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p]
    _conceal.argtypes, _conceal.restype = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t], ctypes.c_size_t


def mode_ms(fmtp: str) -> int:
    """Return the frame length that a peer with these parameters is sent."""
    return 20 if parameters(fmtp).get("mode") == "20" else 30


class IlbcCoder:
    """One leg's iLBC state."""

    def __init__(self, fmtp: str) -> None:
        assert _library is not None
        self._frame_ms = mode_ms(fmtp)
        self._frame_samples = RATE_HZ * self._frame_ms // 1000
        self._states: list[ctypes.c_void_p] = []
        for way in ("Encoder", "Decoder"):
            state = ctypes.c_void_p()
            _library[f"WebRtcIlbcfix_{way}Create"](ctypes.byref(state))
            _library[f"WebRtcIlbcfix_{way}Init"](state, self._frame_ms)
            self._states.append(state)
        self._out = ctypes.create_string_buffer(MOST_FRAMES * FRAME_BYTES[30])
        self._samples = np.zeros(MOST_FRAMES * RATE_HZ * 30 // 1000, np.int16)
        self._speech = ctypes.c_int16()
        self._heard_samples = self._frame_samples  # a frame of what the peer sends

    def __del__(self) -> None:
        if _library is not None:
            for way, state in zip(("Encoder", "Decoder"), self._states, strict=True):
                _library[f"WebRtcIlbcfix_{way}Free"](state)

    def encode(self, samples: Samples) -> bytes:
        """Encode whole frames."""
        assert _encode is not None
        frames = []
        for first in range(0, len(samples) - self._frame_samples + 1, self._frame_samples):
            count = _encode(self._states[0], samples[first:].ctypes.data, self._frame_samples, self._out)
            frames.append(self._out.raw[: max(count, 0)])
        return b"".join(frames)

    def decode(self, payload: bytes) -> Samples:
        """Decode up to twelve frames of one mode; a payload of another length is none."""
        for frame_ms, frame_bytes in FRAME_BYTES.items():
            count, rest = divmod(len(payload), frame_bytes)
            if count and not rest and count * frame_ms <= 240:
                self._heard_samples = RATE_HZ * frame_ms // 1000
                step = MOST_FRAMES * frame_bytes
                return np.concatenate([self._decode(payload[at : at + step]) for at in range(0, len(payload), step)])
        return self._samples[:0]

    def _decode(self, payload: bytes) -> Samples:
        assert _decode is not None
        address, speech = self._samples.ctypes.data, ctypes.byref(self._speech)
        count = _decode(self._states[1], payload, len(payload), address, speech)
        return self._samples[: max(count, 0)].copy()

    def conceal(self, count: int) -> Samples:
        """Let the decoder make up for lost frames."""
        assert _conceal is not None
        parts = []
        for _ in range(-(-count // self._heard_samples)):
            made = _conceal(self._states[1], self._samples.ctypes.data, 1)
            parts.append(self._samples[:made].copy())
        return np.concatenate(parts)[:count]


def _codec(frame_ms: int) -> Codec:
    said = Said("iLBC", -1, f"mode={frame_ms}", 15200)
    takes = partial(_sends, frame_ms)
    return native_codec("ILBC", RATE_HZ, RATE_HZ, IlbcCoder, frame_ms=frame_ms, said=said, takes=takes)


def _sends(frame_ms: int, fmtp: str) -> bool:
    return mode_ms(fmtp) == frame_ms


CODECS: tuple[Codec, ...] = tuple(_codec(frame_ms) for frame_ms in FRAME_BYTES) if _library is not None else ()
"""The mode that we say comes first."""
