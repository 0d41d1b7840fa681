# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is in which room, who feeds it from outside, and the same as the arrays that the mixing kernel walks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from media.dsp.resample import UP_HISTORY


class RoomArrays(NamedTuple):
    """All rooms for ``mix_rooms``: members sorted by room, and feeders beside them.

    `members`: int32 (k,), rows · `starts`: int64 (rooms + 1,), bounds of each room in `members` · `feeders`: int32 (f, 2), row and
    index in ``Rooms.feed_history`` of each tee · `feed_starts`: int64 (rooms + 1,) · `largest`: most members of one room.
    """

    members: NDArray[np.int32]
    starts: NDArray[np.int64]
    feeders: NDArray[np.int32]
    feed_starts: NDArray[np.int64]
    largest: int


class Rooms:
    """Rooms by name; a leg (row) is in one at most, and may be teed into others, where it is heard but hears nothing."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[int, None]] = {}
        self._room_of: dict[int, str] = {}
        self._feeders: dict[str, dict[int, int]] = {}  # room → row → index of its history
        self._tees: dict[int, set[str]] = {}
        self._free: list[int] = []
        self.feed_history: NDArray[np.int16] = np.zeros((1, UP_HISTORY), np.int16)
        """Ends of feeders' past frames, for rooms of several rates; int16 (most tees, dsp.resample.UP_HISTORY)."""
        self._spanned: frozenset[str] = frozenset()
        self._changed = True
        self.touched: set[str] = set()
        """Rooms whose members have changed, or something about them, since whoever cares has looked (``Relays``)."""
        self._arrays = _arrays([], [])
        self._names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names())

    def room_of(self, row: int) -> str:
        """Name of the room that a leg is in, or ""."""
        return self._room_of.get(row, "")

    def rows(self, room: str) -> tuple[int, ...]:
        """The legs in a room, in order of joining."""
        return tuple(self._rows.get(room, ()))

    def heard_rows(self, room: str) -> tuple[int, ...]:
        """The legs in a room, then those that only feed it."""
        return tuple(dict.fromkeys((*self._rows.get(room, ()), *self._feeders.get(room, ()))))

    def is_plain(self, room: str) -> bool:
        """Whether nobody but its members here is heard in a room."""
        return room not in self._feeders and room not in self._spanned

    def is_teed(self, row: int) -> bool:
        """Whether a leg feeds any room."""
        return row in self._tees

    def move(self, row: int, room: str) -> None:
        """Put a leg into a room, out of the one it was in; "" only takes it out. A room lasts as long as somebody is in it."""
        before = self._room_of.get(row, "")
        if before == room:
            return
        self._changed = True
        self.touched |= {before, room} - {""}
        if before:
            members = self._rows[before]
            del members[row], self._room_of[row]
            if not members:
                del self._rows[before]
        if room:
            self._rows.setdefault(room, {})[row] = None
            self._room_of[row] = room

    def tee(self, row: int, room: str) -> None:
        """Let a leg feed a room too."""
        feeders = self._feeders.setdefault(room, {})
        if row in feeders:
            return
        if not self._free:
            count = len(self.feed_history)
            self.feed_history = np.concatenate([self.feed_history, np.zeros_like(self.feed_history)])
            self._free = list(range(2 * count - 1, count - 1, -1))
        feeders[row] = self._free.pop()
        self.feed_history[feeders[row]] = 0
        self._tees.setdefault(row, set()).add(room)
        self.touched |= {room, self.room_of(row)} - {""}
        self._changed = True

    def untee(self, row: int, room: str | None = None) -> None:
        """End a leg's feeding of a room, or of all."""
        rooms = self._tees.get(row)
        if rooms is None:
            return
        self.touched |= {*rooms, self.room_of(row)} - {""}
        for name in list(rooms) if room is None else [room] if room in rooms else []:
            self._free.append(self._feeders[name].pop(row))
            rooms.discard(name)
            if not self._feeders[name]:
                del self._feeders[name]
            self._changed = True
        if not rooms:
            self._tees.pop(row, None)

    def set_spanned(self, rooms: frozenset[str]) -> None:
        """Name the rooms that others may be in elsewhere: they are mixed also when nobody here does more than feed them."""
        self.touched |= self._spanned ^ rooms
        self._spanned = rooms
        self._changed = True

    def names(self) -> tuple[str, ...]:
        """Names in the order of ``arrays``."""
        self.arrays()
        return self._names

    def arrays(self) -> RoomArrays:
        """Return the rooms that somebody is in, and the spanning ones that are fed; who is in a room that he also feeds is a member
        only.
        """
        if self._changed:
            self._changed = False
            fed_only = (room for room in self._feeders if room in self._spanned and room not in self._rows)
            self._names = (*self._rows, *fed_only)
            members = [list(self._rows.get(room, ())) for room in self._names]
            feeders = [
                [pair for pair in self._feeders.get(room, {}).items() if pair[0] not in self._rows.get(room, ())]
                for room in self._names
            ]
            self._arrays = _arrays(members, feeders)
        return self._arrays


def _arrays(members: list[list[int]], feeders: list[list[tuple[int, int]]]) -> RoomArrays:
    return RoomArrays(
        np.fromiter((row for rows in members for row in rows), np.int32),
        _bounds([len(rows) for rows in members]),
        np.array([pair for pairs in feeders for pair in pairs], np.int32).reshape(-1, 2),
        _bounds([len(pairs) for pairs in feeders]),
        max((len(rows) for rows in members), default=0),
    )


def _bounds(counts: list[int]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
