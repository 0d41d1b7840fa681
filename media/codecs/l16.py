# SPDX-License-Identifier: GPL-2.0-or-later
"""L16: uncompressed 16-bit samples in network byte order (RFC 3551 §4.5.11), one channel, at the rates in use."""

from __future__ import annotations

import numpy as np

from media.codecs.codec import Codec, Payload, Said, Samples
from media.dsp.coding import LINEAR_16

RATES_HZ = (8000, 16000, 32000, 44100, 48000)
STATIC_TYPES = {44100: 11}
"""RFC 3551 §6; type 10, with two channels, is not spoken here."""


def _encode(samples: Samples) -> Payload:
    return samples.astype(">i2").view(np.uint8)


def _decode(payload: Payload) -> Samples:
    return payload.view(">i2").astype(np.int16)


def _codec(rate_hz: int) -> Codec:
    said = Said(payload_type=STATIC_TYPES.get(rate_hz, -1), bit_rate=16 * rate_hz)
    return Codec("L16", rate_hz, rate_hz, LINEAR_16, 2, _encode, _decode, said=said)


CODECS = tuple(_codec(rate_hz) for rate_hz in RATES_HZ)
