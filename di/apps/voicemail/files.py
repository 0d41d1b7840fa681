# SPDX-License-Identifier: GPL-2.0-or-later
"""What is done with recordings on the disk. All of it waits for the disk and runs in a thread."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from di.apps.voicemail import wav

TWIN = "-twin"


def free_mb(folder: Path) -> int:
    """Room on a folder's disk that this user may use. Raises OSError when the folder is not there or cannot be written."""
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(13, "it cannot be written", str(folder))
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize >> 20


def being_written(folder: Path) -> set[str]:
    """Names of files of a folder that a process has open for writing: a media process whose hub was killed finishes its recordings.

    Linux tells it of processes of the same user, and our media processes are.
    """
    found, wanted = set(), os.path.realpath(folder)
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has gone, or is another user's
            for handle in os.scandir(process / "fd"):
                with contextlib.suppress(OSError):
                    place, _, name = os.readlink(handle.path).rpartition("/")
                    if place == wanted and _is_for_writing(process / "fdinfo" / handle.name):
                        found.add(name)
    return found


def _is_for_writing(info: Path) -> bool:
    """Whether a descriptor was opened so (proc_pid_fdinfo(5): flags in octal)."""
    flags = next((line for line in info.read_text().splitlines() if line.startswith("flags:")), "flags: 0")
    return int(flags.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY


def twin(path: Path) -> Path:
    """A second name for a file, or a copy where its disk has no links; for who wants to keep what another one will move. Raises OSError."""
    other = path.with_name(f"{path.stem}{TWIN}{path.suffix}")
    other.unlink(missing_ok=True)
    try:
        os.link(path, other)
    except OSError:
        shutil.copyfile(path, other)
    return other


def clear_twins(folder: Path) -> None:
    """Remove twins that a crash left: their recordings are there, too. Raises OSError."""
    for path in folder.glob(f"*{TWIN}.*"):
        path.unlink(missing_ok=True)


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
