# SPDX-License-Identifier: GPL-2.0-or-later
"""Legs in library codecs: their payloads decoded into their rings, their samples encoded, one library call a frame and leg."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from media.codecs.codec import LONGEST_PACKET_MS, TICK_MS
from media.engine.arrival import IN_A_ROW, put_decoded
from media.engine.leg import Leg
from media.engine.leg_table import HEADER_BYTES, SOURCE_CODED, SOURCE_RELAY, LegTable

MOST_CONCEALED = 3
"""Lost payloads in a row that a decoder is asked to make up for."""


class CodedLegs:
    """The legs of a process whose codec has a ``coder``."""

    def __init__(self, table: LegTable, counters: NDArray[np.int64]) -> None:
        self._table = table
        self._counters = counters
        self._legs: dict[int, Leg] = {}
        self._order: list[Leg] = []  # as they are coded, with their rows in `_rows`; None: to be made anew
        self._rows: NDArray[np.int64] | None = None

    def connected(self, leg: Leg) -> None:
        """The leg has a codec, perhaps another than before."""
        self._rows = None
        if leg.coder is not None:
            self._legs[leg.number] = leg
        else:
            self._legs.pop(leg.number, None)

    def close(self, leg: Leg) -> None:
        """Forget a leg."""
        self._rows = None
        self._legs.pop(leg.number, None)

    def decode(self, leg: Leg, sequence: int, rtp_ts: int, payload: bytes) -> None:
        """Take one payload (NOTE_CODED) with its packet's numbers. Older ones than the newest are dropped: a decoder goes forward only."""
        if leg.coder is None or leg.codec is None:
            return
        step = (sequence - leg.coded_sequence + 32768) % 65536 - 32768 if leg.coded_sequence >= 0 else 1
        if -100 < step <= 0:
            leg.coded_old = leg.coded_old + 1 if sequence == leg.coded_next else 1
            leg.coded_next = (sequence + 1) % 65536
            if leg.coded_old < IN_A_ROW:
                return
            step = 1  # the newer ones were not of this stream
        leg.coded_old = 0 if step > 1 else leg.coded_old
        leg.coded_sequence = sequence
        ts = (rtp_ts * max(leg.codec.rate_hz // leg.codec.clock_hz, 1)) & 0xFFFFFFFF
        if 1 < step <= MOST_CONCEALED + 1:
            lost = self._packet_samples(leg, (ts - leg.coded_ts) & 0xFFFFFFFF, step)
            for back in range(step - 1, 0, -1):
                self._put(leg, leg.coder.conceal(lost), (ts - back * lost) & 0xFFFFFFFF)
        leg.coded_ts = ts
        self._put(leg, leg.coder.decode(payload), ts)

    def encode(self) -> None:
        """Replace the samples that this tick's packets hold by payloads.

        What a leg's row says is read and written for all legs at once: a field of one row costs as much as a short library call.
        """
        if not self._legs:
            return
        rows, packets = self._table.rows, self._table.packets
        if self._rows is None:
            self._order = list(self._legs.values())
            self._rows = np.array([leg.row for leg in self._order], np.int64)
        coded_already = np.isin(rows["source"][self._rows], (SOURCE_RELAY, SOURCE_CODED))
        due = np.flatnonzero((rows["due"][self._rows] == 1) & ~coded_already)
        due_rows = self._rows[due]
        counts = rows["send_bytes"][due_rows]
        memory, width = packets.reshape(-1).data, packets.shape[1]
        sizes = np.zeros(len(due), np.int32)
        for i, (index, row, count) in enumerate(zip(due.tolist(), due_rows.tolist(), counts.tolist(), strict=True)):
            first = row * width + HEADER_BYTES
            coder = self._order[index].coder
            if coder is not None:
                payload = coder.encode(np.frombuffer(memory, np.int16, count // 2, first))
                memory[first : first + len(payload)] = payload
                sizes[i] = len(payload)
        rows["packet_bytes"][due_rows] = HEADER_BYTES + sizes
        rows["bytes_sent"][due_rows] += sizes - counts
        rows["due"][due_rows] = sizes > 0

    def _packet_samples(self, leg: Leg, passed_samples: int, packets: int) -> int:
        """How long the peer's packets are, by how far its clock went in so many; a frame's length where that says nothing."""
        samples, rest = divmod(passed_samples, packets)
        longest = int(self._table.rows[leg.row]["frame_samples"]) * LONGEST_PACKET_MS // TICK_MS
        return int(self._table.rows[leg.row]["frame_samples"]) if rest or not 0 < samples <= longest else samples

    def _put(self, leg: Leg, samples: NDArray[np.int16], ts: int) -> None:
        if len(samples):
            put_decoded(self._table.rows, leg.row, samples, ts, self._counters)
