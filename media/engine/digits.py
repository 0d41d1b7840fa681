# SPDX-License-Identifier: GPL-2.0-or-later
"""RFC 4733 key presses of all legs: notes in, DigitPressed out; SendDigit in, event packets out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from media.control.records import DigitPressed, Event
from media.engine.leg import Leg
from media.engine.leg_table import HEADER_BYTES, LegTable
from media.rtp.telephone_event import Press, PressSender


class Digits:
    """Keeps which legs have a press under way, so that lost ends are found without asking every leg."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._busy: dict[int, Leg] = {}
        self._sending: dict[int, Leg] = {}

    def handle(self, leg: Leg, note: Any, now_ns: int) -> None:
        """Take one NOTE_DIGIT."""
        presses = leg.presses.handle_packet(
            int(note["event"]),
            bool(note["end"]),
            int(note["volume"]),
            int(note["duration"]),
            int(note["ts"]),
            int(note["ssrc"]),
            now_ns,
        )
        self._report(leg, presses)
        if leg.presses.busy:
            self._busy[leg.number] = leg

    @property
    def busy(self) -> list[Leg]:
        """Legs that have a press under way."""
        return [*self._busy.values()] if self._busy else []

    def poll(self, leg: Leg, now_ns: int) -> None:
        """Finish a leg's press whose end was lost."""
        self._report(leg, leg.presses.poll(now_ns))
        if not leg.presses.busy:
            del self._busy[leg.number]

    def close(self, leg: Leg) -> None:
        """Forget a leg."""
        self._busy.pop(leg.number, None)
        self._sending.pop(leg.number, None)

    def send(self, leg: Leg, event: int, duration_ms: int) -> None:
        """Queue a press for sending, unless the peer takes none. Raises ValueError for an event that is no key."""
        leg.press_sender.press(event, duration_ms)
        self._sending[leg.number] = leg
        self.connected(leg)

    def connected(self, leg: Leg) -> None:
        """Offer and answer are complete, or have changed: to a peer that takes no presses none is left to be sent."""
        if leg.connection is not None and leg.connection.dtmf_send < 0 and leg.number in self._sending:
            del self._sending[leg.number]
            leg.press_sender = PressSender(leg.press_sender.clock_hz)

    def is_sending(self, leg: Leg) -> bool:
        """Whether a press is being sent, or waits for it."""
        return leg.number in self._sending

    @property
    def sending(self) -> list[Leg]:
        """Legs that send a press, or will."""
        return [*self._sending.values()] if self._sending else []

    def replace_audio(self, leg: Leg, table: LegTable) -> bool:
        """Put an event packet in the place of this tick's audio of a leg that sends a press (RFC 4733 §2.5.1). True when that was the last."""
        row = table.rows[leg.row]
        kind = leg.connection.dtmf_send if leg.connection is not None else -1
        if not row["due"] or not 0 <= kind < 128:
            return False
        clock_hz, event_hz = int(row["clock_hz"]), leg.press_sender.clock_hz
        packet = leg.press_sender.next_packet(max(int(row["send_ticks"]) * event_hz // clock_hz, 1))
        if packet is not None:
            if packet.first:
                leg.press_ts = (int(row["ts_out"]) - int(row["send_ticks"])) & 0xFFFFFFFF
            ts = (leg.press_ts + packet.segment_ticks * clock_hz // event_hz) & 0xFFFFFFFF
            wire = table.packets[leg.row]
            wire[1] = kind | (0x80 if packet.first else 0)
            wire[4:8] = np.frombuffer(ts.to_bytes(4, "big"), np.uint8)
            wire[HEADER_BYTES : HEADER_BYTES + len(packet.payload)] = np.frombuffer(packet.payload, np.uint8)
            row["bytes_sent"] += HEADER_BYTES + len(packet.payload) - int(row["packet_bytes"])
            row["packet_bytes"] = HEADER_BYTES + len(packet.payload)
        if leg.press_sender.idle:
            del self._sending[leg.number]
            return True
        return False

    def _report(self, leg: Leg, presses: list[Press]) -> None:
        for press in presses:
            self._emit(DigitPressed(leg.number, press.event, press.duration_ms, "rtp"))
