# SPDX-License-Identifier: GPL-2.0-or-later
"""Audio that is ready to send: files and tones in a leg's codec, one array each, shared by every leg that plays it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from media.codecs.codec import Codec, Payload
from media.dsp import tone


@dataclass(frozen=True, slots=True, eq=False)
class StoredAudio:
    """Encoded audio. `payload`: uint8, whole samples of `codec`, or of a library codec's precoded file whole frames of `frame_bytes`,
    each `frame_ms` long (both 0 otherwise).
    """

    codec: Codec
    payload: Payload
    frame_ms: int = 0
    frame_bytes: int = 0

    @property
    def length_ms(self) -> int:
        """Playing time."""
        if self.frame_bytes:
            return len(self.payload) // self.frame_bytes * self.frame_ms
        return len(self.payload) * 1000 // (self.codec.sample_bytes * self.codec.rate_hz)

    def offset_bytes(self, position_ms: int) -> int:
        """Place of a time in the payload, at a whole sample or frame, not beyond the end."""
        if self.frame_bytes:
            return min(max(position_ms, 0) // self.frame_ms * self.frame_bytes, len(self.payload))
        samples = max(position_ms, 0) * self.codec.rate_hz // 1000
        return min(samples * self.codec.sample_bytes, len(self.payload))

    def position_ms(self, position_bytes: int) -> int:
        """Time of a position in the payload."""
        if self.frame_bytes:
            return position_bytes // self.frame_bytes * self.frame_ms
        return position_bytes * 1000 // (self.codec.sample_bytes * self.codec.rate_hz)


@dataclass(frozen=True, slots=True)
class FileWanted:
    """The engine needs a file in a codec; answered by ``Engine.file_loaded`` with the same `token`."""

    token: int
    path: str
    codec: Codec


KnownFile = Callable[[str, Codec], StoredAudio | None]
"""Returns the audio of a path in a codec if it is at hand; None: it has to be asked for."""


CHUNK_SAMPLES = 65536
"""Samples encoded at a time, so that a long file does not keep other threads from running."""


def encode_samples(samples: NDArray[np.int16], codec: Codec) -> StoredAudio:
    """Encode int16 samples at the codec's rate."""
    payload = np.empty(len(samples) * codec.sample_bytes, np.uint8)
    for first in range(0, len(samples), CHUNK_SAMPLES):
        part = codec.encode(samples[first : first + CHUNK_SAMPLES])
        payload[first * codec.sample_bytes :][: len(part)] = part
    return StoredAudio(codec, payload)


@lru_cache(maxsize=256)
def tone_audio(frequencies_hz: tuple[int, ...], on_ms: int, off_ms: int, codec: Codec) -> StoredAudio:
    """Return one period of a tone, to be looped: a whole number of seconds when it is continuous, else one on-off cadence."""
    return encode_samples(tone.cadence(frequencies_hz, on_ms, off_ms, codec.rate_hz), codec)
