# SPDX-License-Identifier: GPL-2.0-or-later
"""What a codec is to the engine: one record. A new codec is one file in this folder with a ``CODECS`` tuple."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
Payload = NDArray[np.uint8]

LAW_MU = 0
LAW_A = 1
LINEAR_16 = 2


@dataclass(frozen=True, slots=True)
class Codec:
    """One wire format at one rate.

    `rtpmap`: name in upper case · `clock_hz`: RTP clock · `rate_hz`: samples a second once decoded · `law`: how the kernels
    code it
    themselves · `sample_bytes`: bytes a sample on the wire · `encode`: int16 (n,) → uint8 (n · sample_bytes,), a new array ·
    `decode`: the reverse.
    """

    rtpmap: str
    clock_hz: int
    rate_hz: int
    law: int
    sample_bytes: int
    encode: Callable[[Samples], Payload]
    decode: Callable[[Payload], Samples]
