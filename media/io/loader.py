# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads audio files beside the tick, in threads, and keeps what was read lately in the codecs it was wanted in."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from media.codecs.codec import TICK_MS, Codec
from media.control.predef import SUFFIX
from media.engine.sources import StoredAudio, encode_samples
from media.files.audio_file import AudioFileError, read_audio
from media.files.precoded import read_precoded

log = logging.getLogger(__name__)

THREADS = 2
DEFAULT_CACHE_BYTES = 256 << 20
TRUSTED_NS = 1_000_000_000
"""So long a cached file counts as unchanged without a look at the disk, which another thread would have to take: a change is heard
a second late, and 200 calls a second of one announcement cost one look instead of 200.
"""

Loaded = Callable[[StoredAudio | None, str], None]
"""What is told of a file: its audio, or why it cannot be had."""
T = TypeVar("T")
_Key = tuple[str, str, int, int]
_Stamp = tuple[int, int]


def _read(path: str, codec: Codec) -> tuple[StoredAudio, tuple[str, ...]]:
    """Return the audio and the files that it comes from."""
    if not path.lower().endswith(SUFFIX):
        return encode_samples(read_audio(path, codec.rate_hz), codec), (path,)
    precoded = read_precoded(path, codec.rtpmap, codec.clock_hz)
    files = (path, precoded.path)
    if codec.coder is None:  # samples, whatever the frames: they can be cut anywhere
        return StoredAudio(codec, precoded.payload), files
    if not codec.joins and precoded.frame_ms < TICK_MS:
        raise AudioFileError(f"{path}: frames of {precoded.frame_ms} ms; {codec.rtpmap} needs {TICK_MS} ms or more, one a packet")
    return StoredAudio(codec, precoded.payload, precoded.frame_ms, precoded.frame_bytes), files


def _key(path: str, codec: Codec) -> _Key:
    return path, codec.rtpmap, codec.rate_hz, codec.frame_ms


def _stamps(files: tuple[str, ...]) -> tuple[_Stamp, ...]:
    """Return what changes when a file does. Raises AudioFileError."""
    stamps = []
    for path in files:
        try:
            status = os.stat(path)
        except (OSError, ValueError) as failure:
            reason = failure.strerror if isinstance(failure, OSError) and failure.strerror else str(failure)
            raise AudioFileError(f"{path}: {reason}") from failure
        stamps.append((status.st_mtime_ns, status.st_size))
    return tuple(stamps)


class FileLoader:
    """Loads files in threads; results are taken by ``results`` in the thread that owns the engine, woken through ``wake``."""

    def __init__(self, wake: Callable[[], None], cache_bytes: int = DEFAULT_CACHE_BYTES) -> None:
        self._wake = wake
        self._cache_bytes = cache_bytes
        self._cached_bytes = 0
        self._cache: OrderedDict[_Key, tuple[tuple[str, ...], tuple[_Stamp, ...], StoredAudio]] = OrderedDict()
        self._checked_ns: dict[_Key, int] = {}  # of what is in the cache: when the disk was last asked whether it has changed
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(THREADS, "loader")
        self._results: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def load_nowait(self, path: str, codec: Codec, done: Loaded) -> None:
        """Load a file; `done(audio, error)` is called by ``run_results``, or at once when it is known."""
        audio = self.known(path, codec)
        if audio is not None:
            done(audio, "")
        else:
            self._pool.submit(self._load, path, codec, done)

    def known(self, path: str, codec: Codec) -> StoredAudio | None:
        """Return the audio of a file that is here and was looked at lately."""
        key = _key(path, codec)
        checked_ns = self._checked_ns.get(key)
        if checked_ns is None or time.monotonic_ns() - checked_ns >= TRUSTED_NS:
            return None
        with self._lock:
            cached = self._cache.get(key)
            if cached is None:
                return None
            self._cache.move_to_end(key)
        return cached[2]

    def changed(self, path: str) -> None:
        """A file has been written: the disk is asked again when it is wanted next."""
        with self._lock:
            for key in [key for key in self._checked_ns if key[0] == path]:
                del self._checked_ns[key]

    def run_results(self) -> None:
        """Call `done` for every load that has finished."""
        while True:
            try:
                done = self._results.get_nowait()
            except queue.Empty:
                return
            try:
                done()
            except Exception:  # it is for one leg; the others play on
                log.exception("what was to be done with a file that has been read failed")

    def close(self) -> None:
        """Stop the threads without waiting for files still being read."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _load(self, path: str, codec: Codec, done: Loaded) -> None:
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
        key, now_ns = _key(path, codec), time.monotonic_ns()
        with self._lock:
            known = self._cache.get(key)
        before = _stamps(known[0] if known is not None else (path,))
        if known is not None and known[1] == before:
            with self._lock:
                if key in self._cache:
                    self._cache.move_to_end(key)
                    self._checked_ns[key] = now_ns
            return known[2]
        audio, files = _read(path, codec)
        stamps = before if len(files) == len(before) else _stamps(files)
        with self._lock:
            self._keep(key, files, stamps, audio)
            if key in self._cache:
                self._checked_ns[key] = now_ns
        return audio

    def _keep(self, key: _Key, files: tuple[str, ...], stamps: tuple[_Stamp, ...], audio: StoredAudio) -> None:
        old = self._cache.pop(key, None)
        self._cached_bytes += len(audio.payload) - (len(old[2].payload) if old else 0)
        self._cache[key] = (files, stamps, audio)
        while self._cached_bytes > self._cache_bytes and len(self._cache) > 1:
            forgotten, (_, _, dropped) = self._cache.popitem(last=False)
            self._checked_ns.pop(forgotten, None)
            self._cached_bytes -= len(dropped.payload)
