# SPDX-License-Identifier: GPL-2.0-or-later
"""Large data that comes while calls are up, kept out of the cycle collector's sight.

The collector looks at everything that is there, again and again, and nothing else happens meanwhile: the parts of 300 scripts, half a million,
hold the loop for half a second each time. What stands after the start is frozen (`di.boot`); so is what is read later, here. With it everything
is frozen that is there in that moment, and a call that is up then is never freed (some ten kilobytes). So those are counted: when many have come
together, the collector looks at everything once, if it can be while no call is up.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

MANY = 1000
"""Calls whose memory is worth half a second in which nobody calls."""
TOO_MANY = 20_000
"""Calls whose memory is worth it at any time."""


class OutOfSight:
    """`calls` says how many are up; `when_idle` calls back as soon as none is."""

    def __init__(self, calls: Callable[[], int], when_idle: Callable[[Callable[[], None]], None]) -> None:
        self._calls = calls
        self._when_idle = when_idle
        self._waiting = False
        self.kept = 0
        """Calls that are not freed when they end; those that were up all the time count twice, for those that came and went meanwhile."""

    @contextmanager
    def reading(self) -> Iterator[None]:
        """While something large is made, in this thread or another, the collector rests; afterwards it does not look at it. Not nested."""
        enabled, before = gc.isenabled(), self._calls()
        gc.disable()
        try:
            yield
        finally:
            if enabled:  # else the server is starting, and freezes what it has read itself
                gc.freeze()
                gc.enable()
                self.kept += before + self._calls()
                self._free()

    def _free(self) -> None:
        if self.kept > TOO_MANY:
            self._look_at_everything()
        elif self.kept > MANY and not self._waiting:
            self._waiting = True
            self._when_idle(self._idle)

    def _idle(self) -> None:
        self._waiting = False
        self._look_at_everything()

    def _look_at_everything(self) -> None:
        log.info("memory of up to %d calls that were up while scripts were read is freed", self.kept)
        self.kept = 0
        gc.unfreeze()
        gc.collect()
        gc.freeze()
