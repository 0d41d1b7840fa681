# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads audio files beside the tick, in threads, and keeps what was read lately in the codecs it was wanted in."""

from __future__ import annotations

import os
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from media.codecs.codec import Codec
from media.engine.sources import StoredAudio, encode_samples
from media.files.audio_file import AudioFileError, read_audio

THREADS = 2
DEFAULT_CACHE_BYTES = 256 << 20

T = TypeVar("T")
_Key = tuple[str, str, int]
_Stamp = tuple[int, int]


class FileLoader:
    """Loads files in threads; results are taken by ``results`` in the thread that owns the engine, woken through ``wake``."""

    def __init__(self, wake: Callable[[], None], cache_bytes: int = DEFAULT_CACHE_BYTES) -> None:
        self._wake = wake
        self._cache_bytes = cache_bytes
        self._cached_bytes = 0
        self._cache: OrderedDict[_Key, tuple[_Stamp, StoredAudio]] = OrderedDict()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(THREADS, "loader")
        self._results: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def load_nowait(self, path: str, codec: Codec, done: Callable[[StoredAudio | None, str], None]) -> None:
        """Load a file; `done(audio, error)` is called by ``run_results``."""
        self._pool.submit(self._load, path, codec, done)

    def run_results(self) -> None:
        """Call `done` for every load that has finished."""
        while True:
            try:
                self._results.get_nowait()()
            except queue.Empty:
                return

    def close(self) -> None:
        """Stop the threads without waiting for files still being read."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _load(self, path: str, codec: Codec, done: Callable[[StoredAudio | None, str], None]) -> None:
        audio, error = None, ""
        try:
            audio = self.read(path, codec)
        except AudioFileError as failure:
            error = str(failure)
        except Exception as failure:  # noqa: BLE001 - a file must never end the process
            error = f"{path}: {type(failure).__name__}: {failure}"
        self._results.put(lambda: done(audio, error))
        self._wake()

    def read(self, path: str, codec: Codec) -> StoredAudio:
        """Return the file from the cache when it has not changed since, else read it. Raises AudioFileError."""
        key = (path, codec.rtpmap, codec.rate_hz)
        try:
            status = os.stat(path)
        except (OSError, ValueError) as failure:
            reason = failure.strerror if isinstance(failure, OSError) and failure.strerror else str(failure)
            raise AudioFileError(f"{path}: {reason}") from failure
        stamp = (status.st_mtime_ns, status.st_size)
        with self._lock:
            known = self._cache.get(key)
            if known is not None and known[0] == stamp:
                self._cache.move_to_end(key)
                return known[1]
        audio = encode_samples(read_audio(path, codec.rate_hz), codec)
        with self._lock:
            self._keep(key, stamp, audio)
        return audio

    def _keep(self, key: _Key, stamp: _Stamp, audio: StoredAudio) -> None:
        old = self._cache.pop(key, None)
        self._cached_bytes += len(audio.payload) - (len(old[1].payload) if old else 0)
        self._cache[key] = (stamp, audio)
        while self._cached_bytes > self._cache_bytes and len(self._cache) > 1:
            _, (_, dropped) = self._cache.popitem(last=False)
            self._cached_bytes -= len(dropped.payload)
