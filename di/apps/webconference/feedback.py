# SPDX-License-Identifier: GPL-2.0-or-later
"""Opinions of callers, one line each, and the counts of calls that the info string shows (spec applications.md §1.1, §1.5)."""

from __future__ import annotations

import errno
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

log = logging.getLogger(__name__)


class FeedbackFile:
    """Appends lines to a file; without a file it does nothing."""

    def __init__(self, path: Path | None) -> None:
        """Raises OSError when the file cannot be opened for appending."""
        self._file: TextIO | None = path.open("a", encoding="utf-8", errors="surrogateescape") if path else None

    def write(self, head: str, *fields: object) -> None:
        """One line: head, then each field followed by `|||`; line ends in fields become blanks."""
        if self._file is None:
            return
        texts = (str(field).replace("\r", " ").replace("\n", " ") for field in fields)
        self._file.write(head + "".join(text + "|||" for text in texts) + "\n")

    def reset(self, path: Path) -> None:
        """Go on in another file, which is emptied. Raises OSError; the old file stays then."""
        fresh = path.open("w", encoding="utf-8", errors="surrogateescape")
        self.close()
        self._file = fresh

    def flush(self) -> None:
        """Hand what was written to the operating system."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def may_append(path: Path) -> None:
    """Raise OSError when a file could not be appended to; does not make it."""
    place = path if path.exists() else path.parent
    if not place.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    if not os.access(place, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


@dataclass
class CallCounts:
    """Finished calls, those of them that never were connected, and the connected time."""

    total: int = 0
    failed: int = 0
    seconds: int = 0

    @classmethod
    def parse(cls, text: str) -> CallCounts:
        """Read the three lines of a stats file. Raises ValueError for anything else."""
        total, failed, seconds = (int(line) for line in text.split())
        return cls(total, failed, seconds)

    def text(self) -> str:
        """The three lines of the stats file."""
        return f"{self.total}\n{self.failed}\n{self.seconds}\n"

    def add(self, connected_s: float | None) -> None:
        """Count a finished call; None for one that never was connected."""
        self.total += 1
        if connected_s is None:
            self.failed += 1
        else:
            self.seconds += int(connected_s)

    def info(self, signature: str, active: int) -> str:
        """The text that ends every reply."""
        connected = self.total - self.failed
        return f"Server: {signature} calls: {active} active/{self.total} total/{connected} connect/{self.seconds // 60} min"


def read_counts(path: Path) -> CallCounts:
    """Counts of the last run; zeros, with a warning, when the file is no stats file."""
    if not path.is_file():
        return CallCounts()
    try:
        return CallCounts.parse(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        log.warning("%s is no statistics file (%s); counting starts at 0", path, error)
        return CallCounts()
