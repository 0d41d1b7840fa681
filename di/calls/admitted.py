# SPDX-License-Identifier: GPL-2.0-or-later
"""A control that has let a call begin, and when something is to be done about what it granted (`di.calls.control`). Pure."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Generic, TypeVar

from di.calls.control import Grant
from di.kernel.clock import Work
from di.kernel.errors import Refused

_C = TypeVar("_C")
_LEAST_LEAD_NS = 50_000_000
"""From the timer here to the BYE at a phone beside us: docs/performance.md has what was measured."""
_HALF_LIFE_NS = 20_000_000_000
_MOST_LEAD_NS = 350_000_000
"""A call must not end more than half a second early, however busy the server is."""


class EndLead:
    """How long before its time is up a call is ended: what the way of the BYE takes, and by how much timers were late recently. Pure."""

    def __init__(self) -> None:
        self._late_ns = 0.0
        self._at_ns = 0

    def _faded_ns(self, now_ns: int) -> float:
        share: float = 0.5 ** ((now_ns - self._at_ns) / _HALF_LIFE_NS)
        return self._late_ns * share

    def note(self, late_ns: int, now_ns: int) -> None:
        """A timer ran so much later than it was to: a peak is held, and fades."""
        if late_ns > self._faded_ns(now_ns):
            self._late_ns, self._at_ns = float(late_ns), now_ns

    def ns(self, now_ns: int) -> int:
        """The lead."""
        return min(_MOST_LEAD_NS, _LEAST_LEAD_NS + round(2 * self._faded_ns(now_ns)))


class Admitted(Generic[_C]):
    """A control that has let the call begin, and what it allows. `due_ns`: when that is used up; None: not counting, or no limit."""

    __slots__ = ("answer", "asked", "asked_ns", "control", "due_ns", "from_ns", "gone_on", "grant", "refused", "warned", "work")

    def __init__(self, control: _C, grant: Grant) -> None:
        self.control = control
        self.grant = grant
        self.due_ns: int | None = None
        self.from_ns: int | None = None
        """Since when its time counts: the answer, or later for one that was added then."""
        self.asked = self.warned = self.gone_on = False
        self.asked_ns = 0
        self.answer: Awaitable[Grant] | None = None
        self.work: Work | None = None
        """What it thinks with."""
        self.refused: Refused | None = Refused(402, "Payment Required") if grant.final else None
        """Why there will be no more."""

    def count(self, grant: Grant, from_ns: int) -> None:
        """A grant counts from there."""
        self.grant, self.asked, self.warned, self.gone_on = grant, False, False, False
        self.refused = Refused(402, "Payment Required") if grant.final else None
        self.due_ns = None if grant.seconds is None else from_ns + round(max(0.0, grant.seconds) * 1e9)

    def used_s(self, now_ns: int) -> float:
        """How long it has counted."""
        return 0.0 if self.from_ns is None else (now_ns - self.from_ns) / 1e9

    def forget(self) -> None:
        """Nobody waits for its answer any more."""
        work, self.work, self.answer = self.work, None, None
        if work is not None:
            work.cancel()

    def next_ns(self, patience_ns: int, lead_ns: int) -> int | None:
        """When something is to be done. `patience_ns`: how long one that was asked at the end only may think; 0: for ever.

        `lead_ns`: how much earlier than its due it ends.
        """
        if self.due_ns is None:
            return None
        if self.refused is not None and self.grant.warn_s and not self.warned:
            return self.due_ns - round(self.grant.warn_s * 1e9)
        if self.refused is None and not self.asked:
            return self.due_ns - round(self.grant.ask_before_s * 1e9)
        if self.refused is None and not self.grant.ask_before_s:
            return self.asked_ns + patience_ns if patience_ns else None
        return self.due_ns - lead_ns
