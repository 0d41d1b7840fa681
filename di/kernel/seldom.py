# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines in the log about what others do, which they can do as often as they like: some a second, then how many were left out. Pure."""

from __future__ import annotations

_SECOND_NS = 1_000_000_000


class Seldom:
    """`a_second`: lines that are written; the next one after a pause says how many were not."""

    __slots__ = ("_a_second", "_left_out", "_since_ns", "_written")

    def __init__(self, a_second: int = 10) -> None:
        self._a_second = a_second
        self._since_ns: int | None = None
        self._written = self._left_out = 0

    def line(self, now_ns: int) -> str | None:
        """What to write behind one more line, mostly nothing; None: it is to be left out."""
        if self._since_ns is None or now_ns - self._since_ns >= _SECOND_NS:
            self._since_ns, self._written = now_ns, 0
        if self._written >= self._a_second:
            self._left_out += 1
            return None
        self._written += 1
        left_out, self._left_out = self._left_out, 0
        return f" (and {left_out} such lines before it were left out)" if left_out else ""
