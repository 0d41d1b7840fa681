# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes recordings in a thread of its own: a disk that stalls delays files, never a tick, and loses nothing."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from media.engine.recorders import Block, FileClosed, FileOpened, Padding, Work
from media.files.sound_writer import SoundWriter, open_sound

log = logging.getLogger(__name__)

ZEROS_AT_ONCE = 80_000


class RecordingWriter:
    """Takes work in order; `results` hands (token, size_bytes, error) back to the thread that owns the engine."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[tuple[int, int, str]] = queue.SimpleQueue()
        self._files: dict[int, SoundWriter] = {}
        self._failed: dict[int, str] = {}
        self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)
        self._thread.start()

    def add(self, work: list[Work]) -> None:
        """Queue work."""
        for piece in work:
            self._work.put(piece)

    def results(self) -> list[tuple[int, int, str]]:
        """Return what has been finished since the last call."""
        done = []
        while not self._results.empty():
            done.append(self._results.get_nowait())
        return done

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
        for file in self._files.values():
            file.close()

    def _fail(self, piece: Work, error: Exception) -> None:
        path = getattr(piece, "path", "") or self._failed.get(piece.token, "")
        reason = f"{path}: {error}"
        log.error("recording: %s", reason)
        file = self._files.pop(piece.token, None)
        if file is not None:
            file.close()
        self._failed[piece.token] = reason
        self._report(piece.token, 0, reason)

    def _do(self, piece: Work) -> None:
        if isinstance(piece, FileOpened):
            self._files[piece.token] = open_sound(piece.path, piece.rate_hz)
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
        if piece.text:
            Path(piece.path).write_text(piece.text, encoding="utf-8")
        elif piece.token in self._failed:
            self._report(piece.token, 0, self._failed.pop(piece.token))
            return
        else:
            self._files.pop(piece.token).close()
        self._report(piece.token, os.stat(piece.path).st_size, "")

    def _report(self, token: int, size_bytes: int, error: str) -> None:
        self._results.put((token, size_bytes, error))
        self._wake()
