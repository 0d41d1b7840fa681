# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may run beside whom when several worker processes share the tests (`make test`): a test marked `alone` has the machine
to itself, all others run together.

Two file locks do it. A test takes the *gate*, then the *floor*, and lets the gate go; `alone` takes both for itself. Because one
that waits for the floor holds the gate, nobody new comes in before it, and it waits for no more than the tests that run now.
The wait is no part of the test's own time limit.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def turn(folder: Path, alone: bool) -> Iterator[Callable[[], None]]:
    """Hold the floor, with others or alone; `folder` is the same for all workers of a run. What is given lets it go before the end."""
    kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    with (folder / "gate").open("a") as gate, (folder / "floor").open("a") as floor:
        fcntl.flock(gate, kind)
        fcntl.flock(floor, kind)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield lambda: fcntl.flock(floor, fcntl.LOCK_UN)
