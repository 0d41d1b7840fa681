# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is speaking in the rooms: levels with hysteresis, reported as SpeakerChanged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from media.control.records import Event, SpeakerChanged
from media.engine.leg import Leg
from media.engine.leg_table import LegTable
from media.engine.rooms import Rooms

START_DB = -40.0
STOP_DB = -46.0
"""dBov at which speaking starts, and below which it ends: the gap keeps one voice from being many events."""

HOLD_NS = 500_000_000
"""Pauses shorter than this belong to the speaking."""

SILENCE_DB = -96.0


class Speakers:
    """The legs that are being heard in their rooms."""

    def __init__(self, table: LegTable, rooms: Rooms, by_row: dict[int, Leg], emit: Callable[[Event], None]) -> None:
        self._table = table
        self._rooms = rooms
        self._by_row = by_row
        self._emit = emit
        self._since: dict[int, tuple[str, int]] = {}  # row → room, when last over the stop level

    def check(self, now_ns: int) -> None:
        """Report changes. To be called a few times a second."""
        members = self._rooms.arrays().members
        rows = self._table.rows
        energy = np.where(rows["speaks"] == 1, rows["energy"], 0.0)
        loud = set(members[energy[members] > 10 ** (START_DB / 10)].tolist())
        going_on = set(members[energy[members] > 10 ** (STOP_DB / 10)].tolist())
        for row in loud - self._since.keys():
            self._since[row] = (self._rooms.room_of(row), now_ns)
            self._report(row, self._since[row][0], True)
        for row, (room, since_ns) in list(self._since.items()):
            here = self._rooms.room_of(row) == room
            if here and row in going_on:
                self._since[row] = (room, now_ns)
            elif not here or now_ns - since_ns >= HOLD_NS:
                del self._since[row]
                self._report(row, room, False)

    def close(self, leg: Leg) -> None:
        """A leg is about to go."""
        room, _ = self._since.pop(leg.row, ("", 0))
        if room and not room.startswith("\0"):
            self._emit(SpeakerChanged(room, leg.number, False, SILENCE_DB))

    def _report(self, row: int, room: str, speaking: bool) -> None:
        leg = self._by_row.get(row)
        if leg is not None and not room.startswith("\0"):
            energy = float(self._table.rows[row]["energy"])
            level_db = max(10 * np.log10(energy), SILENCE_DB) if energy > 0 else SILENCE_DB
            self._emit(SpeakerChanged(room, leg.number, speaking, round(float(level_db), 1)))
