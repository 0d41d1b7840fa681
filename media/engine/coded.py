# SPDX-License-Identifier: GPL-2.0-or-later
"""Legs in library codecs: their payloads decoded into their rings, their samples encoded, one library call a frame and leg."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.codecs.codec import LONGEST_PACKET_MS, TICK_MS
from media.engine.arrival import put_decoded
from media.engine.leg import Leg
from media.engine.leg_table import HEADER_BYTES, LegTable

MOST_CONCEALED = 3
"""Lost payloads in a row that a decoder is asked to make up for."""


class CodedLegs:
    """The legs of a process whose codec has a ``coder``."""

    def __init__(self, table: LegTable, counters: NDArray[np.int64]) -> None:
        self._table = table
        self._counters = counters
        self._legs: dict[int, Leg] = {}

    def connected(self, leg: Leg) -> None:
        """The leg has a codec, perhaps another than before."""
        if leg.coder is not None:
            self._legs[leg.number] = leg
        else:
            self._legs.pop(leg.number, None)

    def close(self, leg: Leg) -> None:
        """Forget a leg."""
        self._legs.pop(leg.number, None)

    def decode(self, leg: Leg, note: Any, payload: bytes) -> None:
        """Take one payload (NOTE_CODED). Older ones than the newest are dropped: a decoder goes forward only."""
        if leg.coder is None or leg.codec is None:
            return
        sequence = int(note["sequence"])
        step = (sequence - leg.coded_sequence + 32768) % 65536 - 32768 if leg.coded_sequence >= 0 else 1
        if step <= 0 and step > -100:
            return
        leg.coded_sequence = sequence
        ts = (int(note["ts"]) * int(self._table.rows[leg.row]["samples_per_tick"])) & 0xFFFFFFFF
        if 1 < step <= MOST_CONCEALED + 1:
            lost = self._packet_samples(leg, (ts - leg.coded_ts) & 0xFFFFFFFF, step)
            for back in range(step - 1, 0, -1):
                self._put(leg, leg.coder.conceal(lost), (ts - back * lost) & 0xFFFFFFFF)
        leg.coded_ts = ts
        self._put(leg, leg.coder.decode(payload), ts)

    def encode(self) -> None:
        """Replace the samples that this tick's packets hold by payloads."""
        for leg in self._legs.values():
            row = self._table.rows[leg.row]
            if row["due"] and leg.coder is not None:
                packet = self._table.packets[leg.row]
                count = int(row["send_bytes"])
                samples = packet[HEADER_BYTES : HEADER_BYTES + count].copy().view(np.int16)
                payload = leg.coder.encode(samples)
                packet[HEADER_BYTES : HEADER_BYTES + len(payload)] = np.frombuffer(payload, np.uint8)
                row["packet_bytes"] = HEADER_BYTES + len(payload)
                row["bytes_sent"] += len(payload) - count
                row["due"] = len(payload) > 0

    def _packet_samples(self, leg: Leg, passed_samples: int, packets: int) -> int:
        """How long the peer's packets are, by how far its clock went in so many; a frame's length where that says nothing."""
        samples, rest = divmod(passed_samples, packets)
        longest = int(self._table.rows[leg.row]["frame_samples"]) * LONGEST_PACKET_MS // TICK_MS
        return int(self._table.rows[leg.row]["frame_samples"]) if rest or not 0 < samples <= longest else samples

    def _put(self, leg: Leg, samples: NDArray[np.int16], ts: int) -> None:
        if len(samples):
            put_decoded(self._table.rows, leg.row, samples, ts, self._counters)
