# SPDX-License-Identifier: GPL-2.0-or-later
"""Ports that two test processes never choose at the same time.

A port that the kernel gives and that is closed again may be anyone's a moment later, which in parallel runs happens. So each
test process takes a *lane* of ports, held by a file lock until the process ends, below the range from which the kernel serves
`bind(0)` and outgoing connections. Within its lane a process goes round: what was used last comes again last.

```
 8000        9600        11200                                  the kernel's own ports (32768 on)
  │  lane 0   │  lane 1   │  …                                   │
     ▲ held by worker gw0    ▲ held by gw1, or by a run in another checkout
```
"""

from __future__ import annotations

import fcntl
import functools
import os
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

FIRST, END = 8000, 32700
LANE = 1600
"""Enough for the widest range that a test server takes (800), or two servers of 400, and what stands between them."""

PATIENCE_S = 60.0
"""For a lane: shorter than the time limit of a test, so that it is this that is said. Runs of some minutes come and go beside each other."""


class Lane:
    """The ports of this process."""

    def __init__(self, number: int, lock: int) -> None:
        self._low = FIRST + number * LANE
        self._lock = lock  # an open file; its end with the process frees the lane
        self._next = 0
        self._turn = threading.Lock()

    def take(self, count: int, even: bool) -> int:
        """The first of `count` ports in a row that nobody has bound on loopback, over UDP or TCP."""
        with self._turn:
            for _ in range(2 * LANE):
                start = self._next + (even and self._next & 1)
                if start + count > LANE:
                    self._next = 0
                    continue
                taken = next((offset for offset in range(count) if not _is_free(self._low + start + offset)), None)
                self._next = start + (count if taken is None else taken + 1)
                if taken is None:
                    return self._low + start
        raise AssertionError(f"no {count} ports in a row are free from {self._low} to {self._low + LANE - 1}")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a closed connection's wait is no use
            try:
                probe.bind(("", port))
            except OSError:
                return False
    return True


@functools.cache
def _lane() -> Lane:
    folder = Path(tempfile.gettempdir()) / f"cordboard-test-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return free_lane(folder, (END - FIRST) // LANE)


def free_lane(folder: Path, lanes: int, patience_s: float = PATIENCE_S) -> Lane:
    """The first lane that no process holds; says so while it waits for one. Raises AssertionError when none comes free."""
    end = time.monotonic() + patience_s
    said = False
    while True:
        for number in range(lanes):
            lock = os.open(folder / str(number), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            return Lane(number, lock)
        what = f"{lanes} test processes hold all port lanes ({folder}; `fuser` names them)"
        assert time.monotonic() < end, f"{what}, and none has ended within {patience_s:.0f} s: run fewer at once (WORKERS=…)"
        if not said:
            print(f"{what}: waiting for one of them to end", file=sys.__stderr__, flush=True)
            said = True
        time.sleep(0.2)


def free_port() -> int:
    """A port that is free for TCP and UDP and that no other test process will choose."""
    return _lane().take(1, False)


def free_ports(count: int) -> int:
    """The first, an even one, of `count` such ports in a row."""
    return _lane().take(count, True)
