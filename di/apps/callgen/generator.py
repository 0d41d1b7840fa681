# SPDX-License-Identifier: GPL-2.0-or-later
"""When which call is due. Pure: time and random numbers come in, calls go out by `place`.

createCalls     one call after the other, with a pause between them                 `Series`
scheduleCalls   so many, at so many a second; several orders go on side by side     `Series` with a rate
setTarget       as many as are missing, at so many a second; the last one counts    `Standing`

What the dial control refuses is not tried again and again: after a refusal everything waits, at first 1 s, at most 30 s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

SECOND_NS = 1_000_000_000
STEP_NS = SECOND_NS // 20
"""How often it is looked, so that a second's calls do not come all at once."""
_LONGEST_PAUSE_NS = 30 * SECOND_NS


@dataclass(frozen=True, slots=True)
class CallPlan:
    """What each call of an order is like. Times in seconds; the random part is added uniformly."""

    user: str
    host: str
    user_digits: int = 0
    keys: int = 0
    time_base_s: int = 0
    time_rand_s: int = 0
    caller: str = ""
    way: str = ""

    def uri(self, random: Random) -> str:
        """Whom to call: the user with random digits behind it."""
        return f"sip:{self.user}{_digits(self.user_digits, random)}@{self.host}"

    def said(self, random: Random) -> str:
        """What the call says: random digits and `#`, or nothing."""
        return f"{_digits(self.keys, random)}#" if self.keys else ""

    def length_s(self, random: Random) -> float:
        """How long it lasts from the answer on."""
        return self.time_base_s + random.uniform(0, self.time_rand_s)


def _digits(count: int, random: Random) -> str:
    return "".join(random.choice("0123456789") for _ in range(count))


class PlaceCall(Protocol):
    """Whoever places a call. False: it could not be placed."""

    def __call__(self, plan: CallPlan) -> bool:
        """Place one."""


@dataclass(slots=True)
class Series:
    """An order of so many calls. `per_s` 0: one after the other, with a pause; `done` is told how many could not be placed."""

    plan: CallPlan
    left: int
    per_s: int = 0
    wait_base_s: int = 0
    wait_rand_s: int = 0
    done: Callable[[int], None] | None = None
    failed: int = 0
    due_ns: int = 0
    credit: float = 1.0


@dataclass(slots=True)
class Standing:
    """The order to keep so many calls up."""

    plan: CallPlan
    count: int
    per_s: int
    credit: float = 1.0


class Generator:
    """All orders and counters of a server. `most_per_s` bounds all orders together."""

    def __init__(self, place: PlaceCall, random: Random, most_per_s: int) -> None:
        self.most_per_s = most_per_s
        self.series: list[Series] = []
        self.standing: Standing | None = None
        self.active = self.total = self.refused = 0
        self.results: Counter[str] = Counter()
        self._place, self._random = place, random
        self._looked_ns = -STEP_NS
        self._budget = 0.0
        self._pause_ns = 0
        self._paused_until_ns = 0

    @property
    def scheduled(self) -> int:
        """Calls that are ordered and not placed yet, but for those of the target."""
        return sum(series.left for series in self.series)

    @property
    def target(self) -> int:
        """How many calls are to be kept up."""
        return self.standing.count if self.standing is not None else 0

    @property
    def idle(self) -> bool:
        """Whether nothing is to be done, and nobody need look."""
        return not self.series and not self.target

    def stop(self) -> None:
        """Place no more calls. Who waits for an order is told that the rest failed."""
        self.standing = None
        series, self.series = self.series, []
        for one in series:
            one.failed += one.left
            _tell(one)

    # ------------------------------------------------------------------------------------------------------------- due calls
    def step(self, now_ns: int) -> None:
        """Place what is due. To be called every `STEP_NS` while not `idle`; later is no harm, and nothing is made up for in a burst."""
        passed_s = min(now_ns - self._looked_ns, SECOND_NS) / SECOND_NS
        self._looked_ns = now_ns
        if now_ns < self._paused_until_ns:
            return
        self._budget = min(self._budget + passed_s * self.most_per_s, max(1.0, self.most_per_s / 4))
        for series in list(self.series):
            if not self._advance(series, now_ns, passed_s):
                return
        if self.standing is not None:
            self._keep_up(self.standing, now_ns, passed_s)

    def _advance(self, series: Series, now_ns: int, passed_s: float) -> bool:
        """False when a call was refused: everything waits."""
        series.credit = min(series.credit + passed_s * series.per_s, max(1.0, series.per_s))
        while series.left and self._budget >= 1 and (series.credit >= 1 if series.per_s else series.due_ns <= now_ns):
            series.left -= 1
            series.credit -= 1
            wait_s = series.wait_base_s + self._random.uniform(0, series.wait_rand_s)
            series.due_ns = now_ns + round(wait_s * SECOND_NS)
            placed = self._one(series.plan, now_ns)
            series.failed += not placed
            if not series.left:
                self.series.remove(series)
                _tell(series)
            if not placed:
                return False
        return True

    def _keep_up(self, standing: Standing, now_ns: int, passed_s: float) -> None:
        standing.credit = min(standing.credit + passed_s * standing.per_s, max(1.0, standing.per_s))
        while self.active < standing.count and standing.credit >= 1 and self._budget >= 1:
            standing.credit -= 1
            if not self._one(standing.plan, now_ns):
                return

    def _one(self, plan: CallPlan, now_ns: int) -> bool:
        self._budget -= 1
        self.total += 1
        if self._place(plan):
            self._pause_ns = 0
            return True
        self.refused += 1
        self._pause_ns = min(max(2 * self._pause_ns, SECOND_NS), _LONGEST_PAUSE_NS)
        self._paused_until_ns = now_ns + self._pause_ns
        return False


def _tell(series: Series) -> None:
    if series.done is not None:
        series.done(series.failed)
