# SPDX-License-Identifier: GPL-2.0-or-later
"""Legs that have sent what they may before their peer has shown that it is there (ConnectLeg.allowance), and wait: told once a leg."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from media.control.records import Event, MediaHeld
from media.engine.leg import Leg
from media.engine.leg_table import LegTable

PATIENCE_NS = 1_000_000_000
"""An ACK takes a round trip: what is over by then is not worth a word."""


class HeldLegs:
    """`by_row`: the legs, by their rows."""

    def __init__(self, legs: LegTable, by_row: Mapping[int, Leg], emit: Callable[[Event], None]) -> None:
        self._legs, self._by_row, self._emit = legs, by_row, emit
        self._since_ns: dict[int, int] = {}  # by the leg's number
        self._told: set[int] = set()

    def check(self, now_ns: int) -> None:
        """Look at all legs; to be called a few times a second."""
        rows = self._legs.rows
        spent = np.flatnonzero(
            (rows["allowance"] == 0) & (rows["connected"] == 1) & (rows["running"] == 1) & (rows["sending"] == 1)
        )
        held = {self._by_row[row].number for row in spent.tolist()}
        if self._told:
            self._told &= {leg.number for leg in self._by_row.values()}
        self._since_ns = {number: self._since_ns.get(number, now_ns) for number in held}
        for number, since_ns in self._since_ns.items():
            if number not in self._told and now_ns - since_ns >= PATIENCE_NS:
                self._told.add(number)
                self._emit(MediaHeld(number))
