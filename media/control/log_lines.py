# SPDX-License-Identifier: GPL-2.0-or-later
"""What a log line of every process looks like, and the processes' names. Shared by hub, SIP and media processes.

    text      2026-02-09 14:03:07.120 hub [4711/flow.py:64] WARNING: call 1A2B…: …
    json      {"time": "2026-02-09T14:03:07.120+01:00", "level": "warning", "process": "hub", "call": "1A2B…", "message": "…", …}
    journal   <4>hub [4711/flow.py:64] WARNING: call 1A2B…: …        the journal has its own time; sd-daemon(3). JSON likewise: <4>{…

From the bracket on the text is SEMS's layout (spec core.md §14.1), with the process's id for the thread's. While a session's event is
handled its id stands in front of the message, also in what libraries log.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TextIO

from media.control.log_handler import PatientHandler

STYLES = ("text", "json")
_MAX_BYTES = 4095
_PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}
_UNSAFE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""What steers a terminal or changes how the line reads: C0 (but tab), DEL, C1, line and paragraph separators, marks of direction, invisible."""
_CALL = re.compile(r"call ([^\s:]+): ")

current_call: ContextVar[str] = ContextVar("current_call", default="")
"""Id of the call whose event is being handled."""


class Layout(logging.Formatter):
    """One line a record; control characters cannot forge lines. A traceback follows, in `text` on lines of its own."""

    def __init__(self, process: str = "hub", style: str = "text", journal: bool = False) -> None:
        """`process`: hub, sip or media."""
        super().__init__()
        self._process, self._shape, self._journal = process, style, journal

    def format(self, record: logging.LogRecord) -> str:
        """The line, its message cut at 4095 bytes, then the traceback if there is one."""
        call, message = _told(record)
        trace = self.formatException(record.exc_info) if record.exc_info and record.exc_info[0] is not None else ""
        trace = "\n".join(_UNSAFE.sub(".", line) for line in trace.split("\n"))
        text = self._json(record, call, message, trace) if self._shape == "json" else self._text(record, call, message, trace)
        if self._journal:  # each line is an entry of its own there
            priority = _PRIORITIES.get(record.levelno, 6)
            text = "\n".join(f"<{priority}>{line}" for line in text.splitlines())
        return text.encode("utf-8", "backslashreplace").decode("utf-8")

    def _text(self, record: logging.LogRecord, call: str, message: str, trace: str) -> str:
        shown = f"call {call}: {message}" if call else message
        when = (
            ""
            if self._journal
            else f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(record.created))}.{int(record.msecs):03d} "
        )
        place = f"{record.process or 0}/{record.filename}:{record.lineno}"
        return "\n".join((f"{when}{self._process} [{place}] {record.levelname}: {shown}", *trace.splitlines()))

    def _json(self, record: logging.LogRecord, call: str, message: str, trace: str) -> str:
        zone = time.strftime("%z", time.localtime(record.created))
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(record.created))
        fields: dict[str, object] = {
            "time": f"{when}.{int(record.msecs):03d}{zone[:3]}:{zone[3:]}",
            "level": record.levelname.lower(),
            "process": self._process,
            "pid": record.process or 0,
            "source": f"{record.filename}:{record.lineno}",
        }
        if call:
            fields["call"] = call
        fields["message"] = message
        if trace:
            fields["traceback"] = trace
        return json.dumps(fields, ensure_ascii=False)


def _told(record: logging.LogRecord) -> tuple[str, str]:
    """The call that a record is about, empty when it is about none, and the message without it."""
    message = _UNSAFE.sub(".", record.getMessage())
    encoded = message.encode("utf-8", "backslashreplace")
    if len(encoded) > _MAX_BYTES:
        message = encoded[:_MAX_BYTES].decode("utf-8", "ignore")
    named = _CALL.match(message)
    if named is not None:
        return named[1], message[named.end() :]
    return current_call.get(), message


def is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether a stream leads to the system's journal: systemd says to which device and inode (systemd.exec(5), JOURNAL_STREAM)."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return (device, inode) == (str(status.st_dev), str(status.st_ino))


def set_up(process: str, level: int, style: str = "text") -> logging.Handler:
    """Log to stderr, with a level of `logging` and without ever waiting for who reads it; returns the handler."""
    handler = PatientHandler()
    handler.setFormatter(Layout(process, style, is_journal(sys.stderr, os.environ)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("asyncio", "numba"):  # their debug lines are of no use to whoever runs a server
        logging.getLogger(name).setLevel(logging.WARNING)
    return handler


def set_level(name: str) -> None:
    """Log this level of `logging` and what is graver; an unknown one changes nothing."""
    level, root = logging.getLevelNamesMapping().get(name), logging.getLogger()
    if level is not None and level != root.level:
        root.setLevel(level)
        logging.getLogger(__name__).info("log level is now %s", name)


def name_process(role: str = "") -> None:
    """Let ps, top and pgrep show `cordboard`, `cordboard-sip`, `cordboard-media` instead of the interpreter. Linux: 15 characters."""
    try:
        with open("/proc/self/comm", "w", encoding="ascii") as comm:
            comm.write(f"cordboard-{role}" if role else "cordboard")
    except OSError:  # another system: the command line still says what it is
        pass
