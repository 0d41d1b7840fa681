# SPDX-License-Identifier: GPL-2.0-or-later
"""What every server of short messages does alike with its TCP connections, whatever frames the messages.

    bytes → reader → proceed() ──┬─ an answer at once: written, no task
                                 └─ a call that waits: `waiting`; the next message is read when it has its answer

A connection's next message waits for the one before. A peer that sends on meanwhile is not read beyond one message; one that does
not read is not served, and dropped after `WRITE_LIMIT_NS`. One sweep a second looks after slow and silent peers of all
connections: no timer per message.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterable
from typing import Protocol

MESSAGE_LIMIT_NS = 10_000_000_000
"""A message must be complete this long after its first byte."""
WRITE_LIMIT_NS = 30_000_000_000
"""A peer that does not read its answer is dropped after this."""
_PAUSE_BYTES = 1 << 16


class MessageReader(Protocol):
    """A pure reader of one protocol's messages."""

    buffer: bytearray

    @property
    def pending(self) -> bool:
        """Whether a message has begun and is not complete."""

    def receive_data(self, data: bytes) -> None:
        """Add what the peer sent."""


class Connection(asyncio.Protocol, ABC):
    """One peer. `transport` is None before and after the time in which it can be written to."""

    def __init__(self, server: Server, reader: MessageReader) -> None:
        self.server = server
        self.reader = reader
        self.transport: asyncio.Transport | None = None
        self.source = ""
        self.since_ns = time.monotonic_ns()
        """When the unfinished message began, or else the last one was answered."""
        self.writing_since_ns = 0
        """Since when the peer takes nothing, 0 while it does."""
        self.waiting: asyncio.Task[None] | None = None
        self.half_closed = False

    @abstractmethod
    def proceed(self) -> None:
        """Answer every whole message in the buffer, while `may_answer`, until one has to wait."""

    @abstractmethod
    def late(self) -> None:
        """End the connection: its message was not complete in time."""

    def idle(self, for_ns: int) -> None:
        """Nothing has come for so long; by default that is the peer's right."""

    @property
    def may_answer(self) -> bool:
        """Whether the peer is there and reads."""
        return self.transport is not None and not self.writing_since_ns

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's transports derive from no asyncio class
        peer = transport.get_extra_info("peername")
        self.source = peer[0] if isinstance(peer, tuple) else ""

    def data_received(self, data: bytes) -> None:
        reader = self.reader
        if not reader.pending:
            self.since_ns = time.monotonic_ns()
        reader.receive_data(data)
        if self.waiting is None:
            self.proceed()
        elif len(reader.buffer) > self.server.max_message_bytes + _PAUSE_BYTES and self.transport is not None:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """The peer will send no more; it still gets the answer of a call that waits."""
        self.half_closed = True
        return self.waiting is not None and not self.server.secure

    def answered(self) -> None:
        """The message in hand is done; the time until the next one begins now."""
        self.since_ns = time.monotonic_ns()

    @property
    def last(self) -> bool:
        """Whether the peer has said that it will send no more, and all of it is answered."""
        return self.half_closed and not self.reader.buffer

    def read_on(self) -> None:
        """Take what came while a call waited."""
        if self.transport is not None and not self.transport.is_closing():
            if not self.half_closed:
                self.transport.resume_reading()
            self.proceed()

    def close(self) -> None:
        """Close, after what is written has left."""
        if self.transport is not None:
            self.transport.close()
            self.transport = None

    def pause_writing(self) -> None:
        self.writing_since_ns = time.monotonic_ns()

    def resume_writing(self) -> None:
        self.writing_since_ns = 0
        if self.waiting is None:
            self.proceed()

    def check(self, now_ns: int) -> None:
        """End the connection when its peer is too slow."""
        if self.transport is None or self.waiting is not None:
            return
        if self.writing_since_ns:
            if now_ns - self.writing_since_ns > WRITE_LIMIT_NS:
                self.transport.abort()
        elif self.reader.pending and now_ns - self.since_ns > MESSAGE_LIMIT_NS:
            self.late()
        else:
            self.idle(now_ns - self.since_ns)


class Server(ABC):
    """A listening socket, if started, and its connections."""

    backlog = 1024

    def __init__(self, max_message_bytes: int) -> None:
        self.max_message_bytes = max_message_bytes
        self.port = 0
        self.secure = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    @abstractmethod
    def new_connection(self) -> Connection:
        """What serves the next peer."""

    @abstractmethod
    def open_connections(self) -> Iterable[Connection]:
        """All that are open."""

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Listen; port 0 takes a free one, `port` says which. Raises OSError."""
        loop = asyncio.get_running_loop()
        self.secure = tls is not None
        self._server = await loop.create_server(
            self.new_connection, host, port, ssl=tls, backlog=self.backlog, ssl_handshake_timeout=10.0 if tls else None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._sweeper = loop.call_later(1.0, self._sweep_again)

    async def stop(self) -> None:
        """Close the socket and every connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._server is not None:
            self._server.close()
        for connection in list(self.open_connections()):
            if connection.transport is not None:
                connection.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def spawn(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run a waiting call; the task is held until it ends."""
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def sweep(self, now_ns: int) -> None:
        """Look after slow and silent peers; once a second."""
        for connection in list(self.open_connections()):
            connection.check(now_ns)

    def _sweep_again(self) -> None:
        self.sweep(time.monotonic_ns())
        self._sweeper = asyncio.get_running_loop().call_later(1.0, self._sweep_again)
