# SPDX-License-Identifier: GPL-2.0-or-later
"""What another media process says in its ticks, put in order: which of its ticks is heard in this one.

Ticks of all processes are numbered by the machine's monotonic clock and begin together, so what the other one said in tick n is heard
here in tick n + 1. When it is late, its place is held: what comes is heard later by as many ticks, up to a bound; when all came
earlier than needed for a while, the surplus is left out again.

    put(words) ──► ticks by number ──► take(now) ──► the words of one tick, or nothing yet
"""

from __future__ import annotations

from media.engine.span_sums import Words, read_header

MOST_EXTRA_TICKS = 4
"""100 ms in all: a process later than that is not waited for."""

WINDOW_TICKS = 250
"""Delay that was not needed for so long is given back."""

MOST_KEPT_TICKS = 32
LIVE_TICKS = 50
"""A process that sent nothing for so long is not missed: it has no room in common with this one any more, or it is gone."""


class SpanArrivals:
    """The datagrams of one other process.

    `missed`: ticks in which nothing was there to be heard although the process lives · `delay_ticks`: how much later than it was said
    the other process is heard now, beyond the one tick that is always between · `dropped`: datagrams or ticks left out.
    """

    def __init__(self) -> None:
        self.missed = 0
        self.delay_ticks = 0
        self.dropped = 0
        self._ticks: dict[int, list[Words]] = {}
        self._complete: set[int] = set()
        self._epoch: int | None = None
        self._next: int | None = None
        self._newest = -1
        self._spare = MOST_KEPT_TICKS
        self._window = 0
        self._held = False

    def put(self, words: Words) -> None:
        """Take a datagram, which is kept. What is none of ours, or too late, is dropped and counted."""
        header = read_header(words)
        if header is None:
            self.dropped += 1
            return
        epoch, tick, last = header
        if epoch != self._epoch:  # another process has taken the other one's place
            self._ticks.clear()
            self._complete.clear()
            self._epoch, self._next, self._newest = epoch, None, -1
        if (self._next is not None and tick < self._next) or tick < self._newest:
            self.dropped += 1
            return
        if tick > self._newest + MOST_EXTRA_TICKS + 1:  # it begins, or begins again after a pause: no place to hold
            self._ticks.clear()
            self._complete.clear()
            self._next = None
        elif self._newest != tick:
            self._complete.add(self._newest)  # datagrams come in order: a tick after it says that nothing more of it comes
        self._newest = tick
        self._ticks.setdefault(tick, []).append(words)
        if last:
            self._complete.add(tick)
        while len(self._ticks) > MOST_KEPT_TICKS:
            self._drop(min(self._ticks))

    def take(self, now: int) -> list[Words]:
        """Return the datagrams to be heard in tick `now` of this process; empty: nothing is there."""
        ready = [tick for tick in self._ticks if tick in self._complete and tick < now]
        if self._next is None:
            if not ready:
                return []
            self._next = max(ready)
        wanted = max(self._next, now - 1 - MOST_EXTRA_TICKS)
        for tick in [tick for tick in self._ticks if tick < wanted]:
            self._drop(tick)
        later = [tick for tick in ready if tick >= wanted]
        if later and self._held:
            wanted = min(later)  # whether it was late or is lost, its tick has been waited for already
        self.delay_ticks = now - 1 - wanted
        self._held = not later
        self._next = wanted + bool(later)
        if wanted not in later:
            self.missed += now - self._newest <= LIVE_TICKS
            return []
        self._complete.discard(wanted)
        self._give_back(max(later) - wanted)
        return self._ticks.pop(wanted)

    def _give_back(self, spare: int) -> None:
        """Leave out what has not been needed in a whole window."""
        self._spare = min(self._spare, spare)
        self._window += 1
        if self._window < WINDOW_TICKS:
            return
        if self._spare and self._next is not None:
            self._next += self._spare
        self._window, self._spare = 0, MOST_KEPT_TICKS

    def _drop(self, tick: int) -> None:
        del self._ticks[tick]
        self._complete.discard(tick)
        self.dropped += 1
