# SPDX-License-Identifier: GPL-2.0-or-later
"""The ring of log lines: 1000 lines of 256 characters, as SEMS keeps them (spec applications.md §4)."""

from __future__ import annotations

import logging
from collections import deque

LINES = 1000
LINE_CHARS = 256


class Ring:
    """The last lines, oldest first."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=LINES)

    def add(self, text: str) -> None:
        """Keep a line, cut; of a traceback only what stands in front of it."""
        self._lines.append(text.partition("\n")[0][:LINE_CHARS])

    def text(self) -> str:
        """All lines, each with its line end."""
        return "".join(f"{line}\n" for line in tuple(self._lines))


class RingHandler(logging.Handler):
    """Puts each log record's line into a ring."""

    def __init__(self, ring: Ring) -> None:
        super().__init__()
        self._ring = ring

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging."""
        try:
            self._ring.add(self.format(record))
        except Exception:  # noqa: BLE001 - logging's own rule: a handler's fault goes to handleError, never to who logs
            self.handleError(record)
