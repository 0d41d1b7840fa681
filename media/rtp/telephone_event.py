# SPDX-License-Identifier: GPL-2.0-or-later
"""RFC 4733 key presses: one report a key, whatever the network does to its packets.

A press is known by its timestamp (RFC 4733 §2.5.1.2): all packets of one press, or of one segment of a long one, carry the same, however
many come, in whatever order. Lost markers do not matter; a lost end is made up for by the next press or by silence.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass

LOST_END_NS = 200_000_000
"""A press whose end never came is over this long after its last packet (spec core.md §9.4)."""

QUIETEST_DBM0 = 55
"""Presses announced at this volume (dBm0 below zero) or less are ignored (spec core.md §9.4)."""

LAST_EVENT = 16
FIELD_END = 0xFFFF
"""A longer press comes in segments, each with a timestamp of its own and the duration counted anew (RFC 4733 §2.5.1.3)."""

REMEMBERED = 8


@dataclass(frozen=True, slots=True)
class Press:
    """One finished key press."""

    event: int
    duration_ms: int


class PressReceiver:
    """The key presses of one leg. `clock_hz`: in what the durations are counted, as negotiated."""

    def __init__(self, clock_hz: int = 8000) -> None:
        self.clock_hz = clock_hz
        self._event = -1
        self._ts = 0
        self._duration = 0
        self._earlier = 0  # ticks of the segments before this one
        self._ssrc = 0
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
        finished = []
        if self.busy and ts != self._ts:
            if self._goes_on(event, duration, ts, ssrc):
                self._next_segment(ts)
            else:
                finished = self._finish()
        self._event, self._ts, self._last_ns = event, ts, now_ns
        self._duration = max(self._duration, duration)
        self._ssrc = ssrc
        return finished + self._finish() if end else finished

    def _goes_on(self, event: int, duration: int, ts: int, ssrc: int) -> bool:
        """Whether a packet is of the next segment of the press: its duration field had run full, or was about to when packets were lost."""
        step = (ts - self._ts) & 0xFFFFFFFF
        missed = self.clock_hz * LOST_END_NS // 1_000_000_000  # most that a press may miss before it is over
        full = self._duration >= FIELD_END - missed and duration < self._duration
        return full and event == self._event and ssrc == self._ssrc and step < 0x80000000

    def _next_segment(self, ts: int) -> None:
        """What has been counted stands; what is still to come of the old segment is late."""
        step = (ts - self._ts) & 0xFFFFFFFF
        self._earlier += step if self._duration <= step <= FIELD_END else self._duration
        self._duration = 0
        self._done.append((self._ts, self._ssrc))

    def poll(self, now_ns: int) -> list[Press]:
        """Return the press whose end was lost, once it is clear that it was."""
        return self._finish() if self.busy and now_ns - self._last_ns >= LOST_END_NS else []

    def _finish(self) -> list[Press]:
        press = Press(self._event, (self._earlier + self._duration) * 1000 // self.clock_hz)
        self._done.append((self._ts, self._ssrc))
        self._event, self._duration, self._earlier = -1, 0, 0
        return [press]


SEND_VOLUME_DBM0 = 20
END_PACKETS = 3
"""The end of a press is sent three times (RFC 4733 §2.5.1.4; volume and count as spec core.md §9.4)."""

PAUSE_PACKETS = 3
LONGEST_MS = 8000


@dataclass(frozen=True, slots=True)
class EventPacket:
    """What one packet of a press carries. `first`: it starts a press. `segment_ticks`: how long after that its segment began, in the
    event's clock; the packets of a segment share a timestamp.
    """

    payload: bytes
    first: bool
    segment_ticks: int = 0


class PressSender:
    """Key presses waiting to be sent, one packet a call. `clock_hz`: in what the durations are counted, as negotiated."""

    def __init__(self, clock_hz: int = 8000) -> None:
        self.clock_hz = clock_hz
        self._queue: deque[tuple[int, int]] = deque()
        self._event = -1
        self._total_ticks = 0
        self._ticks = 0
        self._segment_ticks = 0
        self._ends = 0
        self._pause = 0

    def press(self, event: int, duration_ms: int) -> None:
        """Queue a press. Raises ValueError for an event that is no key."""
        if not 0 <= event <= LAST_EVENT:
            raise ValueError(f"event {event} is no key: 0 to {LAST_EVENT}")
        self._queue.append((event, min(max(duration_ms, 1), LONGEST_MS)))

    @property
    def idle(self) -> bool:
        """Nothing is queued or under way."""
        return self._event < 0 and not self._queue and not self._pause

    def next_packet(self, packet_ticks: int = 160) -> EventPacket | None:
        """Return what to send instead of this packet's audio, None for audio (a pause between presses).

        `packet_ticks`: length of a packet of this leg, in the event's clock; a press lasts a whole number of them, at least two.
        """
        if self._pause:
            self._pause -= 1
            return None
        first = self._event < 0
        if first:
            if not self._queue:
                return None
            self._begin(*self._queue.popleft(), packet_ticks)
        end = self._ends > 0
        if not end:
            if self._ticks + packet_ticks - self._segment_ticks > FIELD_END:
                self._segment_ticks = self._ticks
            self._ticks = min(self._ticks + packet_ticks, self._total_ticks)
            end = self._ticks == self._total_ticks and not first
        duration = self._ticks - self._segment_ticks
        payload = struct.pack(">BBH", self._event, SEND_VOLUME_DBM0 | (0x80 if end else 0), duration)
        if end:
            self._ends += 1
            if self._ends == END_PACKETS:
                self._event, self._pause = -1, PAUSE_PACKETS
        return EventPacket(payload, first, self._segment_ticks)

    def _begin(self, event: int, duration_ms: int, packet_ticks: int) -> None:
        self._event, self._ticks, self._segment_ticks, self._ends = event, 0, 0, 0
        self._total_ticks = -(-duration_ms * self.clock_hz // 1000 // packet_ticks) * packet_ticks
