# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a process answers: it is asked twice a second, and any answer will do. Pure: time comes in.

answers ──no answer for SILENT_S──► SILENT (told once) ──for `replace_s` in all──► REPLACE
   ▲                                   └── an answer ──► ANSWERS (told once)
   └───────────────────────────────────────────────────────┘

A hub that was itself held up (stopped, swapped out, a machine that slept) has asked nobody meanwhile: such time does not count.
"""

from __future__ import annotations

from enum import Enum, auto

ASK_S = 0.5
SILENT_S = 2.0
_HELD_UP_S = 3 * ASK_S


class Liveness(Enum):
    """What a turn has found. SILENT and ANSWERS come once a change; REPLACE: it has been silent for too long."""

    FINE = auto()
    SILENT = auto()
    ANSWERS = auto()
    REPLACE = auto()


class Watchdog:
    """Of one process in service. `replace_s`: how long it may be silent, 0: for ever."""

    def __init__(self, replace_s: float, now_s: float) -> None:
        self.silent = False
        self._replace_s = replace_s
        self._heard_s = self._asked_s = now_s

    def silent_s(self, now_s: float) -> float:
        """Since when it has not answered."""
        return now_s - self._heard_s

    def turn(self, answered: bool, now_s: float) -> Liveness:
        """To be called each time that it is asked. `answered`: whether anything has come since the last time."""
        passed_s, self._asked_s = now_s - self._asked_s, now_s
        if passed_s > _HELD_UP_S:
            self._heard_s += passed_s - ASK_S
        if answered:
            self._heard_s = now_s
            was, self.silent = self.silent, False
            return Liveness.ANSWERS if was else Liveness.FINE
        if self._replace_s and self.silent_s(now_s) >= max(self._replace_s, SILENT_S):
            return Liveness.REPLACE
        if not self.silent and self.silent_s(now_s) >= SILENT_S:
            self.silent = True
            return Liveness.SILENT
        return Liveness.FINE
