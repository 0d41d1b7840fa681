# SPDX-License-Identifier: GPL-2.0-or-later
"""A second source mixed over packets that are made already: the kernel. Which legs, and what plays, is ``mix_ins.py``."""

from __future__ import annotations

from typing import Any

import numpy as np

from media.dsp.coding import LINEAR_16, NATIVE
from media.dsp.kernel import borrowed, inline_kernel, kernel, samples_at
from media.engine.leg_table import HEADER_BYTES, SOURCE_CODED
from media.engine.render import put_samples

WHOLE_Q15 = 32768

MIXER = np.dtype(
    [
        ("row", "i4"),
        ("share_q15", "i4"),
        ("playing", "u1"),
        ("loops", "u1"),
        ("interval_frames", "i8"),
        ("wait_frames", "i8"),  # until it is due (again)
        ("address", "u8"),  # int16 samples at the leg's rate, kept by the piece
        ("length", "i8"),
        ("position", "i8"),
    ],
    align=True,
)


@inline_kernel
def get_samples(packet: Any, samples: Any, count: Any, coding: Any, decode: Any) -> None:
    """Decode a packet's payload: the reverse of ``render.put_samples``."""
    if coding in (LINEAR_16, NATIVE):
        first = 8 if coding == LINEAR_16 else 0
        for i in range(count):
            high, low = np.int64(packet[HEADER_BYTES + 2 * i]), np.int64(packet[HEADER_BYTES + 2 * i + 1])
            samples[i] = np.int16((high << first) | (low << (8 - first)))
    else:
        for i in range(count):
            samples[i] = decode[coding, packet[HEADER_BYTES + i]]


@inline_kernel
def blend(mixer: Any, samples: Any, count: Any) -> None:
    """Mix what the piece has next into `samples`; after its end they are as they were."""
    piece = samples_at(mixer.address, mixer.length)
    share = np.int64(mixer.share_q15)
    at = mixer.position
    for i in range(count):
        if at >= mixer.length:
            if not mixer.loops:
                break
            at = 0
        samples[i] = (samples[i] * (WHOLE_Q15 - share) + piece[at] * share) >> 15
        at += 1


@kernel
def mix_over(mixers: Any, legs: Any, packets: Any, decode: Any, encode: Any, own: Any, ended: Any, ended_count: Any) -> None:
    """Mix over the packets of the legs that have a mixer, and move the mixers on.

    `mixers`: MIXER (m,), written · `own`: int32 (most samples,), scratch · `ended`: int32 (≥ m,), indexes of mixers whose piece is
    over, from `ended_count[0]` on.
    """
    mixers, legs, packets, own = borrowed(mixers), borrowed(legs), borrowed(packets), borrowed(own)
    decode, encode = borrowed(decode), borrowed(encode)
    for index in range(mixers.shape[0]):
        mixer = mixers[index]
        leg = legs[mixer.row]
        if not leg.running:
            continue
        if not mixer.playing and mixer.wait_frames <= 0 and mixer.length > 0:
            mixer.playing = 1
            mixer.wait_frames = mixer.interval_frames
        mixer.wait_frames = max(mixer.wait_frames - 1, 0)
        if not mixer.playing or mixer.length == 0:
            continue
        count = np.int64(leg.frame_samples)
        if leg.due and leg.source != SOURCE_CODED:
            get_samples(packets[leg_row(mixer)], own, count, leg.coding, decode)
            blend(mixer, own, count)
            put_samples(packets[leg_row(mixer)], own, count, leg.coding, encode)
        mixer.position += count
        if mixer.loops:
            mixer.position %= mixer.length
        elif mixer.position >= mixer.length:
            ended[ended_count[0]] = index
            ended_count[0] += 1


@inline_kernel
def leg_row(mixer: Any) -> Any:
    """Return the row as an index."""
    return np.int64(mixer.row)
