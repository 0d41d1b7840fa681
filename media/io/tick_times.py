# SPDX-License-Identifier: GPL-2.0-or-later
"""How late ticks begin and what they cost, as counters."""

from __future__ import annotations

import numpy as np

LATENESS_KEPT = 16384
"""Ticks (five and a half minutes) whose lateness the percentiles are of."""

LATE_NS = 2_000_000
"""A tick that begins later counts as late: a tenth of its time."""


class TickTimes:
    """Figures of all ticks of a process. `count`: ticks begun · `skipped`: ticks that were not made up for."""

    def __init__(self) -> None:
        self.count = 0
        self.skipped = 0
        self._late = 0
        self._lateness_max_ns = 0
        self._lateness_us = np.zeros(LATENESS_KEPT, np.int32)
        self._phases_ns = [0, 0, 0]

    def begun(self, late_ns: int) -> None:
        """A tick begins so much after its time."""
        self._lateness_max_ns = max(self._lateness_max_ns, late_ns)
        self._lateness_us[self.count % LATENESS_KEPT] = late_ns // 1000
        self._late += late_ns > LATE_NS
        self.count += 1

    def done(self, begun_ns: int, read_ns: int, rendered_ns: int, written_ns: int) -> None:
        """A tick has read, rendered and written: CPU time of the thread at the beginning and after each."""
        for phase, spent_ns in enumerate((read_ns - begun_ns, rendered_ns - read_ns, written_ns - rendered_ns)):
            self._phases_ns[phase] += spent_ns

    def statistics(self) -> dict[str, float]:
        """Return the figures by name."""
        kept = self._lateness_us[: max(min(self.count, LATENESS_KEPT), 1)]
        p50, p99, p999 = np.percentile(kept, (50, 99, 99.9)).tolist()
        return {
            "tick_lateness_p50_us": p50,
            "tick_lateness_p99_us": p99,
            "tick_lateness_p999_us": p999,
            "tick_lateness_max_us": self._lateness_max_ns // 1000,
            "ticks": self.count,
            "ticks_late": self._late,
            "ticks_skipped": self.skipped,
            "phase_read_us": self._phases_ns[0] // 1000,
            "phase_render_us": self._phases_ns[1] // 1000,
            "phase_write_us": self._phases_ns[2] // 1000,
            "busy_us": sum(self._phases_ns) // 1000,
        }
