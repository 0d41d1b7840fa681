# SPDX-License-Identifier: GPL-2.0-or-later
"""The shell around `http1`: the order of answers, limits of an HTTP connection.

A handler answers at once with the reply's bytes, which costs no task, or gives a coroutine for a call that waits; the
connection's next request waits then, as HTTP wants it (`interfaces.tcp_server`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from interfaces.http1 import MAX_BODY_BYTES, BadRequest, HttpRequest, RequestReader
from interfaces.large import Text, by_turns
from interfaces.tcp_server import Connection, Doors, Server

Handler = Callable[[HttpRequest], bytes | Awaitable[Text]]

IDLE_LIMIT_NS = 3_600_000_000_000
"""An open connection without requests is kept for an hour: people leave a ServerProxy at a prompt."""
MAX_UNFINISHED_BYTES = 64 << 20
"""All unfinished requests together."""


class HttpConnection(Connection):
    """One peer. Reads requests, hands them to the server's handler one after the other, writes the answers in order."""

    server: HttpServer
    reader: RequestReader

    def __init__(self, server: HttpServer) -> None:
        super().__init__(server, RequestReader(server.max_message_bytes))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.server.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.server.connections.discard(self)  # a call that waits runs on: it is not left half done

    def proceed(self) -> None:
        """Answer every whole request in the buffer, until one has to wait."""
        try:
            while self.may_answer and self.claims():
                request = self.reader.next_request()
                if request is None:
                    if self.reader.wants_continue and self.transport is not None:
                        self.reader.wants_continue = False
                        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    return
                request.source = self.source
                request.secure = self.server.secure
                answer = self.server.handler(request)
                if isinstance(answer, bytes):
                    self.logged_in = self.logged_in or request.admitted
                    self.finish(answer, request.keep_alive)
                    if not self.reader.buffer:
                        return  # mostly: who asks waits for the answer
                else:
                    self.waiting = self.server.spawn(self.answer_later(answer, request))
                    return
        except BadRequest as error:
            self.refuse(error)

    def claims(self) -> bool:
        """Whether the bytes that wait belong to this protocol. `web` hands other connections on from here."""
        return True

    async def answer_later(self, answer: Awaitable[Text], request: HttpRequest) -> None:
        """Wait for a call, write its answer, go on with what came meanwhile."""
        try:
            data = await answer
        except BadRequest as error:
            self.waiting = None
            self.refuse(error)
            return
        if not isinstance(data, bytes):
            last = data.pop()
            await by_turns(data, self._write_ahead)
            data = last
        self.waiting = None
        self.logged_in = self.logged_in or request.admitted
        self.finish(data, request.keep_alive)
        self.read_on()

    def _write_ahead(self, piece: bytes) -> bool:
        if self.transport is None:
            return False
        self.transport.write(piece)
        return True

    def finish(self, answer: bytes, keep_alive: bool) -> None:
        """Write one answer; close behind it when the peer wants that."""
        self.answered()
        if self.transport is not None:
            self.transport.write(answer)
            if not keep_alive or self.last:
                self.close()

    def refuse(self, error: BadRequest) -> None:
        """Say why (where SEMS would, or nothing) and close."""
        self.server.tell(f"{self.source}: request refused: {error}")
        if self.transport is not None and error.status:
            self.transport.write(plain_answer(error.status, error.reason))
        self.close()

    def late(self) -> None:
        self.refuse(BadRequest(408, "Request Timeout"))

    def idle(self, for_ns: int) -> None:
        if for_ns > IDLE_LIMIT_NS and self.transport is not None:
            self.transport.close()


def plain_answer(status: int, reason: str, extra: str = "") -> bytes:
    """A short closing answer for what never reached a call."""
    body = reason + "\n"
    head = f"HTTP/1.1 {status} {reason}\r\n{extra}Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n{body}".encode()


class HttpServer(Server):
    """A listening socket and its connections. `handler` must not raise anything but BadRequest."""

    protocol: type[HttpConnection] = HttpConnection

    def __init__(self, handler: Handler, max_body_bytes: int = MAX_BODY_BYTES, doors: Doors | None = None) -> None:
        super().__init__(max_body_bytes, doors)
        self.handler = handler
        self.connections: set[HttpConnection] = set()

    def new_connection(self) -> HttpConnection:
        return self.protocol(self)

    def open_connections(self) -> set[HttpConnection]:
        return self.connections

    def admit(self, connection: HttpConnection) -> None:
        """Take a new connection in; over the limit one that is silent makes room."""
        self.connections.add(connection)
        if len(self.connections) > self.max_connections:
            self.make_room(connection)

    def sweep(self, now_ns: int) -> None:
        super().sweep(now_ns)
        self._make_room()

    def _make_room(self) -> None:
        """Many large requests that never end must not fill the memory: the largest go first."""
        waiting = sorted((connection.reader.held_bytes, index, connection) for index, connection in enumerate(self.connections))
        total_bytes = sum(size for size, _, _ in waiting)
        while total_bytes > MAX_UNFINISHED_BYTES:
            size, _, connection = waiting.pop()
            total_bytes -= size
            connection.refuse(BadRequest(503, "Service Unavailable"))
