# SPDX-License-Identifier: GPL-2.0-or-later
"""Attachments of mails that wait: files in the queue's folder, each whole and on the disk before its mail is in the table.

Functions that wait for a disk; they run in a thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from di.kernel.paths import safe_name
from di.modules.mail.message import KeptFile
from di.stores.mailing import MailAttachment

_NO_LINK = frozenset((errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES))
"""The file is on another disk, or its disk or owner lets nobody link it: it is copied."""
_PART = ".part"


def sync_folder(folder: Path) -> None:
    """Let a folder's entries reach the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def take_over(folder: Path, token: str, attachments: Sequence[MailAttachment]) -> list[KeptFile]:
    """Link or copy files into the folder under names made of `token`, and let them reach the disk. Raises OSError.

    Done again after a crash it gives the same files. What was written of a copy that failed is removed.
    """
    kept = []
    for number, attachment in enumerate(attachments):
        suffix = attachment.path.suffix if safe_name(attachment.path.suffix.lstrip(".")) else ""
        file = f"{token}-{number}{suffix}"
        _take(attachment.path, folder / file, attachment.copied)
        kept.append(KeptFile(file, attachment.name))
    if kept:
        sync_folder(folder)
    return kept


def _take(source: Path, target: Path, copied: bool) -> None:
    part = target.with_name(target.name + _PART)
    part.unlink(missing_ok=True)
    try:
        if copied or not _linked(source, part):
            shutil.copyfile(source, part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
        part.unlink(missing_ok=True)  # two names of one file: then rename(2) does nothing
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def _linked(source: Path, target: Path) -> bool:
    """Link a file. False where that cannot be done, though the file is there. Raises OSError."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        return False
    return True


def read_all(folder: Path, files: Sequence[KeptFile]) -> list[bytes]:
    """The files' contents. Raises OSError that names the file."""
    return [(folder / file.file).read_bytes() for file in files]


def remove(folder: Path, files: Sequence[KeptFile]) -> None:
    """Remove files; those that are gone already are no error. Raises OSError for others."""
    for file in files:
        (folder / file.file).unlink(missing_ok=True)


def clear(folder: Path, needed: Collection[str], before_s: float) -> int:
    """Remove what belongs to no mail and is older than a time: what crashes left. Returns how many files."""
    count = 0
    for path in folder.iterdir():
        if path.name not in needed and path.is_file() and path.stat().st_ctime < before_s:
            path.unlink(missing_ok=True)
            count += 1
    return count
