# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is in which room, and the same as the two arrays that the mixing kernel walks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Rooms:
    """Rooms by name; a leg (row) is in one at most. `members` and `starts` are as ``render.mix_rooms`` wants them."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[int, None]] = {}
        self._room_of: dict[int, str] = {}
        self._changed = False
        self._members: NDArray[np.int32] = np.zeros(0, np.int32)
        self._largest = 0
        self._starts: NDArray[np.int64] = np.zeros(1, np.int64)

    def __len__(self) -> int:
        return len(self._rows)

    def room_of(self, row: int) -> str:
        """Name of the room that a leg is in, or ""."""
        return self._room_of.get(row, "")

    def rows(self, room: str) -> tuple[int, ...]:
        """The legs in a room, in order of joining."""
        return tuple(self._rows.get(room, ()))

    def move(self, row: int, room: str) -> None:
        """Put a leg into a room, out of the one it was in; "" only takes it out. A room lasts as long as somebody is in it."""
        before = self._room_of.get(row, "")
        if before == room:
            return
        self._changed = True
        if before:
            members = self._rows[before]
            del members[row], self._room_of[row]
            if not members:
                del self._rows[before]
        if room:
            self._rows.setdefault(room, {})[row] = None
            self._room_of[row] = room

    def names(self) -> tuple[str, ...]:
        """Names in the order of ``arrays``."""
        return tuple(self._rows)

    def arrays(self) -> tuple[NDArray[np.int32], NDArray[np.int64], int]:
        """Return (members, starts, largest): rows sorted by room, each room's bounds among them, most members of one."""
        if self._changed:
            self._changed = False
            counts = [len(members) for members in self._rows.values()]
            self._members = np.fromiter((row for members in self._rows.values() for row in members), np.int32)
            self._largest = max(counts, default=0)
            self._starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
        return self._members, self._starts, self._largest
