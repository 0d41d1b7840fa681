# SPDX-License-Identifier: GPL-2.0-or-later
"""Log lines in SEMS's layout and with its four levels (spec core.md §14.1): ` [<tid>/<file>:<line>] <LEVEL>: <message>`.

While a session's event is handled its id stands in front of the message, also in what libraries log. A full pipe never holds up who logs
(`media.control.log_handler`).
"""

from __future__ import annotations

import logging
from contextvars import ContextVar

from media.control.log_handler import PatientHandler

LEVELS = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)
_MAX_BYTES = 4095

current_call: ContextVar[str] = ContextVar("current_call", default="")
"""Id of the call whose event is being handled."""


class Layout(logging.Formatter):
    """SEMS's release layout for stderr; control characters cannot forge lines."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, cut at 4095 bytes, then the traceback if there is one."""
        message = record.getMessage()
        call = current_call.get()
        if call and call not in message:
            message = f"call {call}: {message}"
        message = "".join(c if c >= " " or c == "\t" else "." for c in message)
        encoded = message.encode("utf-8", "backslashreplace")
        if len(encoded) > _MAX_BYTES:
            message = encoded[:_MAX_BYTES].decode("utf-8", "ignore")
        line = f" [{record.thread or 0}/{record.filename}:{record.lineno}] {record.levelname}: {message}"
        if record.exc_info and record.exc_info[0] is not None:
            line += "\n" + self.formatException(record.exc_info)
        return line.encode("utf-8", "backslashreplace").decode("utf-8")


def set_up(level: int) -> logging.Handler:
    """Log to stderr with a level of 0–3, without ever waiting for who reads it; returns the handler."""
    handler = PatientHandler()
    handler.setFormatter(Layout())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    set_level(level)
    return handler


def set_level(level: int) -> None:
    """Change the level, 0–3; beyond means the nearest."""
    logging.getLogger().setLevel(LEVELS[min(max(level, 0), 3)])


def level() -> int:
    """The present level, 0–3."""
    threshold = logging.getLogger().level
    return next((index for index, known in enumerate(LEVELS) if known <= threshold), 3)
