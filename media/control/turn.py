# SPDX-License-Identifier: GPL-2.0-or-later
"""What the records of one read bring about, done in one turn of the loop instead of three.

    read ─► records, handed on ─► what waits for the end of that (mailboxes) ─► what all of these send, one write a link
    anything else ─► `soon`, `at_end` ─► the same from the loop, after what runs now

A turn of the loop that finds nothing to read is a system call and a look at cold memory, and each callback that waits in the loop by itself is
an object of its own: a short call brings some six reads. What is asked for while callbacks run waits for the loop's next turn, so nobody keeps
the loop's other work waiting. Pure: `call_soon` is the loop's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

log = logging.getLogger(__name__)
Step = Callable[[], None]


class Turn:
    """Callbacks in the order in which they were asked for; those of `at_end` come after all others. What one raises is logged."""

    def __init__(self, call_soon: Callable[[Step], object]) -> None:
        self._call_soon = call_soon
        self._waiting: list[Step] = []
        self._ends: list[Step] = []
        self._expected = False
        """Somebody will call `run`: the end of a read, or the loop."""

    def soon(self, step: Step) -> None:
        """Run a callback after what runs now."""
        self._waiting.append(step)
        self._expect()

    def at_end(self, step: Step) -> None:
        """Run a callback when those that wait now have run."""
        self._ends.append(step)
        self._expect()

    def _expect(self) -> None:
        if not self._expected:
            self._expected = True
            self._call_soon(self.run)

    def begin(self) -> None:
        """A read is taken in; `run` follows when all its records have been handed on."""
        self._expected = True

    def run(self) -> None:
        """Run what waits."""
        self._expected = True
        waiting, self._waiting = self._waiting, []
        _run(waiting)
        ends, self._ends = self._ends, []
        _run(ends)
        self._expected = False
        if self._waiting or self._ends:
            self._expect()


def _run(steps: list[Step]) -> None:
    for step in steps:
        try:
            step()
        except Exception:
            log.exception("a callback failed")
