# SPDX-License-Identifier: GPL-2.0-or-later
"""How long the machine keeps a process waiting, seen by a bystander; and judgements about audio that only a machine with time to spare can pass.

calm(lambda: measure(server))     # once more where it fails and the bystander was kept waiting, too; on a calm machine it fails at once
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO, TypeVar

T = TypeVar("T")

CALM_S = 0.0025
"""The playout clock keeps a margin of a quarter of a frame (media/engine/arrival.py): two programs that were kept waiting for so long, one after
the other, use it up, and a packet is late."""


class StallMeter:
    """A bystander process that only sleeps: how long it was kept from waking is how long any process may have been, at that time."""

    _PROGRAM = """
import time
print(flush=True)
while True:
    before = time.time()
    time.sleep(0.002)
    late = time.time() - before - 0.002
    if late > 0.002:
        print(before, late, flush=True)
"""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-c", self._PROGRAM], stdout=subprocess.PIPE, text=True)
        self.stalls: list[tuple[float, float]] = []
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it looks: on a busy machine a short measurement would be over before it does
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)  # a full pipe would stop it
        self._reader.start()

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            words = line.split()
            if len(words) == 2 and line.endswith("\n"):  # it is killed while it writes
                self.stalls.append((float(words[0]), float(words[1])))

    def end(self) -> None:
        """All that it saw is in `stalls`; once is enough."""
        if self._process.returncode is not None:
            return
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def excuses(self, began_s: float) -> bool:
        """Whether a judgement that began then was made on a machine that was not calm."""
        self.end()
        return max((late_s for at_s, late_s in self.stalls if at_s + late_s >= began_s), default=0.0) >= CALM_S

    def worst_s(self, *times_s: float) -> float:
        """The longest stall within a second of one of these times."""
        return max((late_s for at_s, late_s in self.stalls if any(abs(at_s - time_s) < 1 for time_s in times_s)), default=0.0)


def _attempts(count: int) -> Iterator[AbstractContextManager[None]]:
    for left in range(count - 1, -1, -1):
        yield _attempt(left)


@contextmanager
def _attempt(left: int) -> Iterator[None]:
    meter, began_s = StallMeter(), time.time()
    try:
        yield
    except Exception:  # of nothing that came there is no last packet and no median
        if not left or not meter.excuses(began_s):
            raise
    finally:
        meter.end()


def calm(measure: Callable[[], T], attempts: int = 8) -> T:
    """What `measure` returns. What it raises counts where the machine was calm, or at the last attempt; `measure` must begin anew each time."""
    for attempt in _attempts(attempts):
        with attempt:
            return measure()
    raise ValueError("no attempt")


async def calmly(measure: Callable[[], Awaitable[T]], attempts: int = 8) -> T:
    """`calm` for what is awaited."""
    for attempt in _attempts(attempts):
        with attempt:
            return await measure()
    raise ValueError("no attempt")
