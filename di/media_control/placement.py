# SPDX-License-Identifier: GPL-2.0-or-later
"""Which media process gets a leg: that of its room, as long as it has room left; else the one with least to do.

What a process has to do is its share of a CPU as it last reported, and what the legs placed since then will add to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

FULL_SHARE = 0.6
"""A process that uses so much of its CPU gets no more legs for their room's sake: ticks have to be on time also in a busy second."""

LEG_SHARE = 150e-6
"""What a leg is taken to need of a CPU until its process has reported (docs/performance.md)."""


@dataclass(slots=True)
class ProcessLoad:
    """One process. `counters`: its last report."""

    legs: int = 0
    share: float = 0.0
    legs_then: int = 0
    reported_ns: int = 0
    busy_us: float = 0.0
    counters: Mapping[str, float] = field(default_factory=dict)


class MediaLoad:
    """The processes by number. `most_legs`: legs of one process that a room may fill it to; 0: as many as its CPU carries."""

    def __init__(self, count: int, most_legs: int = 0) -> None:
        self.processes = [ProcessLoad() for _ in range(count)]
        self._most_legs = most_legs

    def share(self, process: int) -> float:
        """The CPU that a process is taken to use now, 0 to 1."""
        load = self.processes[process]
        return load.share + (load.legs - load.legs_then) * LEG_SHARE

    def is_full(self, process: int) -> bool:
        """Whether a process gets further legs only when all are full."""
        legs = self.processes[process].legs
        return bool(self._most_legs and legs >= self._most_legs) or self.share(process) >= FULL_SHARE

    def choose(self, up: Collection[int], preferred: Iterable[int] = ()) -> int:
        """Return the process for a new leg out of those that are `up`; `preferred` ones first, in that order."""
        if len(up) == 1:
            return next(iter(up))
        for process in preferred:
            if process in up and not self.is_full(process):
                return process
        return min(
            up, key=lambda process: (self.is_full(process), round(self.share(process), 3), self.processes[process].legs, process)
        )

    def add(self, process: int, legs: int) -> None:
        """Legs have come (or gone, below 0)."""
        self.processes[process].legs += legs

    def report(self, process: int, counters: Mapping[str, float], now_ns: int) -> None:
        """Take a process's own figures. `busy_us`: CPU time of its ticks since its start."""
        load = self.processes[process]
        busy_us = counters.get("busy_us", 0.0)
        passed_us = (now_ns - load.reported_ns) / 1000
        if load.reported_ns and passed_us > 0 and busy_us >= load.busy_us:
            load.share = (busy_us - load.busy_us) / passed_us
            load.legs_then = load.legs
        load.reported_ns, load.busy_us, load.counters = now_ns, busy_us, counters

    def reset(self, process: int) -> None:
        """A process is gone, with its legs."""
        self.processes[process] = ProcessLoad()
