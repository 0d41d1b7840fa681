# SPDX-License-Identifier: GPL-2.0-or-later
"""How many calls, how fast, and the counters that show it (spec core.md §6.1–§6.3). Pure: time comes in as `now_ns`."""

from __future__ import annotations

import math
from collections import deque

from di.kernel.server_options import Limit

WINDOW_NS = 5_000_000_000
WINDOW_S = 5


class CallLimits:
    """Decides about each new call and keeps the counts."""

    def __init__(self, sessions: Limit, calls_per_second: Limit, shutdown_reply: tuple[int, str], now_ns: int) -> None:
        self.session_limit = sessions
        self.cps_reply = calls_per_second
        self.hard_cps = self.soft_cps = calls_per_second.count
        self.shutdown_reply = shutdown_reply
        self.shutdown_mode = False
        self.active = 0
        self.created = 0
        self._max_active = 0
        self._max_cps = 0
        self._created_ns: deque[int] = deque()
        self._area = 0.0
        self._call_ns = 0
        self._area_from_ns = self._changed_ns = now_ns

    def refusal(self, now_ns: int) -> tuple[int, str] | None:
        """Code and reason to refuse a new call with, or None. Order: shutdown mode, number of calls, calls per second."""
        if self.shutdown_mode:
            return self.shutdown_reply
        if self.session_limit.count and self.session_limit.count <= self.active:
            return self.session_limit.code, self.session_limit.reason
        if self.soft_cps and self.rate(now_ns) > self.soft_cps:
            return self.cps_reply.code, self.cps_reply.reason
        return None

    def begin(self, now_ns: int) -> None:
        """A call was accepted as a session."""
        self._count(now_ns)
        self.active += 1
        self.created += 1
        self._max_active = max(self._max_active, self.active)
        self._created_ns.append(now_ns)
        self._max_cps = max(self._max_cps, self.rate(now_ns))

    def end(self, now_ns: int) -> None:
        """A session is over."""
        self._count(now_ns)
        self.active -= 1

    def rate(self, now_ns: int) -> int:
        """Calls per second: those of the last 5 s, divided by 5, rounded down."""
        while self._created_ns and self._created_ns[0] <= now_ns - WINDOW_NS:
            self._created_ns.popleft()
        return len(self._created_ns) // WINDOW_S

    def set_cps(self, limit: int) -> None:
        """Set hard and soft limit; 0 is none."""
        self.hard_cps = self.soft_cps = max(0, limit)

    def set_soft_cps(self, percent: int, now_ns: int) -> None:
        """Set the soft limit to a share of the present rate, at least 1; 0 restores the hard one."""
        self.soft_cps = self.hard_cps if percent == 0 else max(1, self.rate(now_ns) * percent // 100)

    def take_max_cps(self) -> int:
        """The highest rate seen at a creation; the query resets it."""
        highest, self._max_cps = self._max_cps, 0
        return highest

    def take_max_active(self) -> int:
        """The most calls at once since the last query, which resets it to the present number."""
        highest, self._max_active = self._max_active, self.active
        return highest

    def peek_max_cps(self) -> int:
        """The highest rate since the last resetting query, without resetting."""
        return self._max_cps

    def peek_max_active(self) -> int:
        """The most calls at once since the last resetting query, without resetting."""
        return self._max_active

    def call_ns(self, now_ns: int) -> int:
        """The time of all calls so far, added up; never reset."""
        return self._call_ns + self.active * (now_ns - self._changed_ns)

    def take_average(self, now_ns: int) -> int:
        """Calls at once, averaged over the time since the last query, rounded up."""
        average = self.peek_average(now_ns)
        self._count(now_ns)
        self._area, self._area_from_ns = 0.0, now_ns
        return average

    def peek_average(self, now_ns: int) -> int:
        """The same without a new beginning."""
        span = now_ns - self._area_from_ns
        area = self._area + self.active * (now_ns - self._changed_ns)
        return math.ceil(area / span) if span > 0 else self.active

    def _count(self, now_ns: int) -> None:
        spent_ns = self.active * (now_ns - self._changed_ns)
        self._area += spent_ns
        self._call_ns += spent_ns
        self._changed_ns = now_ns
