# SPDX-License-Identifier: GPL-2.0-or-later
"""How many registrations at a time: a limit of requests, and the second in which the fewest are planned."""

from __future__ import annotations

from collections import Counter
from random import Random

NS = 1_000_000_000
_LOOKED_AT = 600
"""Seconds of a long interval that are compared; more would cost time and gain nothing."""


class RegisterPace:
    """So many requests in so much time: at most `most` at once, one more each `every_ns`. `every_ns` 0: no limit.

    With `slow_start` none is free at the beginning, and what comes then is spread from the first request on.
    """

    def __init__(self, every_ns: int, most: int, now_ns: int, slow_start: bool = False) -> None:
        self.every_ns, self._most = every_ns, max(most, 1)
        self._empty_ns = now_ns if slow_start else now_ns - every_ns * self._most
        """When there was none left; since then they have grown."""

    def take(self, now_ns: int) -> bool:
        """Take one, if there is one."""
        if not self.every_ns:
            return True
        self._empty_ns = max(self._empty_ns, now_ns - self.every_ns * self._most)
        if now_ns - self._empty_ns < self.every_ns:
            return False
        self._empty_ns += self.every_ns
        return True

    def next_ns(self) -> int:
        """When there is one again, at the earliest."""
        return self._empty_ns + self.every_ns

    def hurry(self, every_ns: int) -> None:
        """Be faster from now on, never slower."""
        self.every_ns = min(self.every_ns, every_ns)


class Seconds:
    """How much is planned for each second: what may happen at any time in an interval takes the least busy second of it."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._planned: Counter[int] = Counter()

    def plan(self, from_ns: int, to_ns: int) -> int:
        """A time in the interval, its second the least busy one; of equal ones any. `done` takes it back."""
        first, last = from_ns // NS, max(to_ns, from_ns) // NS
        count = last - first + 1
        if count <= _LOOKED_AT:
            candidates = list(range(first, last + 1))
        else:
            candidates = [first + self._random.randrange(count) for _ in range(_LOOKED_AT)]
        self._random.shuffle(candidates)
        second = min(candidates, key=self._planned.__getitem__)
        self._planned[second] += 1
        return min(max(second * NS + self._random.randrange(NS), from_ns), max(to_ns, from_ns))

    def done(self, at_ns: int) -> None:
        """What `plan` gave has come, or will not come any more."""
        second = at_ns // NS
        self._planned[second] -= 1
        if self._planned[second] <= 0:
            del self._planned[second]

    def __len__(self) -> int:
        """Seconds for which something is planned."""
        return len(self._planned)
