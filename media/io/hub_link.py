# SPDX-License-Identifier: GPL-2.0-or-later
"""The media process's end of the stream of records to the hub: never waited for, lost once.

hub ── bytes ── read ──► `pending` commands
hub ◄── bytes ── write ◄── send(event)
"""

from __future__ import annotations

import contextlib
import logging
import socket
from collections import deque
from collections.abc import Callable

from media.control import log_lines, records, wire

log = logging.getLogger("media")

READ_BYTES = 65536
MOST_BACKLOG_BYTES = 64 << 20
"""A hub that lets so much lie unread is taken for dead."""

Command = records.Command | wire.Hello


class HubLink:
    """A connected Unix stream socket, which it owns. `on_lost` is called once, with the cause."""

    def __init__(self, link: socket.socket, on_lost: Callable[[str], None]) -> None:
        link.setblocking(False)
        self.pending: deque[Command] = deque()
        self._link: socket.socket | None = link
        self._on_lost = on_lost
        self._codec = wire.RecordCodec(records.COMMANDS)
        self._unsent = bytearray()

    @property
    def socket(self) -> socket.socket | None:
        """To be waited for; None once it is lost."""
        return self._link

    @property
    def wants_to_write(self) -> bool:
        """Something waits to be sent."""
        return self._link is not None and bool(self._unsent)

    def read(self) -> None:
        """Take what has come; it is readable."""
        if self._link is None:
            return
        try:
            data = self._link.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose("closed by the hub")
            return
        try:
            for record in self._codec.feed(data):
                if isinstance(record, (wire.Hello, records.COMMANDS)):
                    self.pending.append(record)
                elif isinstance(record, wire.Ping):  # between two ticks: whoever answers ticks, too
                    self.send(wire.Pong(record.number))
                elif isinstance(record, wire.LogLevel):
                    log_lines.set_level(record.name)
                elif isinstance(record, wire.Unknown):
                    log.warning("command %s is not known here", record.name)
                else:
                    raise ValueError(f"a bare {type(record).__name__} where a command should be")
        except Exception as error:  # noqa: BLE001 - whatever the bytes were, they are no records
            self._lose(f"not understood: {error}")

    def send(self, record: records.Event | wire.Hello | wire.Pong) -> None:
        """Queue a record; `write` sends it. Without effect once the link is lost."""
        if self._link is not None:
            self._unsent += self._codec.pack(record)
            if len(self._unsent) > MOST_BACKLOG_BYTES:
                self._lose("the hub does not read")

    def write(self) -> None:
        """Send what is queued, as much as the hub's end takes now."""
        if self._link is None or not self._unsent:
            return
        try:
            sent = self._link.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            self._lose("closed by the hub")
            return
        del self._unsent[:sent]

    def close(self) -> None:
        """Send what is left, for a second at most, and close."""
        if self._link is not None:
            self._link.settimeout(1)
            with contextlib.suppress(OSError):
                self._link.sendall(self._unsent)
            self._link.close()

    def _lose(self, reason: str) -> None:
        if self._link is not None:
            self._link.close()
        self._link = None
        self._unsent.clear()
        self._on_lost(reason)
