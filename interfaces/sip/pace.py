# SPDX-License-Identifier: GPL-2.0-or-later
"""So many at once, then so many a second (a token bucket). Pure: time comes from outside."""

from __future__ import annotations

_SECOND_NS = 1_000_000_000


class Pace:
    """`burst` at once, `a_second` on average."""

    __slots__ = ("_a_second", "_at_ns", "_burst", "_left")

    def __init__(self, burst: float, a_second: float, now_ns: int) -> None:
        self._burst, self._a_second = burst, a_second
        self._left, self._at_ns = burst, now_ns

    def take(self, now_ns: int) -> bool:
        """Whether one more may be now."""
        self._left = min(self._left + max(now_ns - self._at_ns, 0) / _SECOND_NS * self._a_second, self._burst)
        self._at_ns = now_ns
        if self._left < 1:
            return False
        self._left -= 1
        return True
