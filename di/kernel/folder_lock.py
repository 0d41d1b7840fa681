# SPDX-License-Identifier: GPL-2.0-or-later
"""A folder that one server at a time may use: what a second one takes for the rest of a crash, the first one is at work on."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

NAME = "in-use.lock"


class FolderLock:
    """Holds a folder until `release`, or until the process ends in whatever way."""

    def __init__(self, folder: Path) -> None:
        """The folder is made if need be. Raises OSError, also when another process holds it."""
        folder.mkdir(0o750, True, True)
        self._handle = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o640)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            raise OSError(f"another server uses {folder}") from None

    def release(self) -> None:
        """Others may use it."""
        os.close(self._handle)
