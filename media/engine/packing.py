# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets of other lengths than a tick's 20 ms: frames of such legs are gathered, and cut where the peer wants packets to end.

    frames (20 ms) ─► buffer of the leg ─► packet of 10, 30, 40, 60 … ms in this tick, in a later one, or half a tick later

Packets of 30, 50 … ms leave in a tick and between two in turn, so that they are evenly spaced.

Runs between the payloads and their headers (``render.finish``), on samples in the case of library codecs, which then code a whole
packet at once. Legs with packets of 20 ms are not looked at. What is in the buffer when a leg stops sending is dropped.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from media.codecs.codec import LONGEST_PACKET_MS, TICK_MS
from media.engine.leg import Leg
from media.engine.leg_table import LegTable
from media.engine.pack import PACKER, pack, pack_more


class Packing:
    """The legs whose packets are not of 20 ms, dense. `more`: packets that are full and wait for ``pack_more``."""

    def __init__(self, table: LegTable) -> None:
        self.more = 0
        self._table = table
        self._legs: list[int] = []
        self._indexes: dict[int, int] = {}  # by leg number
        self._packers: NDArray[np.void] = np.zeros(4, PACKER)
        self._buffers: NDArray[np.uint8] = np.zeros((4, 1), np.uint8)

    def connected(self, leg: Leg) -> None:
        """The leg's row says how long its packets are, perhaps anew; what has been gathered stays where nothing changed."""
        row = self._table.row(leg.row)
        if row.usual_bytes == row.frame_bytes:
            self.close(leg)
            return
        needed = row.frame_bytes * (LONGEST_PACKET_MS + TICK_MS) // TICK_MS
        if self._buffers.shape[1] < needed:
            wider = np.zeros((len(self._buffers), needed), np.uint8)
            wider[:, : self._buffers.shape[1]] = self._buffers
            self._buffers = wider
        index = self._indexes.get(leg.number)
        if index is None:
            index = self._indexes[leg.number] = len(self._legs)
            self._legs.append(leg.number)
            if index == len(self._packers):
                self._packers = np.concatenate([self._packers, np.zeros_like(self._packers)])
                self._buffers = np.concatenate([self._buffers, np.zeros_like(self._buffers)])
            self._packers[index] = (leg.row, 0, 0)

    def drop(self, leg: Leg) -> None:
        """Leave out what has been gathered of a leg: its codec or the length of its packets is about to change."""
        index = self._indexes.get(leg.number)
        if index is not None:
            row, packer = self._table.rows[leg.row], self._packers[index]
            ticks = int(packer["filled"]) // int(row["sample_bytes"]) // int(row["samples_per_tick"])
            row["ts_out"] = (int(row["ts_out"]) + ticks) % 0x100000000
            packer["filled"], packer["later"] = 0, 0

    def close(self, leg: Leg) -> None:
        """Take a leg out; the last one moves to its index."""
        self.drop(leg)
        index = self._indexes.pop(leg.number, None)
        if index is None:
            return
        last = self._legs.pop()
        if index < len(self._legs):
            self._legs[index], self._indexes[last] = last, index
            self._packers[index], self._buffers[index] = self._packers[len(self._legs)], self._buffers[len(self._legs)]

    def pack(self) -> None:
        """Replace this tick's frames by packets."""
        if self._legs:
            self.more = int(pack(self._packers[: len(self._legs)], self._buffers, self._table.rows, self._table.packets))

    def pack_more(self) -> None:
        """Bring the packets that are left."""
        if self.more:
            self.more = int(pack_more(self._packers[: len(self._legs)], self._buffers, self._table.rows, self._table.packets))
