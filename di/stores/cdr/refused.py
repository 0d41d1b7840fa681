# SPDX-License-Identifier: GPL-2.0-or-later
"""Records of calls that were refused before they were calls: so many a second, for a flood must not fill the disk. Pure."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from di.calls.refusals import RefusedCall

log = logging.getLogger(__name__)


class RefusalRate:
    """`keep` makes a record; at most `most_s` of them a second, the rest is counted in `passed_over`, and said once a flood."""

    def __init__(self, most_s: int, now_ns: Callable[[], int], keep: Callable[[RefusedCall], None]) -> None:
        self._most_s, self._now_ns, self._keep = most_s, now_ns, keep
        self._room = float(most_s)
        self._at_ns = now_ns()
        self._flood = False
        self.passed_over = 0

    def refused(self, call: Callable[[], RefusedCall]) -> None:
        """A call was refused."""
        now_ns = self._now_ns()
        self._room = min(float(self._most_s), self._room + self._most_s * (now_ns - self._at_ns) / 1e9)
        self._at_ns = now_ns
        if self._room >= 1:
            self._room -= 1
            self._flood = self._flood and self._room < self._most_s / 2
            self._keep(call())
            return
        self.passed_over += 1
        if not self._flood:
            self._flood = True
            log.warning(
                "more than %d calls a second are refused (%s): the rest has no record; cordboard_cdr_refusals_passed_over counts them",
                self._most_s, call().cause,
            )  # fmt: skip
