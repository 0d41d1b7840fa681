# SPDX-License-Identifier: GPL-2.0-or-later
"""Audio that came out of a database, as files for the media process: in a folder that only this user can enter, named by what is in them.

A file is written aside and renamed, so nobody reads half of one; another audio has another name, so a call that plays goes on with what it
began. The folder goes with the server.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path

LARGEST_BYTES = 64 << 20
"""A row with more is no announcement."""
_KEPT_BYTES = 512 << 20
_IN_USE_NS = 600 * 10**9
"""A file that was wanted so lately may still have to be read."""
_MAGIC = ((b"RIFF", ".wav"), (b"fLaC", ".flac"), (b"OggS", ".ogg"), (b"FORM", ".aiff"), (b".snd", ".au"), (b"ID3", ".mp3"))


def suffix_for(data: bytes) -> str:
    """The suffix that fits the first bytes of an audio file; empty for what is none that is played."""
    for magic, suffix in _MAGIC:
        if data.startswith(magic):
            return suffix
    return ".mp3" if len(data) > 2 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2 else ""  # MPEG's sync word, layer III


class AudioCache:
    """Belongs to one application. `keep` touches the disk: call it in a thread; several may."""

    def __init__(self, name: str, most_bytes: int = _KEPT_BYTES) -> None:
        self._name = name
        self._most_bytes = most_bytes
        self._folder: Path | None = None
        self._files: OrderedDict[Path, tuple[int, int]] = OrderedDict()  # path → bytes, wanted last (ns); the oldest first
        self._bytes = 0
        self._closed = False
        self._lock = threading.Lock()

    def keep(self, data: bytes, suffix: str, now_ns: int) -> Path:
        """The file with this content. Raises OSError."""
        with self._lock:
            return self._keep(data, suffix, now_ns)

    def _keep(self, data: bytes, suffix: str, now_ns: int) -> Path:
        if self._closed:
            raise OSError("the server is being stopped")
        if self._folder is None:
            self._remove_those_of_the_dead()
            self._folder = Path(tempfile.mkdtemp(prefix=f"cordboard-{self._name}-{os.getpid()}-"))  # mode 0700
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # somebody may have tidied up
        path = self._folder / f"{hashlib.sha256(data).hexdigest()}{suffix}"
        if not path.is_file():
            handle, aside = tempfile.mkstemp(dir=self._folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                os.replace(aside, path)
            except OSError:
                Path(aside).unlink(missing_ok=True)
                raise
        self._note(path, len(data), now_ns)
        return path

    def _remove_those_of_the_dead(self) -> None:
        """A server that was killed has left its folder."""
        for path in Path(tempfile.gettempdir()).glob(f"cordboard-{self._name}-*-*"):
            pid = path.name.rpartition("-")[0].rpartition("-")[2]
            if (
                pid.isdecimal()
                and not Path("/proc", pid).exists()
                and not path.is_symlink()
                and path.stat().st_uid == os.getuid()
            ):
                shutil.rmtree(path, ignore_errors=True)

    def _note(self, path: Path, size: int, now_ns: int) -> None:
        """Wanted now; what has not been for long goes when there is too much."""
        known = self._files.pop(path, None)
        self._bytes += size if known is None else 0
        self._files[path] = size, now_ns
        while self._bytes > self._most_bytes:
            oldest, (bytes_, wanted_ns) = next(iter(self._files.items()))
            if oldest == path or now_ns - wanted_ns < _IN_USE_NS:
                return
            del self._files[oldest]
            self._bytes -= bytes_
            oldest.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove all; nothing is kept any more."""
        with self._lock:
            self._closed = True
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
