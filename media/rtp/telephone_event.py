# SPDX-License-Identifier: GPL-2.0-or-later
"""RFC 4733 key presses: one report a key, whatever the network does to its packets.

A press is known by its timestamp (RFC 4733 §2.5.1.2): all packets of one press carry the same, however many come, in whatever
order.
Lost markers do not matter; a lost end is made up for by the next press or by silence.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

LOST_END_NS = 200_000_000
"""A press whose end never came is over this long after its last packet (spec core.md §9.4)."""

QUIETEST_DBM0 = 55
"""Presses announced at this volume (dBm0 below zero) or less are ignored (spec core.md §9.4)."""

LAST_EVENT = 16
REMEMBERED = 8


@dataclass(frozen=True, slots=True)
class Press:
    """One finished key press."""

    event: int
    duration_ms: int


class PressReceiver:
    """The key presses of one leg."""

    def __init__(self, clock_hz: int = 8000) -> None:
        self._clock_hz = clock_hz
        self._event = -1
        self._ts = 0
        self._duration = 0
        self._last_ns = 0
        self._done: deque[tuple[int, int]] = deque(maxlen=REMEMBERED)

    @property
    def busy(self) -> bool:
        """A press is under way: ``poll`` must be called."""
        return self._event >= 0

    def handle_packet(self, event: int, end: bool, volume: int, duration: int, ts: int, ssrc: int, now_ns: int) -> list[Press]:
        """Take one telephone-event payload; return the presses that it finished."""
        if volume >= QUIETEST_DBM0 or event > LAST_EVENT or (ts, ssrc) in self._done:
            return []
        finished = self._finish() if self.busy and ts != self._ts else []
        self._event, self._ts, self._last_ns = event, ts, now_ns
        self._duration = max(self._duration, duration)
        self._ssrc = ssrc
        return finished + self._finish() if end else finished

    def poll(self, now_ns: int) -> list[Press]:
        """Return the press whose end was lost, once it is clear that it was."""
        return self._finish() if self.busy and now_ns - self._last_ns >= LOST_END_NS else []

    def _finish(self) -> list[Press]:
        press = Press(self._event, self._duration * 1000 // self._clock_hz)
        self._done.append((self._ts, self._ssrc))
        self._event, self._duration = -1, 0
        return [press]
