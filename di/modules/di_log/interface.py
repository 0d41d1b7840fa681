# SPDX-License-Identifier: GPL-2.0-or-later
"""DI functions of `di_log` (spec applications.md §4).

SEMS's module has no `_list`, so nothing is listed here either.
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from di.kernel.errors import CallFailed
from di.kernel.registry import di_method
from di.kernel.value import Value
from di.modules.di_log.ring import Ring

log = logging.getLogger(__name__)


class LogRing:
    """Reads the ring. Files are written below one folder only."""

    def __init__(self, ring: Ring, folder: Path) -> None:
        self._ring, self._folder = ring, folder

    @di_method("dumplog", listed=False, changes=False, dangerous=True)
    def dumplog(self) -> list[Value]:
        """Return the last 1000 log lines as [text], oldest first.

        Log lines may name numbers, addresses and rooms of others' calls.
        """
        return [self._ring.text()]

    @di_method("dumplogtodisk", listed=False, dangerous=True)
    def dumplogtodisk(self, path: str) -> list[Value]:
        """Write the last 1000 log lines to a file below the configured folder.

        The answer is the same when the file cannot be written (the log says why), as in SEMS. Raises CallFailed for a
        path outside the folder, also by way of `..` or a symbolic link.
        """
        target = self._inside(path)
        try:
            write(target, self._ring.text().encode("utf-8", "backslashreplace"))
        except OSError as error:
            log.error("dumplogtodisk: %s cannot be written: %s", target, error.strerror)
        return ["dumped to disk.\n"]

    def _inside(self, path: str) -> Path:
        if "\0" in path or not Path(path).is_absolute():
            raise CallFailed(f"dumplogtodisk: right is an absolute path below {self._folder}")
        try:
            target = Path(path).parent.resolve() / Path(path).name
        except (OSError, RuntimeError) as error:
            raise CallFailed("dumplogtodisk: the path leads nowhere") from error
        if not target.is_relative_to(self._folder.resolve()) or Path(path).name in ("", ".."):
            raise CallFailed(f"dumplogtodisk: the path is not below {self._folder} (dump_directory in di_log.conf)")
        return target

    @di_method("help", listed=False, changes=False)
    def help(self) -> list[Value]:
        """Return the functions as text."""
        return ["dumplog\ndumplogtodisk <path>\n"]


def write(path: Path, data: bytes) -> None:
    """Write a regular file, for the owner only; no symbolic link is followed, no device or pipe opened.

    Raises OSError.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(0, "it is no regular file")
        os.ftruncate(handle, 0)
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
    finally:
        os.close(handle)
