# SPDX-License-Identifier: GPL-2.0-or-later
"""Ports that two test processes never choose at the same time.

A port that the kernel gives and that is closed again may be anyone's a moment later, which in parallel runs happens. So each
test process takes a *lane* of ports, held by a file lock until the process ends, below the range from which the kernel serves
`bind(0)` and outgoing connections. Within its lane a process goes round: what was used last comes again last. Where others sit on a lane's
ports, who takes no lane (a server of an earlier run that was killed and went on), a process takes a further lane and says who they are.

```
 8000        9600        11200                                  the kernel's own ports (32768 on)
  │  lane 0   │  lane 1   │  …                                   │
     ▲ held by worker gw0    ▲ held by gw1, or by a run in another checkout
```
"""

from __future__ import annotations

import contextlib
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

    @property
    def ports(self) -> range:
        """All of it."""
        return range(self._low, self._low + LANE)

    def take(self, count: int, even: bool) -> int | None:
        """The first of `count` ports in a row that nobody has bound on loopback, over UDP or TCP; None when there are none."""
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
        return None


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


class Lanes:
    """The lanes of this process: one, and further ones where others are on its ports."""

    def __init__(self, folder: Path, lanes: int = (END - FIRST) // LANE) -> None:
        self._folder, self._most = folder, lanes
        self._held: list[Lane] = []

    def take(self, count: int, even: bool) -> int:
        """As in `Lane`. Raises AssertionError where no lane has so many."""
        said = ""
        while True:
            for lane in self._held:
                found = lane.take(count, even)
                if found is not None:
                    return found
            if self._held:
                ports = self._held[-1].ports
                said = f"no {count} ports in a row are free from {ports[0]} to {ports[-1]}: {holders(ports) or 'nobody holds so many'}"
                print(f"{said}; taking a further lane", file=sys.__stderr__, flush=True)
                assert len(self._held) < self._most, said
            self._held.append(free_lane(self._folder, self._most))


def holders(ports: range) -> str:
    """Which processes have sockets on ports, as far as this user may see: PID, command, how many."""
    inodes = set()
    for table in ("udp", "udp6", "tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if int(words[1].rpartition(":")[2], 16) in ports:
                inodes.add(f"socket:[{words[9]}]")
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just gone, or is another user's
            sockets = sum(_target(file) in inodes for file in (process / "fd").iterdir())
            if sockets:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append(f"{process.name} ({command[:60].strip()}) {sockets} sockets")
    return ", ".join(found)


def _target(file: Path) -> str:
    try:
        return os.readlink(file)
    except OSError:  # closed meanwhile
        return ""


@functools.cache
def _lanes() -> Lanes:
    folder = Path(tempfile.gettempdir()) / f"cordboard-test-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return Lanes(folder)


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
    return _lanes().take(1, False)


def free_ports(count: int) -> int:
    """The first, an even one, of `count` such ports in a row."""
    return _lanes().take(count, True)
