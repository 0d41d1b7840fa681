# SPDX-License-Identifier: GPL-2.0-or-later
"""What a process prints into a pipe, read as it comes, and looked for when asked: who has the process's answer sees the lines before it, too."""

from __future__ import annotations

import os
import select
import threading

_PIECE_BYTES = 1 << 16


class Printed:
    """The reading end of a pipe. `lines`: where whole lines are put; what is left at the end of the pipe counts as one."""

    def __init__(self, descriptor: int, lines: list[str]) -> None:
        self._descriptor, self._lines = descriptor, lines
        self._rest = b""
        self._lock = threading.Lock()
        self._closing = self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Take what is in the pipe now: the thread may not have had its turn on a busy machine."""
        with self._lock:
            while not self._ended and self._ready(0):
                self._take()

    def close(self) -> None:
        """Read no more, once the process has printed something more."""
        self._closing = True

    def join(self, seconds: float) -> None:
        """Wait for the end of the pipe, or for `close` to be done."""
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._ended:
            self._ready(None)
            with self._lock:
                if not self._ended and self._ready(0):
                    self._take()
                    self._ended = self._ended or self._closing
        os.close(self._descriptor)  # here alone: nobody else looks at a number that may be another file's by now

    def _ready(self, timeout_ms: int | None) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(timeout_ms))

    def _take(self) -> None:
        data = os.read(self._descriptor, _PIECE_BYTES)
        *whole, self._rest = (self._rest + data).split(b"\n")
        self._lines += [line.decode(errors="replace") + "\n" for line in whole]
        if not data:
            self._ended = True
            self._lines += [self._rest.decode(errors="replace")] if self._rest else []
