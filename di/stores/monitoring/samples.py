# SPDX-License-Identifier: GPL-2.0-or-later
"""Rate samples: id → name → list of (time, count), oldest first here (spec monitoring.md §3.4).
They do not depend on the records.

Times are microseconds since 1970, the resolution of the `struct timeval` blobs that clients may send.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from di.kernel.value import LongLong

SECOND_US = 1_000_000
_TIDY_LENGTH = 4096
"""A list this long is relieved of expired samples when one is added: a series that nobody queries must not grow for ever."""
_LOOKS = 16
_RATE_NAMES = 500
"""So many sample names get a rate of their own; names may come from clients."""


@dataclass(frozen=True, slots=True)
class Window:
    """Which samples to sum: `from_us` ≤ t ≤ `to_us`, but for what has outlived its time at `now_us`."""

    now_us: int
    from_us: int
    to_us: int


def last_seconds(now_us: int, seconds: int) -> Window:
    """The window of the `seconds` before now."""
    return Window(now_us, now_us - seconds * SECOND_US, now_us)


class _Rate:
    """Counts of the newest second and of the one before."""

    __slots__ = ("before", "count", "second")

    def __init__(self) -> None:
        self.second = self.count = self.before = 0

    def add(self, second: int, count: int) -> None:
        if second > self.second:
            self.before = self.count if second == self.second + 1 else 0
            self.second, self.count = second, 0
        if second == self.second:
            self.count += count

    def of(self, second: int) -> int:
        if second == self.second:
            return self.count
        return self.before if second == self.second - 1 else 0


class Samples:
    """All sample lists. `retain_s`: how long samples are kept."""

    def __init__(self, retain_s: int) -> None:
        self._retain_us = retain_s * SECOND_US
        self._lists: dict[str, dict[str, list[tuple[int, int]]]] = {}
        self._count = 0
        self._rates: dict[str, _Rate] = {}

    def room_for(self, id: str, name: str, now_us: int, most: int) -> bool:
        """Whether a sample of that name can be kept, if at most so many lists are to be; old lists without use make room."""
        if name in self._lists.get(id, {}) or self._count < most:
            return True
        for old in list(itertools.islice(self._lists, _LOOKS)):
            lists = self._lists.pop(old)
            if any(samples and samples[-1][0] > now_us - self._retain_us for samples in lists.values()):
                self._lists[old] = lists  # behind the others: the next look is at those
            else:
                self._count -= len(lists)
        return self._count < most

    def add(self, id: str, name: str, count: int, time_us: int) -> None:
        """Add one sample. Not newer than the newest: the list is emptied first (the clock was set back)."""
        lists = self._lists.setdefault(id, {})
        samples = lists.get(name)
        if samples is None:
            samples = lists[name] = []
            self._count += 1
        if samples and samples[-1][0] >= time_us:
            samples.clear()
        samples.append((time_us, count))
        if name in self._rates or len(self._rates) < _RATE_NAMES:
            self._rates.setdefault(name, _Rate()).add(time_us // SECOND_US, count)
        if len(samples) >= _TIDY_LENGTH and len(samples) % _TIDY_LENGTH == 0:
            self._expire(samples, time_us)

    def _expire(self, samples: list[tuple[int, int]], now_us: int) -> None:
        """Drop for good what is as old as the retention or older."""
        limit_us = now_us - self._retain_us
        keep = 0
        while keep < len(samples) and samples[keep][0] <= limit_us:
            keep += 1
        del samples[:keep]

    def count(self, id: str, name: str, window: Window, drop: bool = True) -> LongLong:
        """Sum the counts of one list inside the window. With `drop`, what has outlived its time by then goes for good."""
        samples = self._lists.get(id, {}).get(name)
        return LongLong(0) if samples is None else self._sum(samples, window, drop)

    def counts(self, id: str, window: Window, drop: bool = True) -> dict[str, LongLong]:
        """Name → sum for every list of an id."""
        return {name: self._sum(samples, window, drop) for name, samples in self._lists.get(id, {}).items()}

    def rates(self, now_us: int) -> dict[str, int]:
        """Name → sum over all ids in the last whole second.

        Costs the number of names and drops nothing, so anybody may look.
        """
        last = now_us // SECOND_US - 1
        return {name: rate.of(last) for name, rate in self._rates.items()}

    def _sum(self, samples: list[tuple[int, int]], window: Window, drop: bool) -> LongLong:
        if drop:
            self._expire(samples, window.now_us)
        from_us = max(window.from_us, window.now_us - self._retain_us + 1)
        return LongLong(sum(count for time_us, count in samples if from_us <= time_us <= window.to_us))

    def erase(self, id: str) -> None:
        """Forget an id's samples."""
        self._count -= len(self._lists.pop(id, ()))

    def clear(self) -> None:
        """Forget everything."""
        self._lists, self._count = {}, 0
        self._rates.clear()
