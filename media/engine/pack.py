# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets of other lengths than a tick's: kernels. Which legs, and what becomes of their buffers, is ``packing.py``."""

from __future__ import annotations

from typing import Any

import numpy as np

from media.dsp.kernel import borrowed, inline_kernel, kernel
from media.engine.leg_table import HEADER_BYTES, SOURCE_CODED

PACKER = np.dtype([("row", "i4"), ("filled", "i4"), ("later", "i4")], align=True)
"""`later`: the next packet goes half a tick after its frame. Packets of 30, 50 … ms are full in ticks 40 and 20, 60 and 40 … ms apart; each
second one waits half a tick, so that they leave evenly.
"""


@inline_kernel
def take_packet(packer: Any, leg: Any, buffer: Any, packet: Any) -> Any:
    """Move one packet's payload out of a leg's buffer; return whether there was one, the leg is due if so."""
    count = np.int64(leg.send_bytes)
    leg.due = packer.filled >= count
    if not leg.due:
        return False
    for i in range(count):
        packet[HEADER_BYTES + i] = buffer[i]
    for i in range(count, packer.filled):
        buffer[i - count] = buffer[i]
    packer.filled -= count
    return True


@kernel
def pack(packers: Any, buffers: Any, legs: Any, packets: Any) -> Any:
    """Gather this tick's frames, leave in `packets` the first packet that is full; return how many more are full.

    `packers`: PACKER (m,), written · `buffers`: uint8 (m, longest packet and a frame), written · `legs`: LEG (n,), `due` cleared
    of legs without a full packet · `packets`: uint8 (n, most), payloads replaced.
    """
    packers, buffers, legs, packets = borrowed(packers), borrowed(buffers), borrowed(legs), borrowed(packets)
    more: Any = np.int64(0)
    for index in range(packers.shape[0]):
        packer = packers[index]
        row = np.int64(packer.row)
        leg = legs[row]
        if not leg.due or leg.source == SOURCE_CODED:  # `ts_out` is that of the first sample gathered
            leg.ts_out += np.uint32(packer.filled // leg.sample_bytes // leg.samples_per_tick)
            packer.filled = 0
            packer.later = 0
            continue
        for i in range(leg.frame_bytes):
            buffers[index, packer.filled + i] = packets[row, HEADER_BYTES + i]
        packer.filled += leg.frame_bytes
        full = packer.filled >= leg.send_bytes
        if full and packer.later:
            leg.due = 0
            more += 1
        elif take_packet(packer, leg, buffers[index], packets[row]):
            more += packer.filled >= leg.send_bytes
        if full and leg.send_bytes > leg.frame_bytes and leg.send_bytes % leg.frame_bytes:
            packer.later = 1 - packer.later
    return more


@kernel
def pack_more(packers: Any, buffers: Any, legs: Any, packets: Any) -> Any:
    """Leave the next full packets; return how many more are full. Arguments as ``pack``; nobody is due before."""
    packers, buffers, legs, packets = borrowed(packers), borrowed(buffers), borrowed(legs), borrowed(packets)
    more: Any = np.int64(0)
    for index in range(packers.shape[0]):
        at = np.int64(packers[index].row)
        if take_packet(packers[index], legs[at], buffers[index], packets[at]):
            more += packers[index].filled >= legs[at].send_bytes
    return more
