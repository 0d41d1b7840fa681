# SPDX-License-Identifier: GPL-2.0-or-later
"""One end of a record stream on an asyncio loop: bytes in, records to a callback, records out."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar, cast

from media.control.log_lines import set_level
from media.control.turn import Turn
from media.control.wire import Hello, LogLevel, Ping, Pong, RecordCodec, Unknown

log = logging.getLogger(__name__)

Sent = TypeVar("Sent")
Received = TypeVar("Received")


class RecordLink(asyncio.Protocol, Generic[Sent, Received]):
    """Carries records both ways over a connected stream socket.

    `classes`: what may come in, beside Hello; a Ping is answered and a LogLevel heeded here; anything else is logged and left out.
    ``on_record`` is called in the loop for each record; what it raises is logged and does not end the link. ``on_lost`` is called once.
    ``turn``: where what a read brings about waits for its end; None: it waits in the loop.
    """

    def __init__(
        self,
        classes: Iterable[type[Received]],
        on_record: Callable[[Received | Hello], None],
        on_lost: Callable[[], None],
        turn: Turn | None = None,
    ) -> None:
        self._classes: frozenset[type[Received] | type[Hello]] = frozenset((Hello, *classes))
        self.answered = 0
        """Number of the last Ping of ours that was answered."""
        self.asked = 0
        """How many Pings have come."""
        self._codec = RecordCodec(self._classes)
        self._on_record = on_record
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._turn = turn

    @classmethod
    async def open(
        cls,
        sock: socket.socket,
        classes: Iterable[type[Received]],
        on_record: Callable[[Received | Hello], None],
        on_lost: Callable[[], None],
        turn: Turn | None = None,
    ) -> RecordLink[Sent, Received]:
        """A link over a connected socket, which it then owns."""
        link = cls(classes, on_record, on_lost, turn)
        await link.attach(sock)
        return link

    async def attach(self, sock: socket.socket) -> None:
        """Take over a connected socket. Records may come before this returns."""
        await asyncio.get_running_loop().create_connection(lambda: self, sock=sock)

    @property
    def backlog_bytes(self) -> int:
        """Bytes that the peer has not yet taken: a peer that stops reading shows here."""
        queued = sum(map(len, self._unsent))
        return queued + (self._transport.get_write_buffer_size() if self._transport else 0)

    def send(self, record: Sent | Hello | Ping | Pong | LogLevel) -> None:
        """Queue one record; silently dropped once the link is lost (``on_lost`` has said so).

        What one turn of the loop sends goes out in one write: the system call costs twenty times the packing.
        """
        if self._transport is not None and not self._transport.is_closing():
            self._flush_later()
            self._unsent.append(self._codec.pack(record))

    def send_all(self, records: Iterable[Sent]) -> None:
        """Queue several records."""
        if self._transport is not None and not self._transport.is_closing():
            self._flush_later()
            self._unsent.extend(map(self._codec.pack, records))

    def _flush_later(self) -> None:
        """To be asked before something is queued: what is there already has its flush."""
        if self._unsent:
            return
        if self._turn is not None:
            self._turn.at_end(self._flush)
        else:
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        if self._unsent and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def close(self) -> None:
        """Close after what is queued has been written."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are no subclass

    def data_received(self, data: bytes) -> None:
        if self._turn is None:
            self._take_all(data)
            return
        self._turn.begin()
        try:
            self._take_all(data)
        finally:
            self._turn.run()

    def _take_all(self, data: bytes) -> None:
        try:
            for record in self._codec.feed(data):
                if type(record) in self._classes:
                    self._take(record)
                elif isinstance(record, Ping):
                    self.asked += 1
                    self.send(Pong(record.number))
                elif isinstance(record, LogLevel):
                    set_level(record.name)
                elif isinstance(record, Pong):
                    self.answered = record.number
                else:
                    name = record.name if isinstance(record, Unknown) else type(record).__name__
                    log.warning("%s came, which is not known here: left out", name)
        except ValueError as error:
            log.error("record stream is broken (%s): closing it", error)
            self.close()

    def _take(self, record: Received | Hello) -> None:
        try:
            self._on_record(record)
        except Exception:
            log.exception("handling %s failed", type(record).__name__)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._on_lost()
