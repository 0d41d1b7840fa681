# SPDX-License-Identifier: GPL-2.0-or-later
"""What is done with recordings on the disk. All of it waits for the disk and runs in a thread."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from di.apps.voicemail import wav


def free_mb(folder: Path) -> int:
    """Room on a folder's disk that this user may use. Raises OSError when the folder is not there or cannot be written."""
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(13, "it cannot be written", str(folder))
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize >> 20


def is_written(path: Path) -> bool:
    """Whether any process has a file open: a media process whose hub was killed finishes its recordings.

    Linux tells it of processes of the same user, and our media processes are.
    """
    wanted = os.path.realpath(path)
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for handle in os.scandir(process / "fd"):
                with contextlib.suppress(OSError):
                    if os.readlink(handle.path) == wanted:
                        return True
    return False


def finished(path: Path) -> int | None:
    """Make a recording that broke off one that can be read; its length in ms, None where only its recorder knows. Raises OSError.

    0: there is nothing in it.
    """
    size = path.stat().st_size
    if path.suffix.lower() not in (".wav", ".wave", ".wav49"):
        return None if size else 0
    with path.open("r+b") as file:
        measured = wav.measure(file.read(wav.HEAD_BYTES), size)
        if measured is None:
            return 0
        for at, data in measured.repairs:
            file.seek(at)
            file.write(data)
    return measured.length_ms


def sync(path: Path) -> None:
    """Let a file's bytes reach the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def same(one: Path, other: Path) -> bool:
    """Whether two files hold the same bytes; False where one cannot be read."""
    try:
        return one.stat().st_size == other.stat().st_size and one.read_bytes() == other.read_bytes()
    except OSError:
        return False
