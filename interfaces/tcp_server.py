# SPDX-License-Identifier: GPL-2.0-or-later
"""What every server of short messages does alike with its TCP connections, whatever frames the messages.

    bytes → reader → proceed() ──┬─ an answer at once: written, no task
                                 └─ a call that waits: `waiting`; the next message is read when it has its answer

A connection's next message waits for the one before. A peer that sends on meanwhile is not read beyond one message; one that does
not read is not served, and dropped after `WRITE_LIMIT_NS`, earlier when all such peers together hold too much. Many messages in one piece are
answered in turns, so that the loop's other work goes on. Where callers have to log in, a connection on which nobody has is ended after
`LOGIN_LIMIT_NS`, whatever it sends, and makes room for others. One sweep a second looks after all of this: no timer per message.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterable
from typing import Protocol

from di.kernel.seldom import Seldom
from interfaces.tls_accept import TlsListener

log = logging.getLogger(__name__)

MESSAGE_LIMIT_NS = 10_000_000_000
"""A message must be complete this long after its first byte."""
WRITE_LIMIT_NS = 30_000_000_000
"""A peer that does not read its answer is dropped after this."""
LOGIN_LIMIT_NS = 10_000_000_000
"""By then a connection has logged in, where one has to."""
MAX_UNREAD_BYTES = 128 << 20
"""Answers that all peers of a server together have not read yet; beyond, who holds most is dropped."""
_UNREAD_LIMIT_NS = 1_000_000_000
_TURN_NS = 4_000_000
"""How long one connection's messages are answered before the loop's other work has its turn."""
_PAUSE_BYTES = 1 << 16


class Doors(Protocol):
    """The part of access control that decides how long strangers may stay."""

    @property
    def restricted(self) -> bool:
        """Whether callers have to show who they are."""

    def knows(self, source_ip: str) -> bool:
        """Whether somebody has logged in from there."""


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
        self.leaving: asyncio.Transport | None = None
        """After `close`: what still takes the answers to the peer."""
        self.waiting: asyncio.Task[None] | None = None
        self.half_closed = False
        self.made_ns = self.since_ns
        self.logged_in = False
        self._turn_until_ns = 0
        self._again: asyncio.Handle | None = None

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
        """Whether the peer is there and reads, and others need not have their turn first."""
        if self.transport is None or self.writing_since_ns:
            return False
        now_ns = time.monotonic_ns()
        if not self._turn_until_ns:
            self._turn_until_ns = now_ns + _TURN_NS
        elif now_ns > self._turn_until_ns:
            if self._again is None and self.waiting is None:
                self.transport.pause_reading()
                self._again = asyncio.get_running_loop().call_soon(self._next_turn)
            return False
        return True

    def _next_turn(self) -> None:
        self._again, self._turn_until_ns = None, 0
        if self.waiting is None:
            self.read_on()

    def go_on(self) -> None:
        """Answer what has come, unless a call waits or the next turn is due anyway."""
        if self.waiting is None and self._again is None:
            self._turn_until_ns = 0
            self.proceed()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's transports derive from no asyncio class
        self.server.heard(self)
        peer = transport.get_extra_info("peername")
        self.source = peer[0] if isinstance(peer, tuple) else ""

    def data_received(self, data: bytes) -> None:
        reader = self.reader
        if not reader.pending:
            self.since_ns = time.monotonic_ns()
        reader.receive_data(data)
        if self.waiting is None:
            self.go_on()
        elif len(reader.buffer) > self.server.max_message_bytes + _PAUSE_BYTES and self.transport is not None:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """The peer will send no more; it still gets the answer of a call that waits."""
        self.half_closed = True
        return self.waiting is not None and not self.server.secure

    def answered(self) -> None:
        """The message in hand is done; the time until the next one begins now."""
        self.since_ns = time.monotonic_ns()
        self.server.heard(self)

    @property
    def last(self) -> bool:
        """Whether the peer has said that it will send no more, and all of it is answered."""
        return self.half_closed and not self.reader.buffer

    def read_on(self) -> None:
        """Take what came while a call waited."""
        if self.transport is not None and not self.transport.is_closing():
            if not self.half_closed:
                self.transport.resume_reading()
            self.go_on()

    def close(self) -> None:
        """Close, after what is written has left."""
        if self.transport is not None:
            self.transport.close()
            self.leaving, self.transport = self.transport, None
            self.writing_since_ns = self.writing_since_ns or time.monotonic_ns()

    @property
    def in_use(self) -> asyncio.Transport | None:
        """What is there as long as something may be written to the peer, also while it closes."""
        return self.transport or self.leaving

    def pause_writing(self) -> None:
        self.writing_since_ns = time.monotonic_ns()

    def resume_writing(self) -> None:
        self.writing_since_ns = 0 if self.leaving is None else time.monotonic_ns()
        self.go_on()

    def check(self, now_ns: int) -> None:
        """End the connection when its peer is too slow."""
        if self.leaving is not None and now_ns - self.writing_since_ns > WRITE_LIMIT_NS:
            self.leaving.abort()
        if self.transport is None or self.waiting is not None:
            return
        if not self.logged_in and self.server.needs_login() and now_ns - self.made_ns > LOGIN_LIMIT_NS:
            self.transport.abort()
        elif self.writing_since_ns:
            if now_ns - self.writing_since_ns > WRITE_LIMIT_NS:
                self.transport.abort()
        elif self.reader.pending and now_ns - self.since_ns > MESSAGE_LIMIT_NS:
            self.late()
        else:
            self.idle(now_ns - self.since_ns)


class Server(ABC):
    """A listening socket, if started, and its connections."""

    backlog = 1024
    max_connections = 4096

    def __init__(self, max_message_bytes: int, doors: Doors | None = None) -> None:
        """`doors` says whether peers have to log in; without, nobody has to."""
        self.max_message_bytes = max_message_bytes
        self.doors = doors
        self._silent: dict[bool, dict[Connection, None]] = {False: {}, True: {}}
        """By whether somebody has logged in: connections, that which is silent longest first."""
        self.port = 0
        self.secure = False
        self._told = Seldom()
        self._tls: TlsListener | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    @abstractmethod
    def new_connection(self) -> Connection:
        """What serves the next peer."""

    @abstractmethod
    def open_connections(self) -> Iterable[Connection]:
        """All that are open."""

    def tell(self, text: str) -> None:
        """A line in the log about what a peer did, who may do it as often as he likes."""
        more = self._told.line(time.monotonic_ns())
        if more is not None:
            log.info("%s%s", text, more)

    def needs_login(self) -> bool:
        """Whether peers have to log in."""
        return self.doors is not None and self.doors.restricted

    def heard(self, connection: Connection) -> None:
        """A connection has begun or got an answer: it is the least silent now."""
        self._silent[not connection.logged_in].pop(connection, None)
        same = self._silent[connection.logged_in]
        same.pop(connection, None)
        same[connection] = None

    def make_room(self, newest: Connection) -> bool:
        """End a connection when there are too many: that which is silent longest, first of those on which nobody has logged in.

        False when the newest has to go itself: all others have logged in, and nobody has from its address.
        """
        victim = self._first(False, newest)
        if victim is None and (self.doors is None or self.doors.knows(newest.source)):
            victim = self._first(True, newest)
        victim = victim or newest
        if victim.transport is not None:
            victim.transport.abort()
            victim.transport = None  # it may be asked again before the loop takes it out
        return victim is not newest

    def _first(self, logged_in: bool, newest: Connection) -> Connection | None:
        """The connection that is silent longest, of those on which nothing is being done."""
        silent = self._silent[logged_in]
        while silent and (eldest := next(iter(silent))).transport is None:
            del silent[eldest]
        return next(
            (c for c in silent if c is not newest and c.waiting is None and c.transport is not None and c.logged_in is logged_in),
            None,
        )

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Listen; port 0 takes a free one, `port` says which. Raises OSError."""
        loop = asyncio.get_running_loop()
        self.secure = tls is not None
        if tls is not None:
            self._tls = TlsListener(tls, self.new_connection)
            self.port = self._tls.start(host, port, self.backlog)
        else:
            self._server = await loop.create_server(self.new_connection, host, port, backlog=self.backlog)
            self.port = self._server.sockets[0].getsockname()[1]
        self._sweeper = loop.call_later(1.0, self._sweep_again)

    async def stop(self) -> None:
        """Close the socket and every connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._server is not None:
            self._server.close()
        if self._tls is not None:
            await self._tls.stop()
        for connection in list(self.open_connections()):
            if connection.in_use is not None:
                connection.in_use.abort()
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
        for silent in self._silent.values():
            for connection in [c for c in silent if c.transport is None]:
                del silent[connection]
        self._bound_unread(now_ns)

    def _bound_unread(self, now_ns: int) -> None:
        """Slow readers are bounded in all together: while they hold too much, who holds most and has stopped reading goes."""
        slow = [(c, c.in_use) for c in self.open_connections() if c.in_use is not None and c.writing_since_ns]
        sizes = sorted((transport.get_write_buffer_size(), number) for number, (_, transport) in enumerate(slow))
        total_bytes = sum(size for size, _ in sizes)
        while total_bytes > MAX_UNREAD_BYTES and sizes:
            size, number = sizes.pop()
            connection, transport = slow[number]
            if now_ns - connection.writing_since_ns > _UNREAD_LIMIT_NS:
                log.warning(
                    "%s: dropped: %d bytes of answers are not read, %d of all peers", connection.source, size, total_bytes
                )
                transport.abort()
                total_bytes -= size

    def _sweep_again(self) -> None:
        self.sweep(time.monotonic_ns())
        self._sweeper = asyncio.get_running_loop().call_later(1.0, self._sweep_again)
