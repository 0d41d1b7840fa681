# SPDX-License-Identifier: GPL-2.0-or-later
"""Rooms that several media processes share: each sends the others the sum of what its own legs say, and hears theirs a tick later.

    other processes ── put(peer, words) ──► SpanArrivals ── begin(tick) ──► remote sums ──► mix_rooms
                                                                                                   │ what was said here
    other processes ◄── (peer, datagram) ── finish(tick) ◄── partial sums ◄────────────────────────┘

In a process the sum of a room is made once, and what each is sent comes of it by a subtraction (A the announcement here, R what other
processes said in the tick before, L what the legs here say now):

    total = A + R            partial = −total
    total += L               partial += total   = L, which goes to the other processes: neither A nor R is ever sent on
    a leg that says l hears  total − l          = A + R + (L − l)

Nothing that came from others is sent on, nor are announcements, which every process plays to its own legs. Which rooms span, and with
whom, the hub says (SpanRoom); a process none of whose rooms does has nothing to do here. Each sum has the rate of the room in the
process that sends it, and is brought to that of the room in the one that hears it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from media.control.records import SpanRoom
from media.dsp.resample import DOWN_HISTORY, SINC
from media.engine.leg_table import LegTable
from media.engine.rooms import RoomArrays, Rooms
from media.engine.span_arrivals import SpanArrivals
from media.engine.span_sums import (
    HEADER_WORDS,
    MOST_WORDS,
    WORK_SAMPLES,
    Past,
    SlotNumbers,
    Sums,
    Words,
    add_sums,
    begin_sums,
    pack_sums,
    write_header,
)

RECORDED_SAMPLES = 160
"""A frame of a room's recording (``recorders.ROOM_RATE_HZ``)."""


class SpanArrays(NamedTuple):
    """For ``mix_rooms``. `spanned`: int32 (rooms,), slot of each room in the others or -1 · `remote`: int32 (s, most samples),
    sums from other processes · `partials`: int32 (s, most samples), to be written: what the legs here said · `samples`: int32 (s,), to
    be written: samples of it.
    """

    spanned: NDArray[np.int32]
    remote: NDArray[np.int32]
    partials: NDArray[np.int32]
    samples: NDArray[np.int32]


class _Sink:
    """Where sums are added up at one rate a slot, with what each sender's conversion needs of its past."""

    def __init__(self) -> None:
        self.wanted: NDArray[np.int32] = np.zeros(1, np.int32)
        self.sums: NDArray[np.int32] = np.zeros((1, 1), np.int32)
        self._past: dict[int, Past] = {}

    def clear(self, slots: int, samples: int) -> None:
        """Begin a tick, in which nobody wants anything yet; the sum of a slot is to be begun by who wants it."""
        if self.sums.shape != (slots, samples):
            self.sums = np.zeros((slots, samples), np.int32)
        if len(self.wanted) != slots:
            self.wanted = np.zeros(slots, np.int32)
            self._past.clear()
        self.wanted[:] = 0

    def past(self, peer: int) -> Past:
        """Histories and marks of one sender, a row a slot."""
        if peer not in self._past:
            slots = len(self.wanted)
            self._past[peer] = Past(np.zeros((slots, DOWN_HISTORY), np.int16), np.full((slots, 2), -1, np.int64))
        return self._past[peer]


class Spans:
    """The spanning rooms of a process."""

    def __init__(self, table: LegTable, rooms: Rooms, epoch: int) -> None:
        """`epoch`: a number that tells this process from one before or after it, below 2**31."""
        self.refused = 0
        self.arrivals: dict[int, SpanArrivals] = {}
        self._table = table
        self._rooms = rooms
        self._epoch = epoch
        self._by_room: dict[str, SpanRoom] = {}
        self._slots: dict[str, int] = {}
        self._free: list[int] = []
        self._room_sink, self._record_sink = _Sink(), _Sink()
        self._partials: NDArray[np.int32] = np.zeros((1, 1), np.int32)
        self._samples: NDArray[np.int32] = np.zeros(1, np.int32)
        self._numbers: NDArray[np.int32] = np.zeros(1, np.int32)
        self._sent: dict[int, NDArray[np.uint8]] = {}
        self._by_number = SlotNumbers(np.zeros(0, np.int32), np.zeros(0, np.int32))
        self._spanned: tuple[RoomArrays | None, NDArray[np.int32]] = (None, np.zeros(0, np.int32))
        self._work = np.zeros(WORK_SAMPLES, np.float32)
        self._bounds = np.zeros(3, np.int64)

    def __len__(self) -> int:
        return len(self._by_room)

    # ----------------------------------------------------------------------------------------------------------- the hub
    def set(self, command: SpanRoom) -> None:
        """Span a room over other processes, or no longer. Raises ValueError for a number that a datagram cannot hold."""
        if not 0 < command.number < 1 << 31:
            raise ValueError(f"number {command.number} of a spanning room: 1 to 2147483647")
        if command.peers:
            if command.room not in self._slots:
                self._slots[command.room] = self._take_slot()
            self._by_room[command.room] = command
        elif command.room in self._slots:
            del self._by_room[command.room]
            self._free.append(self._slots.pop(command.room))
        self._rooms.set_spanned(frozenset(self._by_room))
        self._rebuild()

    def _take_slot(self) -> int:
        if not self._free:
            used = len(self._slots)
            count = max(2 * used, 1)
            self._free = list(range(count - 1, used - 1, -1))
            self._samples, self._numbers = np.zeros(count, np.int32), np.zeros(count, np.int32)
        return self._free.pop()

    def _rebuild(self) -> None:
        """Make the arrays that say what each slot is and who gets it."""
        self._spanned = (None, self._spanned[1])
        self._numbers[:] = 0
        peers = sorted({peer for span in self._by_room.values() for peer in span.peers})
        self._sent = {peer: np.zeros(len(self._numbers), np.uint8) for peer in peers}
        self.arrivals = {peer: self.arrivals.get(peer) or SpanArrivals() for peer in peers}
        for room, span in self._by_room.items():
            self._numbers[self._slots[room]] = span.number
            for peer in span.peers:
                self._sent[peer][self._slots[room]] = 1
        pairs = sorted((span.number, self._slots[room]) for room, span in self._by_room.items())
        self._by_number = SlotNumbers(*np.ascontiguousarray(np.array(pairs, np.int32).reshape(-1, 2).T))

    # -------------------------------------------------------------------------------------------------------------- ticks
    def put(self, peer: int, words: Words) -> None:
        """Take a datagram of another process, which is kept; without a room in common it is dropped."""
        arrivals = self.arrivals.get(peer)
        if arrivals is not None:
            arrivals.put(words)

    def begin(self, tick: int, rooms: RoomArrays, mixed: Iterable[str]) -> SpanArrays:
        """Add up what the others say for this tick. `mixed`: rooms whose mix is being recorded here."""
        spanned = self._spanned_of(rooms)
        sink = self._room_sink
        if not self._by_room:
            return SpanArrays(spanned, sink.sums, self._partials, self._samples)
        slots, samples = len(self._numbers), self._table.frames.shape[1]
        self._samples[:] = 0
        if self._partials.shape != (slots, samples):
            self._partials = np.zeros((slots, samples), np.int32)
        sink.clear(slots, samples)
        begin_sums(self._table.rows, rooms, spanned, Sums(sink.wanted, sink.sums))
        self._record_sink.clear(slots, RECORDED_SAMPLES)
        recorded = [self._slots[room] for room in mixed if room in self._slots]
        if recorded:
            self._record_sink.wanted[recorded] = RECORDED_SAMPLES
            self._record_sink.sums[recorded] = 0
        for peer, arrivals in self.arrivals.items():
            for words in arrivals.take(tick):
                self._add(sink, peer, words, tick)
                if recorded:
                    self._add(self._record_sink, peer, words, tick)
        return SpanArrays(spanned, sink.sums, self._partials, self._samples)

    def _add(self, sink: _Sink, peer: int, words: Words, tick: int) -> None:
        into = Sums(sink.wanted, sink.sums)
        if add_sums(words, tick, self._by_number, into, sink.past(peer), self._work, SINC) < 0:
            self.refused += 1

    def recorded_frame(self, room: str) -> NDArray[np.int32] | None:
        """What the others say in a room whose mix is recorded: int32 (RECORDED_SAMPLES,); None when it does not span."""
        slot = self._slots.get(room)
        return None if slot is None or slot >= len(self._record_sink.sums) else self._record_sink.sums[slot]

    def finish(self, tick: int) -> list[tuple[int, Words]]:
        """Return this tick's datagrams with whom they are for, once ``mix_rooms`` has written the partial sums."""
        datagrams: list[tuple[int, Words]] = []
        for peer, sent in self._sent.items():
            slot = 0
            while True:
                words = np.empty(self._words_left(slot), np.int32)
                pack_sums(self._partials, self._samples, self._numbers, sent, slot, words, self._bounds)
                slot, used, entries = self._bounds.tolist()
                last = slot >= len(self._samples)
                write_header(words, self._epoch, tick, last, entries)
                datagrams.append((peer, words[:used]))
                if last:
                    break
        return datagrams

    def _words_left(self, slot: int) -> int:
        width = int(self._partials.shape[1]) + 2
        return min(HEADER_WORDS + (len(self._samples) - slot) * width, MOST_WORDS)

    def _spanned_of(self, rooms: RoomArrays) -> NDArray[np.int32]:
        """Slot of each room, made anew only when rooms or spans have changed."""
        known, spanned = self._spanned
        if known is not rooms:
            names = self._rooms.names()
            spanned = np.fromiter((self._slots.get(name, -1) for name in names), np.int32, len(names))
            self._spanned = (rooms, spanned)
        return spanned

    def statistics(self) -> dict[str, float]:
        """Counters by name."""
        arrivals = self.arrivals.values()
        return {
            "span_rooms": len(self._by_room),
            "span_missed": sum(a.missed for a in arrivals),
            "span_dropped": self.refused + sum(a.dropped for a in arrivals),
            "span_delay_ticks": max((a.delay_ticks for a in arrivals), default=0),
        }
