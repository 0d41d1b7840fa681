# SPDX-License-Identifier: GPL-2.0-or-later
"""RFC 4733 key presses of all legs: notes in, DigitPressed out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from media.control.records import DigitPressed
from media.engine.leg import Leg
from media.rtp.telephone_event import Press


class Digits:
    """Keeps which legs have a press under way, so that lost ends are found without asking every leg."""

    def __init__(self, emit: Callable[[object], None]) -> None:
        self._emit = emit
        self._busy: dict[int, Leg] = {}

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

    def poll(self, now_ns: int) -> None:
        """Finish presses whose end was lost."""
        for leg in list(self._busy.values()):
            self._report(leg, leg.presses.poll(now_ns))
            if not leg.presses.busy:
                del self._busy[leg.number]

    def close(self, leg: Leg) -> None:
        """Forget a leg."""
        self._busy.pop(leg.number, None)

    def _report(self, leg: Leg, presses: list[Press]) -> None:
        for press in presses:
            self._emit(DigitPressed(leg.number, press.event, press.duration_ms, "rtp"))
