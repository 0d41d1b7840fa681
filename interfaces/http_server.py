# SPDX-License-Identifier: GPL-2.0-or-later
"""The shell around `http1`: connections, time limits and the order of answers.

A handler answers at once with the reply's bytes, which costs no task, or gives a coroutine for a call that waits; the
connection's next request waits then, as HTTP wants it. One sweep a second looks after slow and silent peers of all
connections: no timer per request.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable

from interfaces.http1 import MAX_BODY_BYTES, BadRequest, Request, RequestReader

log = logging.getLogger(__name__)

Answer = bytes
Handler = Callable[[Request], Answer | Awaitable[Answer]]

REQUEST_LIMIT_NS = 10_000_000_000
"""A request must be complete this long after its first byte."""
IDLE_LIMIT_NS = 3_600_000_000_000
"""An open connection without requests is kept for an hour: people leave a ServerProxy at a prompt."""
WRITE_LIMIT_NS = 30_000_000_000
"""A peer that does not read its answer is dropped after this."""
MAX_CONNECTIONS = 4096
MAX_UNFINISHED_BYTES = 64 << 20
"""All unfinished requests together."""
_PAUSE_BYTES = 1 << 16


class HttpConnection(asyncio.Protocol):
    """One peer. Reads requests, hands them to the server's handler one after the other, writes the answers in order."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.reader = RequestReader(server.max_body_bytes)
        self.transport: asyncio.Transport | None = None
        self.source = ""
        self.since_ns = time.monotonic_ns()
        self.waiting: asyncio.Task[None] | None = None
        self.writing_since_ns = 0
        self.half_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport = transport  # type: ignore[assignment]  # uvloop's transports derive from no asyncio class
        peer = transport.get_extra_info("peername")
        self.source = peer[0] if isinstance(peer, tuple) else ""
        self.server.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.server.connections.discard(self)  # a call that waits runs on: it is not left half done

    def data_received(self, data: bytes) -> None:
        reader = self.reader
        if not reader.pending:
            self.since_ns = time.monotonic_ns()
        reader.receive_data(data)
        if self.waiting is None:
            self.proceed()
        elif len(reader.buffer) > self.server.max_body_bytes + _PAUSE_BYTES and self.transport is not None:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """The peer will send no more; it still gets the answer of a call that waits."""
        self.half_closed = True
        return self.waiting is not None and not self.server.secure

    def proceed(self) -> None:
        """Answer every whole request in the buffer, until one has to wait."""
        try:
            while self.transport is not None and not self.writing_since_ns and self.claims():
                request = self.reader.next_request()
                if request is None:
                    if self.reader.wants_continue:
                        self.reader.wants_continue = False
                        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    return
                request.source = self.source
                request.secure = self.server.secure
                answer = self.server.handler(request)
                if isinstance(answer, bytes):
                    self.finish(answer, request.keep_alive)
                else:
                    self.waiting = self.server.spawn(self.answer_later(answer, request.keep_alive))
                    return
        except BadRequest as error:
            self.refuse(error)

    def claims(self) -> bool:
        """Whether the bytes that wait belong to this protocol. `web` hands other connections on from here."""
        return True

    async def answer_later(self, answer: Awaitable[Answer], keep_alive: bool) -> None:
        """Wait for a call, write its answer, go on with what came meanwhile."""
        try:
            data = await answer
        except BadRequest as error:
            self.waiting = None
            self.refuse(error)
            return
        self.waiting = None
        self.finish(data, keep_alive)
        if self.transport is not None and not self.transport.is_closing():
            if not self.half_closed:
                self.transport.resume_reading()
            self.proceed()

    def finish(self, answer: bytes, keep_alive: bool) -> None:
        """Write one answer; close behind it when the peer wants that."""
        self.since_ns = time.monotonic_ns()
        if self.transport is not None:
            self.transport.write(answer)
            if not keep_alive or (self.half_closed and not self.reader.buffer):
                self.transport.close()
                self.transport = None

    def refuse(self, error: BadRequest) -> None:
        """Say why (where SEMS would, or nothing) and close."""
        log.info("%s: request refused: %s", self.source, error)
        if self.transport is not None:
            if error.status:
                self.transport.write(plain_answer(error.status, error.reason))
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
        transport = self.transport
        if transport is None or self.waiting is not None:
            return
        if self.writing_since_ns:
            if now_ns - self.writing_since_ns > WRITE_LIMIT_NS:
                transport.abort()
        elif self.reader.pending and now_ns - self.since_ns > REQUEST_LIMIT_NS:
            self.refuse(BadRequest(408, "Request Timeout"))
        elif now_ns - self.since_ns > IDLE_LIMIT_NS:
            transport.close()


def plain_answer(status: int, reason: str, extra: str = "") -> bytes:
    """A short closing answer for what never reached a call."""
    body = reason + "\n"
    head = f"HTTP/1.1 {status} {reason}\r\n{extra}Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n{body}".encode()


class HttpServer:
    """A listening socket and its connections. `handler` must not raise anything but BadRequest."""

    protocol: type[HttpConnection] = HttpConnection

    def __init__(self, handler: Handler, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self.handler = handler
        self.max_body_bytes = max_body_bytes
        self.connections: set[HttpConnection] = set()
        self.port = 0
        self.secure = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Listen; port 0 takes a free one, told in `port`. Raises OSError."""
        loop = asyncio.get_running_loop()
        self.secure = tls is not None
        self._server = await loop.create_server(
            lambda: self.protocol(self), host, port, ssl=tls, backlog=1024, ssl_handshake_timeout=10.0 if tls else None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._sweeper = loop.call_later(1.0, self._sweep)

    async def stop(self) -> None:
        """Close the socket and every connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            if connection.transport is not None:
                connection.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def spawn(self, coroutine: object) -> asyncio.Task[None]:
        """Run a waiting call; the task is held until it ends."""
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(coroutine)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def admit(self, connection: HttpConnection) -> None:
        """Take a new connection in; over the limit the one that was silent longest makes room."""
        self.connections.add(connection)
        if len(self.connections) > MAX_CONNECTIONS:
            idle = [c for c in self.connections if c.waiting is None and c.transport is not None]
            oldest = min(idle, key=lambda c: c.since_ns, default=connection)
            self.connections.discard(oldest)
            if oldest.transport is not None:
                oldest.transport.abort()

    def _sweep(self) -> None:
        now_ns = time.monotonic_ns()
        for connection in list(self.connections):
            connection.check(now_ns)
        self._make_room()
        self._sweeper = asyncio.get_running_loop().call_later(1.0, self._sweep)

    def _make_room(self) -> None:
        """Many large requests that never end must not fill the memory: the largest go first."""
        waiting = sorted((len(connection.reader.buffer), index, connection) for index, connection in enumerate(self.connections))
        total_bytes = sum(size for size, _, _ in waiting)
        while total_bytes > MAX_UNFINISHED_BYTES:
            size, _, connection = waiting.pop()
            total_bytes -= size
            connection.refuse(BadRequest(503, "Service Unavailable"))
