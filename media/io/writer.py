# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes recordings in a thread of its own: a disk that stalls delays files, never a tick, and loses nothing.

What waits for the disk is bounded: a recording whose audio would go beyond is given up, at once and with a reason; what it has written, and
what waits already, is kept.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from media.engine.takes import Block, FileClosed, FileOpened, Padding, Work
from media.files.sound_writer import SoundWriter, open_sound

log = logging.getLogger(__name__)

ZEROS_AT_ONCE = 80_000
DEFAULT_BACKLOG_BYTES = 256 << 20
"""A hundred G.711 legs fill it in 160 s."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Close a file that was given up; nobody waits for it."""

    token: int


class RecordingWriter:
    """Takes work in order; `results` hands (token, path, size_bytes, error) back to the thread that owns the engine."""

    def __init__(self, wake: Callable[[], None], backlog_bytes: int = DEFAULT_BACKLOG_BYTES) -> None:
        self._wake = wake
        self._backlog_bytes = backlog_bytes
        self._queued_bytes = 0
        self._written_bytes = 0
        self._given_up: dict[int, str] = {}
        self._paths: dict[int, str] = {}
        self._finishing: dict[int, str] = {}
        """Token → path, of files whose recording is over and which are not whole yet."""
        self._work: queue.SimpleQueue[Work | GivenUp | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[tuple[int, int, str]] = queue.SimpleQueue()
        self._files: dict[int, SoundWriter] = {}
        self._failed: dict[int, str] = {}
        self._writing: dict[int, str] = {}
        """The thread's own: token → path, of files that are open or have failed."""
        self._groups: dict[int, str] = {}
        self._told: set[tuple[str, str]] = set()
        """The thread's own: what files belong together, and what has been said of them."""
        self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)
        self._thread.start()

    @property
    def waiting_bytes(self) -> int:
        """Audio that waits for the disk."""
        return self._queued_bytes - self._written_bytes

    def add(self, work: list[Work]) -> None:
        """Queue work; a recording that does not fit any more is reported as failed and its file closed when the disk goes on."""
        for piece in work:
            if isinstance(piece, FileOpened):
                self._paths[piece.token] = piece.path
            elif isinstance(piece, FileClosed):
                self._finishing[piece.token] = self._paths.pop(piece.token, piece.path).partition("|")[0]
            if piece.token in self._given_up:
                if isinstance(piece, FileClosed):
                    self._report(piece.token, 0, self._given_up.pop(piece.token))
                continue
            size = 2 * len(piece.samples) if isinstance(piece, Block) else 0
            if size and self.waiting_bytes + size > self._backlog_bytes:
                self._give_up(piece.token)
                continue
            self._queued_bytes += size
            self._work.put(piece)

    def _give_up(self, token: int) -> None:
        path = self._paths.get(token, "")
        reason = f"{path}: the disk is too slow: {self.waiting_bytes >> 10} KiB of recordings wait for it, and no more are kept"
        log.error("recording: %s", reason)
        self._given_up[token] = reason
        self._work.put(GivenUp(token))
        self._report(token, 0, reason)

    def results(self) -> list[tuple[int, str, int, str]]:
        """Return what has been finished since the last call, and what could not be gone on with (its path is then empty)."""
        done = []
        while not self._results.empty():
            token, size_bytes, error = self._results.get_nowait()
            done.append((token, self._finishing.pop(token, ""), size_bytes, error))
        return done

    def is_finishing(self, path: str) -> bool:
        """Whether a file has been recorded to its end and is not whole yet: who plays it now has to wait for `results`."""
        return path in self._finishing.values()

    def close(self, timeout_s: float) -> None:
        """Write what is queued, finish every file, end the thread."""
        self._work.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (piece := self._work.get()) is not None:
            try:
                self._do(piece)
            except Exception as error:  # noqa: BLE001 - a disk or a format must not end the thread
                self._fail(piece, error)
            if isinstance(piece, Block):
                self._written_bytes += 2 * len(piece.samples)
        for file in self._files.values():
            with contextlib.suppress(Exception):
                file.close()

    def _fail(self, piece: Work | GivenUp, error: Exception) -> None:
        path = piece.path if isinstance(piece, (FileOpened, FileClosed)) else self._writing.get(piece.token, "")
        cause = _cause(path, error)
        reason = f"{path}: {cause}"
        group = self._groups.get(piece.token, "")
        told = (group, cause) in self._told
        log.log(logging.INFO if told else logging.ERROR, "recording: %s", reason)
        if group:
            self._told.add((group, cause))  # a full disk ends all files of a room: one line says so
        file = self._files.pop(piece.token, None)
        if file is not None:
            with contextlib.suppress(Exception):  # what it still holds does not fit either
                file.close()
        self._failed[piece.token] = reason
        self._report(piece.token, 0, reason)

    def _do(self, piece: Work | GivenUp) -> None:
        if isinstance(piece, GivenUp):
            file = self._files.pop(piece.token, None)
            if file is not None:
                file.close()
        elif isinstance(piece, FileOpened):
            self._writing[piece.token] = piece.path
            if piece.group:
                self._groups[piece.token] = piece.group
            self._files[piece.token] = open_sound(piece.path, piece.rate_hz, piece.channels)
        elif isinstance(piece, Block):
            if piece.token in self._files:
                self._files[piece.token].write(piece.samples)
        elif isinstance(piece, Padding):
            left = piece.samples
            while left > 0 and piece.token in self._files:
                self._files[piece.token].write(np.zeros(min(left, ZEROS_AT_ONCE), np.int16))
                left -= ZEROS_AT_ONCE
        else:
            self._finish(piece)

    def _finish(self, piece: FileClosed) -> None:
        self._writing.pop(piece.token, None)
        group = self._groups.pop(piece.token, "")
        if group and group not in self._groups.values():
            self._told = {told for told in self._told if told[0] != group}
        if piece.token in self._failed:
            self._report(piece.token, 0, self._failed.pop(piece.token))
            return
        self._files.pop(piece.token).close()
        self._report(piece.token, os.stat(piece.path).st_size, "")

    def _report(self, token: int, size_bytes: int, error: str) -> None:
        self._results.put((token, size_bytes, error))
        self._wake()


def _cause(path: str, error: Exception) -> str:
    """What to say of an error: libsndfile calls whatever the system refuses a system error."""
    with contextlib.suppress(OSError):
        if not isinstance(error, OSError) and os.statvfs(os.path.dirname(path) or ".").f_bavail == 0:
            return os.strerror(errno.ENOSPC)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).lstrip(": ") or type(error).__name__
