# SPDX-License-Identifier: GPL-2.0-or-later
"""A log handler that never waits: for processes that must go on when nobody reads their stderr.

    emit ─► room in the pipe: written at once
        └─► none: kept (at most `KEPT_BYTES`), written by a thread when there is room again; beyond that dropped and counted

Who reads slowly gets the lines late; who does not read at all costs this process a megabyte. How many lines were dropped is said by a
line of its own as soon as one can be written.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import stat
import threading
import time
from collections.abc import Callable

KEPT_BYTES = 1 << 20
"""Lines that wait for a slow reader; a pipe itself holds 64 KiB."""
_FLUSH_S = 1.0
"""How long the end of the process waits for a reader."""
_PIECE_BYTES = 1 << 16
_AGAIN_S = 0.05

Write = Callable[[bytes], int]
"""Writes what fits at once, returns how much that was. Raises BlockingIOError for nothing, OSError when it cannot be written at all."""


def _unblocked(descriptor: int) -> Write | None:
    """A write that does not wait, None where there is only one that may.

    The descriptor itself stays as it is: whoever started this process shares its flags.
    """
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind):
        return lambda data: os.write(descriptor, data)
    if stat.S_ISSOCK(kind):
        peer = socket.socket(fileno=os.dup(descriptor))
        return lambda data: peer.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
    try:
        own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:  # the pipe of another user
        return None
    return lambda data: os.write(own, data)


class PatientHandler(logging.Handler):
    """Writes to a file descriptor and never blocks who logs. `dropped`: lines that nobody will see."""

    def __init__(self, descriptor: int = 2) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._write = _unblocked(descriptor)
        self._kept = bytearray()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._unsaid = 0
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write, keep or drop one line."""
        try:
            line = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
        except Exception as error:  # noqa: BLE001 – a line that cannot be made must not end what logs it
            line = f"WARNING: a log line of {record.name} cannot be made: {type(error).__name__}\n".encode()
        with self._changed:
            if len(self._kept) + len(line) > KEPT_BYTES:
                self._lose(1)
                return
            waiting = bool(self._kept)
            if self._unsaid:
                self._kept += self._gap(self._unsaid)
                self._unsaid = 0
            self._kept += line
            if not waiting and self._write is not None:
                self._write_some()
            if self._kept:
                self._wake()

    def _gap(self, lines: int) -> bytes:
        text = "%d log lines were dropped, because nobody read them in time"
        return (self.format(logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, (lines,), None)) + "\n").encode()

    def _lose(self, lines: int) -> None:
        self.dropped += lines
        self._unsaid += lines

    def _write_some(self) -> None:
        """Write what fits now; what can never be written is dropped."""
        assert self._write is not None
        try:
            while self._kept:
                del self._kept[: self._write(bytes(self._kept[:_PIECE_BYTES]))]
        except BlockingIOError:
            pass
        except OSError:  # the reader is gone, the disk is full
            self._lose(self._kept.count(b"\n"))
            self._kept.clear()

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    # ------------------------------------------------------------------------------------------------------------ the thread
    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._kept)
            if self._write is None:
                self._write_waiting()
            else:
                self._when_writable()

    def _when_writable(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        poll.poll()
        with self._changed:
            before = len(self._kept)
            self._write_some()
            stuck = len(self._kept) == before
            self._changed.notify_all()
        if stuck:
            time.sleep(_AGAIN_S)  # there is room, but not for so much

    def _write_waiting(self) -> None:
        """Write by a call that may wait: this thread alone waits, and what it writes still counts as kept."""
        with self._changed:
            piece = bytes(self._kept[:_PIECE_BYTES])
        lost = 0
        try:
            done = os.write(self._descriptor, piece)
        except OSError:
            done, lost = len(piece), piece.count(b"\n")
        with self._changed:
            del self._kept[:done]
            self._lose(lost)
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait a moment for a slow reader; for the end of the process."""
        with self._changed:
            self._changed.wait_for(lambda: not self._kept, _FLUSH_S)
