# SPDX-License-Identifier: GPL-2.0-or-later
"""When to try again, and when to give up. Pure: times come in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """`first_s` after the first failure, twice as long after each further one, `most_s` at most (RFC 5321 §4.5.4.1)."""

    first_s: float
    most_s: float
    give_up_s: float

    def pause_s(self, failures: int) -> float:
        """Time until the next attempt after so many failures, one at least."""
        return float(min(self.first_s * 2.0 ** min(failures - 1, 40), self.most_s))

    def is_over(self, queued_s: float, now_s: float) -> bool:
        """Whether a mail that was queued then has been tried long enough."""
        return now_s - queued_s >= self.give_up_s
