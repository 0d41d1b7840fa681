# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts of an engine, and what each is given of the others when it is made.

legs (table), by_number, by_row, events          what all of them read or write
  ├─ connections                                 ports, addresses, latching
  ├─ rooms ─┬─ recorders ─┐
  │         └─ inband ────┴─► players            whose audio somebody needs has a playout ring
  │                             ├─► announcements, mix_ins     they ask the players for files
  ├─ digits, coded, packing, secure
  ├─ spans                                       rooms with members in other processes
  ├─ relays ◄── all that hears or changes the audio of a leg
  └─ speakers, held
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np

from media.control.records import Event
from media.engine.announcements import Announcements
from media.engine.call_takes import CallTakes
from media.engine.coded import CodedLegs
from media.engine.connections import Connections
from media.engine.counters import COUNTERS
from media.engine.digits import Digits
from media.engine.held import HeldLegs
from media.engine.inband import InbandDigits
from media.engine.leg import Leg
from media.engine.leg_table import LegTable
from media.engine.mix_ins import MixIns
from media.engine.options import EngineOptions
from media.engine.packing import Packing
from media.engine.players import Players
from media.engine.recorders import Recorders
from media.engine.relays import Relays
from media.engine.rooms import Rooms
from media.engine.secure_legs import SecureLegs
from media.engine.spans import Spans
from media.engine.speakers import Speakers


class Parts:
    """One of each. `bind` and `unbind` as `Engine` takes them."""

    def __init__(
        self, options: EngineOptions, bind: Callable[[int, int], int | None], unbind: Callable[[int], None], random: Random
    ) -> None:
        self.events: list[Event] = []
        self.legs = LegTable()
        self.by_number: dict[int, Leg] = {}
        self.by_row: dict[int, Leg] = {}
        self.counters = np.zeros(len(COUNTERS), np.int64)
        emit = self.events.append
        self.connections = Connections(options, bind, unbind, random, self.legs, emit)
        self.rooms = Rooms()
        self.recorders = Recorders(self.legs, self.rooms, self.by_row, emit)
        self.call_takes = CallTakes(self.legs, self.recorders, emit)
        self.inband = InbandDigits(self.legs, emit)
        self.players = Players(self.legs, self.rooms, self.by_number, self.recorders, self.inband, emit)
        self.announcements = Announcements(self.legs, self.rooms, self.players.want, emit)
        self.mix_ins = MixIns(self.legs, self.players.want, emit)
        self.digits = Digits(emit)
        self.coded = CodedLegs(self.legs, self.counters)
        self.packing = Packing(self.legs)
        self.secure = SecureLegs(self.legs, self.counters)
        self.spans = Spans(self.legs, self.rooms, random.getrandbits(31))
        self.relays = Relays(self.legs, self.rooms, self.by_row, self._hinders)
        self.held = HeldLegs(self.legs, self.by_row, emit)
        self.speakers = Speakers(self.legs, self.rooms, self.by_row, emit)

    def _hinders(self, room: str, speaker: Leg, listener: Leg) -> bool:
        """Whether what the listener is sent is more than the speaker's payloads, or somebody else hears the speaker."""
        if not self.rooms.is_plain(room) or self.announcements.is_playing(room):
            return True
        if listener in self.call_takes or listener in self.mix_ins or self.digits.is_sending(listener):
            return True
        return self.players.is_needed_elsewhere(speaker)
