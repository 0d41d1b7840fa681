# SPDX-License-Identifier: GPL-2.0-or-later
"""Opus by libopus (RFC 6716, RFC 7587): 48 kHz, one channel coded although its rtpmap always says two.

In-band error correction is on and a loss of 5 % expected (spec core.md §8).
"""

from __future__ import annotations

import ctypes

import numpy as np

from media.codecs.codec import Codec, Said, Samples, load_library, native_codec, number, parameters

RATE_HZ = 48000
LONGEST_SAMPLES = RATE_HZ * 120 // 1000
LONGEST_PAYLOAD = 1275
APPLICATION_VOIP = 2048
SET_BITRATE, SET_BANDWIDTH, SET_VBR, SET_COMPLEXITY, SET_FEC, SET_LOSS, SET_DTX = 4002, 4004, 4006, 4010, 4012, 4014, 4016
BANDWIDTHS = ((8000, 1101), (12000, 1102), (16000, 1103), (24000, 1104), (48000, 1105))
"""Playback rate up to which each of the library's bandwidths is enough."""

COMPLEXITY = 10
MOST_BITS = 64000
LOOKAHEAD_SAMPLES = 312
"""Of the encoder at this rate (OPUS_GET_LOOKAHEAD)."""

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
            self._set(request, value)
        self._follow(parameters(fmtp))
        self._out = ctypes.create_string_buffer(LONGEST_PAYLOAD)
        self._samples = np.zeros(LONGEST_SAMPLES, np.int16)

    def __del__(self) -> None:
        if _library is not None:
            _library.opus_encoder_destroy(self._encoder)
            _library.opus_decoder_destroy(self._decoder)

    def _follow(self, wanted: dict[str, str]) -> None:
        """Send what the peer asks for (RFC 7587 §6.1): no more bits and bandwidth, constant rate, silence left out, correction."""
        most_bits = number(wanted, "maxaveragebitrate", 6000, 510000)
        playback_hz = number(wanted, "maxplaybackrate", 8000, RATE_HZ)
        if most_bits is not None:
            self._set(SET_BITRATE, most_bits)
        if playback_hz is not None:
            self._set(SET_BANDWIDTH, next(bandwidth for rate_hz, bandwidth in BANDWIDTHS if playback_hz <= rate_hz))
        for name, value, request, setting in (
            ("cbr", "1", SET_VBR, 0),
            ("usedtx", "1", SET_DTX, 1),
            ("useinbandfec", "0", SET_FEC, 0),
        ):
            if wanted.get(name) == value:
                self._set(request, setting)

    def _set(self, request: int, value: int) -> None:
        assert _library is not None
        _library.opus_encoder_ctl(self._encoder, request, ctypes.c_int(value))

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


SAID = Said("opus", fmtp="useinbandfec=1", bit_rate=MOST_BITS)
CODECS: tuple[Codec, ...] = (
    (native_codec("OPUS", RATE_HZ, RATE_HZ, OpusCoder, channels=2, said=SAID, joins=False, delay_samples=LOOKAHEAD_SAMPLES),)
    if _library is not None
    else ()
)
