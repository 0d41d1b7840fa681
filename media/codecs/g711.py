# SPDX-License-Identifier: GPL-2.0-or-later
"""PCMU and PCMA (ITU-T G.711, RFC 3551 §4.5.14) as look-up tables.

Decoding is 256 values for each of the two laws. Encoding picks, for each of the 65 536 samples, the code whose value is nearest:
computed once from the decoding table, so that the two can never disagree.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from media.codecs.codec import Codec, Payload, Said, Samples
from media.dsp.coding import A_LAW, MU_LAW

PCMU_SILENCE = 0xFF
PCMA_SILENCE = 0xD5


def _mu_law_values() -> NDArray[np.int16]:
    """Value of each mu-law code: bits inverted, 3-bit exponent over a bias of 33 quarter steps (G.711 table 2)."""
    code = ~np.arange(256) & 0xFF
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _a_law_values() -> NDArray[np.int16]:
    """Value of each A-law code: even bits inverted, linear in segment 0, mid-step values (G.711 table 1)."""
    code = np.arange(256) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 15
    step = (mantissa << 4) + 8
    magnitude = np.where(exponent == 0, step, (step + 0x100) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _nearest_codes(values: NDArray[np.int16], silence: int) -> NDArray[np.uint8]:
    """Code with the nearest value for each sample, indexed by the sample's bits as uint16; uint8 (65536,).

    Of two codes with one value (both zeros of mu-law) the silence code is taken.
    """
    order = np.argsort(values, kind="stable")
    ranked = values[order].astype(np.int32)
    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    above = np.clip(np.searchsorted(ranked, sample), 1, 255)
    nearer_above = np.abs(ranked[above] - sample) < np.abs(ranked[above - 1] - sample)
    codes = order[np.where(nearer_above, above, above - 1)].astype(np.uint8)
    codes[values[codes] == values[silence]] = silence
    return codes


DECODE: NDArray[np.int16] = np.stack([_mu_law_values(), _a_law_values()])
"""int16 (2, 256): sample of each code; row 0 mu-law, row 1 A-law."""

ENCODE: NDArray[np.uint8] = np.stack([_nearest_codes(DECODE[0], PCMU_SILENCE), _nearest_codes(DECODE[1], PCMA_SILENCE)])
"""uint8 (2, 65536): code of each sample, indexed by the sample's bits as uint16; rows as in DECODE."""


def _codec(rtpmap: str, coding: int, payload_type: int) -> Codec:
    def encode(samples: Samples) -> Payload:
        codes: Payload = ENCODE[coding][samples.view(np.uint16)]
        return codes

    def decode(payload: Payload) -> Samples:
        samples: Samples = DECODE[coding][payload]
        return samples

    return Codec(rtpmap, 8000, 8000, coding, 1, encode, decode, said=Said(payload_type=payload_type))


CODECS = (_codec("PCMU", MU_LAW, 0), _codec("PCMA", A_LAW, 8))
