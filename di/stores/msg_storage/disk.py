# SPDX-License-Identifier: GPL-2.0-or-later
"""Carries steps out, and looks at folders. Runs in the storage's thread only; every OSError goes to who asked."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from di.stores.msg_storage import steps
from di.stores.msg_storage.names import usable
from di.stores.msg_storage.steps import Copy, Create, MakeFolder, Move, Remove, Stamp, Step, SyncFile, SyncFolder

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FOLDER_MODE, _FILE_MODE = 0o750, 0o640
"""Others than the server's user and group have no business with what callers said."""


@dataclass(frozen=True, slots=True)
class FileSeen:
    """A file of a box as it stands on the disk; times in nanoseconds since 1970."""

    name: str
    size_bytes: int
    access_ns: int
    change_ns: int


def is_full(error: OSError) -> bool:
    """Whether the disk, or what the user may have of it, is used up."""
    return error.errno in _FULL


def perform(step: Step) -> None:
    """Do one step."""
    match step:
        case MakeFolder(path):
            with contextlib.suppress(FileExistsError):
                path.mkdir(_FOLDER_MODE)
        case SyncFolder(path):
            _sync(path, os.O_RDONLY | os.O_DIRECTORY)
        case Create(path):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE))
        case Copy(source, target):
            with source.open("rb") as origin, open(target, "xb") as copy:
                shutil.copyfileobj(origin, copy, 1 << 20)
        case Stamp(path, access_ns, change_ns):
            os.utime(path, ns=(access_ns, change_ns))
        case SyncFile(path):
            _sync(path, os.O_RDONLY)
        case Move(source, target):
            source.rename(target)
        case Remove(path):
            path.unlink()


def perform_all(plan: Sequence[Step]) -> None:
    """Do steps in order. Where one fails those before it are taken back as far as it goes, and its OSError is raised."""
    (error,) = perform_together([plan])
    if error is not None:
        raise error


def perform_together(plans: Sequence[Sequence[Step]]) -> list[OSError | None]:
    """Do several plans in step: the first step of each, then the second of each … Returns what each failed of.

    The order within a plan is kept, so each is as safe as by itself; but what many have changed goes to the medium with the first
    sync, and further ones find nothing to do. A folder is synced once for all plans that are at that step.
    """
    failed: list[OSError | None] = [None] * len(plans)
    for stage in range(max(map(len, plans), default=0)):
        synced: set[Step] = set()
        for number, plan in enumerate(plans):
            if failed[number] is not None or stage >= len(plan) or plan[stage] in synced:
                continue
            step = plan[stage]
            try:
                perform(step)
            except OSError as error:
                failed[number] = error
                _take_back(plan, stage)
            else:
                if isinstance(step, SyncFolder):
                    synced.add(step)
    return failed


def _take_back(plan: Sequence[Step], stage: int) -> None:
    for back in steps.undo(plan[:stage], plan[stage]):
        with contextlib.suppress(OSError):
            perform(back)


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# ------------------------------------------------------------------------------------------------------------------- looking
def look(path: Path) -> FileSeen | None:
    """A message's file; None where there is none, or what is there is no plain file (a link would lead elsewhere)."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return FileSeen(path.name, found.st_size, found.st_atime_ns, found.st_mtime_ns)


def files(folder: Path) -> tuple[list[FileSeen], list[str]]:
    """The messages in a folder, and names of files in it that no message may have. Hidden ones are not looked at."""
    seen, strange = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if not usable(entry.name):
                strange.append(entry.name)
            elif (found := look(Path(entry.path))) is not None:
                seen.append(found)
    return seen, strange


def folders(folder: Path) -> list[str]:
    """Names of the folders in a folder that may be domains or users; none when it is gone."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if usable(entry.name) and entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def changed_ns(folder: Path) -> int | None:
    """When a file came to a folder or left it; None: there is no such folder."""
    try:
        found = folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_mtime_ns if stat.S_ISDIR(found.st_mode) else None


def free_bytes(folder: Path) -> int:
    """What the server may still write on a folder's disk."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def is_elsewhere(path: Path, folder: Path) -> bool:
    """Whether a file is on another disk than a folder."""
    return path.stat().st_dev != folder.stat().st_dev


@contextlib.contextmanager
def locked(handle: int, wait: bool) -> Iterator[bool]:
    """Hold the lock of a storage against other processes. False, without it, when another holds it and there is to be no wait."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        yield False
        return
    try:
        yield True
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)
