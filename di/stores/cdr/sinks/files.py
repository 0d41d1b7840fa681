# SPDX-License-Identifier: GPL-2.0-or-later
"""Records as lines of a file: JSON lines, or CSV. Written at the end, and on the disk before the spool forgets them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from di.stores.cdr.record import time_s
from di.stores.cdr.sinks.sink import SinkDown
from di.stores.cdr.spool import DueRecord

_LONGEST_LINE = 1 << 20


class LineFile:
    """`pattern`: the path, in which strftime's marks stand for the end of the call (UTC): `cdr-%Y-%m-%d.jsonl` is a file a day.

    `header`: the first line of a file; empty: none.
    """

    batch = 500

    def __init__(self, name: str, pattern: str, line: Callable[[DueRecord], str], header: str = "") -> None:
        self.name = name
        self._pattern = pattern
        self._line = line
        self._header = header

    async def deliver(self, entries: Sequence[DueRecord]) -> None:
        """Append. Raises SinkDown when the file cannot be written."""
        lines_of: dict[str, list[str]] = {}
        for entry in entries:
            ended = datetime.fromtimestamp(time_s(entry.record.end), UTC)
            lines_of.setdefault(ended.strftime(self._pattern), []).append(self._line(entry))
        try:
            await asyncio.to_thread(self._write, lines_of)
        except OSError as error:
            raise SinkDown(f"{error.filename or self._pattern}: {error.strerror}") from error

    def _write(self, lines_of: dict[str, list[str]]) -> None:
        for path, lines in lines_of.items():
            append(Path(path), lines, self._header)

    async def close(self) -> None:
        """Nothing is held between two deliveries."""


def append(path: Path, lines: Sequence[str], header: str = "") -> None:
    """Add lines and have them on the disk. What an interrupted write left of a line is taken away first: it will come again.

    A new file is readable for its owner and group only: who called whom is nobody else's business.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
    try:
        size = _whole_lines(file)
        before = [header] if header and not size else []
        data = memoryview("".join(f"{line}\n" for line in (*before, *lines)).encode("utf-8", "replace"))
        while data:
            data = data[os.write(file, data) :]
        os.fsync(file)
    finally:
        os.close(file)


def _whole_lines(file: int) -> int:
    """Cut off what follows the last line end; returns the size that is left."""
    size = os.fstat(file).st_size
    tail = os.pread(file, _LONGEST_LINE, max(0, size - _LONGEST_LINE))
    torn = len(tail) - (tail.rfind(b"\n") + 1)
    if torn:
        os.ftruncate(file, size - torn)
    return size - torn
