# SPDX-License-Identifier: GPL-2.0-or-later
"""Which legs' payloads are passed on undecoded to which, and how decoding takes over again. The kernels are in ``relay.py``.

Two legs that are alone with each other and speak one codec need no decoding: in a bridge not at all; in a room the speaker is still
decoded, since the room reports who speaks, but the listener gets the payload. Each direction is looked at by itself, whenever
something about a leg or a room has changed (``Rooms.touched``), never in a plain tick. Anything that needs or changes the audio ends it:
recording, in-band keys, gain, mute, deafness, mix-in, an announcement, a third member, a tee, other packet lengths, a key being sent.

When a relay ends, the payloads still in their slots are decoded, the older ones to bring decoder and encoder up to date, those not yet
played into the ring: the next frame follows the last payload sample by sample.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from media.engine import relay
from media.engine.leg import Leg
from media.engine.leg_table import (
    RELAY_BOTH,
    RELAY_KEEPS,
    RELAY_NONE,
    RELAY_PURE,
    SLOT_HEADER,
    SOURCE_RELAY,
    SOURCE_ROOM,
    LegTable,
)
from media.engine.players import BRIDGE_ROOM
from media.engine.rooms import Rooms

LONGEST_KEPT = 1280
"""Bytes of a library codec's payload that fit into a slot: an Opus frame at its most."""

SPARE_SLOTS = 6
WARM_FRAMES = 3
"""Frames that an encoder hears before it takes over, so that its first packet is not that of a fresh one."""

DESCRIBES_ITSELF = ("OPUS",)
"""Codecs whose payloads any decoder takes, whatever the fmtp of either side asks for."""

Key = tuple[int, int]  # numbers of speaker and listener
Kept = tuple[int, NDArray[np.int16]]  # offset in samples, frame


K = TypeVar("K")


def _forget(sets: dict[K, set[Key]], name: K, key: Key) -> None:
    """Take a key out of a set that goes when it is empty."""
    sets[name].discard(key)
    if not sets[name]:
        del sets[name]


class Relays:
    """The relays of a process, dense: number k is row k of the table that the kernels walk."""

    def __init__(self, table: LegTable, rooms: Rooms, by_row: dict[int, Leg], hinders: Callable[[str, Leg, Leg], bool]) -> None:
        """`hinders(room, speaker, listener)`: something else than these two hears or adds to what passes between them."""
        self.enabled = True
        self._table = table
        self._rooms = rooms
        self._by_row = by_row
        self._hinders = hinders
        self._relays: NDArray[np.void] = np.zeros(4, relay.RELAY)
        self._ended: NDArray[np.int32] = np.zeros(4, np.int32)
        self._counts = np.zeros(3, np.int64)
        self._pairs: list[tuple[Leg, Leg]] = []
        self._indexes: dict[Key, int] = {}
        self._rooms_of: dict[Key, str] = {}
        self._of_room: dict[str, set[Key]] = {}
        self._of_leg: dict[int, set[Key]] = {}
        self._kept: dict[int, NDArray[np.uint8]] = {}

    @property
    def more(self) -> bool:
        """Payloads wait for ``pass_more``."""
        return bool(self._counts[1])

    @property
    def passed_on(self) -> int:
        """Payloads passed on so far."""
        return int(self._counts[2])

    # --------------------------------------------------------------------------------------------------------------- ticks
    def settle(self) -> None:
        """Look at the rooms in which something has changed."""
        touched = self._rooms.touched
        if not touched:
            return
        self._rooms.touched = set()
        wanted: dict[Key, tuple[str, Leg, Leg]] = {}
        for room in touched:
            legs = [self._by_row[row] for row in self._rooms.rows(room)] if self.enabled else []
            if len(legs) == 2:
                for speaker, listener in (legs, legs[::-1]):
                    if self._may_pass(room, speaker, listener):
                        wanted[speaker.number, listener.number] = (room, speaker, listener)
        for room in touched & self._of_room.keys():
            for key in list(self._of_room[room]):
                if key not in wanted or wanted[key][0] != room:
                    self._remove(key)
        for key, (room, speaker, listener) in wanted.items():
            if key in self._indexes:
                self._go_on(key)
            else:
                self._add(key, room, speaker, listener)

    def pass_on(self) -> None:
        """Pass on this tick's payloads; relays that cannot go on fall back to decoding before anything is played out."""
        if not self._pairs:
            return
        relay.relay_tick(self._relays[: len(self._pairs)], self._table.rows, self._table.packets, self._ended, self._counts)
        for index in self._ended[: int(self._counts[0])].tolist():
            self._fall_back(index)

    def pass_more(self) -> None:
        """Pass on what fast senders are ahead by."""
        if self.more:
            relay.relay_more(self._relays[: len(self._pairs)], self._table.rows, self._table.packets, self._counts)

    def drop(self, leg: Leg) -> None:
        """End a leg's relays: it is about to be closed or connected anew."""
        for key in list(self._of_leg.get(leg.number, ())):
            self._rooms.touched.add(self._rooms_of[key])
            self._remove(key)

    # --------------------------------------------------------------------------------------------------------------- which
    def _may_pass(self, room: str, speaker: Leg, listener: Leg) -> bool:
        """Whether a listener's packets can be a speaker's payloads as they are."""
        codec, rows = speaker.codec, self._table.rows
        if codec is None or codec is not listener.codec or speaker.connection is None or listener.connection is None:
            return False
        if not codec.passes:
            return False
        if codec.rtpmap not in DESCRIBES_ITSELF and speaker.connection.fmtp != listener.connection.fmtp:
            return False
        if codec.coder is None and not room.startswith(BRIDGE_ROOM):
            return False  # its level must be known, and beside decoding there is nothing to be saved
        says, hears = rows[speaker.row], rows[listener.row]
        sends_plain = speaker.connection.ptime_ms == listener.connection.ptime_ms and hears["send_ticks"] == hears["frame_ticks"]
        heard = says["speaks"] and says["receiving"] and says["gain_q12"] == 4096 and not self._rooms.is_teed(speaker.row)
        listens = hears["hears"] and hears["sending"] and hears["running"] and hears["source"] in (SOURCE_ROOM, SOURCE_RELAY)
        return bool(sends_plain and heard and listens) and not self._hinders(room, speaker, listener)

    def _add(self, key: Key, room: str, speaker: Leg, listener: Leg) -> None:
        index = len(self._pairs)
        if index == len(self._relays):
            self._relays = np.concatenate([self._relays, np.zeros_like(self._relays)])
            self._ended = np.zeros(2 * index, np.int32)
        mode = RELAY_PURE if room.startswith(BRIDGE_ROOM) else RELAY_BOTH
        self._relays[index] = (speaker.row, listener.row, mode, 0, 0, 0, 0, 0, 0, 0, 0)
        self._pairs.append((speaker, listener))
        self._indexes[key], self._rooms_of[key] = index, room
        self._of_room.setdefault(room, set()).add(key)
        for number in key:
            self._of_leg.setdefault(number, set()).add(key)
        row, codec = self._table.rows[speaker.row], speaker.codec
        assert codec is not None
        frames = int(row["max_delay_samples"]) // int(row["frame_samples"]) + SPARE_SLOTS
        size = min(int(row["frame_bytes"]), LONGEST_KEPT)  # no packet of ours has room for more
        self._kept[speaker.number] = self._table.set_slots(speaker.row, 1 << (frames - 1).bit_length(), size)
        row["relays"], row["relay_run"] = RELAY_KEEPS, 0

    def _go_on(self, key: Key) -> None:
        """A player has set the listener's source anew; the relay goes on."""
        if self._relays[self._indexes[key]]["active"]:
            _, listener = self._pairs[self._indexes[key]]
            self._table.rows[listener.row]["source"] = SOURCE_RELAY

    def _remove(self, key: Key) -> None:
        """Take a relay out; the last one moves to its index."""
        index = self._indexes[key]
        speaker, _ = self._pairs[index]
        if self._relays[index]["active"]:
            self._fall_back(index)
        self._table.rows[speaker.row]["relays"] = RELAY_NONE
        self._table.set_slots(speaker.row, 0, 0)
        _forget(self._of_room, self._rooms_of[key], key)
        for number in key:
            _forget(self._of_leg, number, key)
        del self._indexes[key], self._rooms_of[key], self._kept[speaker.number]
        last = self._pairs.pop()
        if index < len(self._pairs):
            self._pairs[index], self._relays[index] = last, self._relays[len(self._pairs)]
            self._indexes[last[0].number, last[1].number] = index

    # ----------------------------------------------------------------------------------------------------------- fall back
    def _fall_back(self, index: int) -> None:
        """Let decoding take over with the frame that is to be played now."""
        passing = self._relays[index]
        passing["active"] = passing["extra"] = 0
        speaker, listener = self._pairs[index]
        row, hears = self._table.rows[speaker.row], self._table.rows[listener.row]
        samples = (int(row["play_ts"]) - int(passing["samples_in"]) + 0x80000000) % 0x100000000 - 0x80000000
        if hears["source"] == SOURCE_RELAY:
            hears["source"] = SOURCE_ROOM
        hears["send_bytes"] = hears["frame_bytes"]
        if row["primed"] and row["relay_run"]:  # else the clock is another's: time goes on as it does without packets
            ahead = samples if passing["fresh"] else max(samples, int(row["frame_samples"]))
            hears["ts_out"] = (int(passing["ts_out"]) + ahead // int(row["samples_per_tick"])) % 0x100000000
        kept, newest = self._decode_kept(speaker)
        row["play_ts"] = (int(row["play_ts"]) + int(row["coding_delay"])) % 0x100000000
        recent = _recent(kept, int(row["frame_samples"]), int(row["coding_delay"]))
        if listener.coder is not None:
            for frame in recent:
                listener.coder.encode(frame)
        if row["relays"] == RELAY_PURE:
            self._refill(speaker, kept, newest, int(passing["missing"]))
            self._table.frames[speaker.row, : len(recent[-1])] = recent[-1]
            row["heard"] = 1
        row["relays"], row["relay_run"] = RELAY_KEEPS, 0

    def _refill(self, speaker: Leg, kept: list[Kept], newest: int, missing: int) -> None:
        """Give a leg that was not decoded a ring with what is not played yet."""
        row = self._table.rows[speaker.row]
        delay = int(row["coding_delay"])
        row["relays"], row["listened"] = RELAY_KEEPS, 1
        self._table.set_ring(speaker.row, int(row["ring_samples"]))
        for apart, frame in kept:
            ahead = apart - delay
            self._table.fill_ring(speaker.row, frame[max(-ahead, 0) :], max(ahead, 0))
        speaker.coded_sequence = newest
        row["missing_in_row"] = missing

    def _decode_kept(self, speaker: Leg) -> tuple[list[Kept], int]:
        """Decode a leg's slots, oldest first, each with its offset from the frame to be played now on; and the newest sequence number."""
        row, codec = self._table.rows[speaker.row], speaker.codec
        assert codec is not None
        now = int(row["play_ts"])
        span = int(row["slots"]) * int(row["frame_samples"])
        found: list[tuple[int, int, NDArray[np.uint8]]] = []
        for slot in self._kept[speaker.number]:
            ts, sequence, count = (int.from_bytes(slot[a:b].tobytes(), "little") for a, b in ((0, 4), (4, 6), (6, 8)))
            apart = (ts - now + 0x80000000) % 0x100000000 - 0x80000000
            if (slot[9] == relay.FRESH or (slot[9] == relay.SENT and apart < 0)) and -span < apart < span:
                found.append((apart, sequence, slot[SLOT_HEADER : SLOT_HEADER + count]))
        found.sort(key=lambda entry: entry[0])
        own = row["relays"] == RELAY_PURE  # else the leg's decoder has heard them already
        coder = speaker.coder if own or codec.coder is None else codec.coder("")
        kept = []
        for apart, _, payload in found:
            frame = coder.decode(payload.tobytes()) if coder is not None else codec.decode(np.ascontiguousarray(payload))
            kept.append((apart, frame))
        return kept, found[-1][1] if found else -1


def _recent(kept: list[Kept], frame_samples: int, delay_samples: int) -> NDArray[np.int16]:
    """Return what went before the next frame to be played, as frames: int16 (WARM_FRAMES, frame_samples). Holes are silence."""
    length = WARM_FRAMES * frame_samples
    recent = np.zeros(length, np.int16)
    for apart, frame in kept:
        first = apart - delay_samples + length
        part = frame[max(-first, 0) : max(length - first, 0)]
        recent[max(first, 0) : max(first, 0) + len(part)] = part
    return recent.reshape(WARM_FRAMES, frame_samples)
