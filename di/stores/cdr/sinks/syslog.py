# SPDX-License-Identifier: GPL-2.0-or-later
"""Records as SEMS's cc_syslog_cdr writes them: one CSV line a call to syslog (RFC 3164), over a Unix or UDP socket."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence

from di.stores.cdr.sinks.sink import SinkDown
from di.stores.cdr.spool import DueRecord

_SEVERITIES = (3, 4, 6, 7, 5)
"""By SEMS's `loglevel`: error, warning, info, debug, and 4 for notice."""
_LOCAL0 = 16
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def datagram(line: str, level: int, at_s: float) -> bytes:
    """What is sent for a line; the time is local, with the month in English whatever the locale."""
    local = time.localtime(at_s)
    stamp = f"{_MONTHS[local.tm_mon - 1]} {local.tm_mday:2d} {local.tm_hour:02d}:{local.tm_min:02d}:{local.tm_sec:02d}"
    return f"<{_LOCAL0 * 8 + _SEVERITIES[level]}>{stamp} cordboard: {line}".encode("utf-8", "replace")


class Syslog:
    """`address`: host and port of UDP, or the path of a Unix socket and 0. Over UDP nobody can know whether a line arrived."""

    batch = 100

    def __init__(self, address: tuple[str, int], line: Callable[[DueRecord], str], level: int, name: str = "syslog") -> None:
        self.name = name
        self._address = address
        self._line = line
        self._level = level
        self._socket: socket.socket | None = None

    async def deliver(self, entries: Sequence[DueRecord]) -> None:
        """Send each. Raises SinkDown while nobody listens."""
        try:
            await asyncio.to_thread(self._send, [self._line(entry) for entry in entries])
        except OSError as error:
            await self.close()
            raise SinkDown(f"syslog at {self._address[0]}: {error.strerror}") from error

    def _send(self, lines: list[str]) -> None:
        if self._socket is None:
            host, port = self._address
            ip_family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._socket = socket.socket(ip_family if port else socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.settimeout(5)
            self._socket.connect(self._address if port else host)
        for line in lines:
            self._socket.send(datagram(line, self._level, time.time()))

    async def close(self) -> None:
        """Close the socket."""
        opened, self._socket = self._socket, None
        if opened is not None:
            opened.close()
