# SPDX-License-Identifier: GPL-2.0-or-later
"""The shell of the netstring gateway: sockets in both directions, one `Peer` each.

A message is answered before the connection's next one is read. Slow peers are swept once a second, as in `http_server`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Awaitable, Callable

from di.access_rules import Unauthenticated
from di.registry import Caller, Registry
from di.value import Value
from interfaces.gateway import Access
from interfaces.jsonrpc.methods import RpcError, execute
from interfaces.jsonrpc.netstring import FrameReader, FramingError, encode
from interfaces.jsonrpc.peer import Peer, PeerClosed

log = logging.getLogger(__name__)

FRAME_LIMIT_NS = 10_000_000_000
"""A frame must be complete this long after its first byte."""
WRITE_LIMIT_NS = 30_000_000_000
MAX_CONNECTIONS = 1024
CONNECT_LIMIT_S = 5.0
_PAUSE_BYTES = 1 << 16


class Connection(asyncio.Protocol):
    """One netstring connection, taken or made."""

    def __init__(self, gateway: NetstringGateway) -> None:
        self.gateway = gateway
        self.reader = FrameReader(gateway.max_message_bytes)
        self.peer = Peer(gateway.new_id(), self._execute, gateway.post)
        self.transport: asyncio.Transport | None = None
        self.caller: Caller | None = None
        self.source = ""
        self.since_ns = 0
        self.writing_since_ns = 0
        self.waiting: asyncio.Task[None] | None = None
        self.half_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's transports derive from no asyncio class
        address = transport.get_extra_info("peername")
        self.source = address[0] if isinstance(address, tuple) else ""
        self.gateway.connections[self.peer.connection_id] = self
        if len(self.gateway.connections) > MAX_CONNECTIONS:
            self.end("too many connections")
            return
        try:
            caller = self.gateway.access.authenticate("jsonrpc", self.source, "")
            self.caller = caller if isinstance(caller, Caller) else None
        except Unauthenticated:
            self.caller = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.gateway.connections.pop(self.peer.connection_id, None) is not None:
            self.peer.lost()  # a call that waits runs on: it is not left half done

    def data_received(self, data: bytes) -> None:
        if not self.reader.pending:
            self.since_ns = time.monotonic_ns()
        self.reader.receive_data(data)
        if self.waiting is None:
            self.proceed()
        elif len(self.reader.buffer) > self.gateway.max_message_bytes + _PAUSE_BYTES and self.transport is not None:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """The peer will send no more; it still gets the answer of a call that waits."""
        self.half_closed = True
        return self.waiting is not None and not self.gateway.secure

    def proceed(self) -> None:
        """Process every whole frame in the buffer, until one has to wait."""
        try:
            while self.transport is not None and not self.writing_since_ns:
                payload = self.reader.next_frame()
                if payload is None:
                    return
                answer = self.peer.receive(payload)
                if isinstance(answer, bytes):
                    self.finish(answer)
                else:
                    self.waiting = self.gateway.spawn(self._answer_later(answer))
                    return
        except (FramingError, PeerClosed) as error:
            self.end(str(error))

    async def _answer_later(self, answer: Awaitable[bytes]) -> None:
        data = await answer
        self.waiting = None
        self.finish(data)
        if self.transport is not None and not self.transport.is_closing():
            if not self.half_closed:
                self.transport.resume_reading()
            self.proceed()

    def finish(self, answer: bytes) -> None:
        """One message is done: send its answer, close behind it when the flags say so."""
        self.since_ns = time.monotonic_ns()
        if answer:
            self.send(answer)
        if self.peer.closes_after or (self.half_closed and not self.reader.buffer):
            self.end("")

    def send(self, payload: bytes) -> None:
        """Send one message."""
        if self.transport is not None:
            self.transport.write(encode(payload))

    def end(self, reason: str) -> None:
        """Close, after what is written has left."""
        if reason:
            log.info("%s: netstring connection closed: %s", self.source, reason)
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
        elif self.reader.pending and now_ns - self.since_ns > FRAME_LIMIT_NS:
            self.end("a frame was not complete in time")

    def _execute(self, method: str, params: Value) -> Value | Awaitable[Value]:
        if method == "rpc.authenticate":
            return self._authenticate(params)
        if self.caller is None:
            raise RpcError(-32002, "Unauthenticated", 'call rpc.authenticate with ["Bearer name.secret"] first')
        return execute(self.gateway.registry, method, params, self.caller)

    async def _authenticate(self, params: Value) -> Value:
        text = params[0] if isinstance(params, list) and params else None
        if not isinstance(text, str):
            raise RpcError(-32602, "Invalid params", "authorization must be a string")
        try:
            caller = self.gateway.access.authenticate("jsonrpc", self.source, text)
            self.caller = caller if isinstance(caller, Caller) else await caller
        except Unauthenticated as error:
            raise RpcError(-32002, "Unauthenticated", str(error)) from None
        return True


class ConnectFailed(Exception):
    """An outgoing connection could not be made; the text is SEMS's."""


class NetstringGateway:
    """The listening socket, if any, and all connections by id."""

    def __init__(
        self,
        registry: Registry,
        access: Access,
        post: Callable[[str, object], bool],
        new_id: Callable[[], str],
        max_message_bytes: int,
    ) -> None:
        self.registry, self.access, self.post, self.new_id = registry, access, post, new_id
        self.max_message_bytes = max_message_bytes
        self.connections: dict[str, Connection] = {}
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
            lambda: Connection(self), host, port, ssl=tls, backlog=256, ssl_handshake_timeout=10.0 if tls else None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._sweeper = loop.call_later(1.0, self._sweep)

    async def connect(self, host: str, port: int) -> Connection:
        """Make a connection (IPv4, at most 5 s). Raises ConnectFailed."""
        loop = asyncio.get_running_loop()
        try:
            found = await asyncio.wait_for(
                loop.getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_STREAM), CONNECT_LIMIT_S
            )
        except (OSError, UnicodeError, TimeoutError):
            raise ConnectFailed(f"resolving '{host}' failed\n") from None
        try:
            address = found[0][4]
            _, connection = await asyncio.wait_for(
                loop.create_connection(lambda: Connection(self), str(address[0]), int(address[1])), CONNECT_LIMIT_S
            )
        except TimeoutError:
            raise ConnectFailed(f"connect to {host} timed out") from None
        except OSError as error:
            raise ConnectFailed(f"error connecting to {host}: {error.strerror or error}") from None
        return connection

    async def stop(self) -> None:
        """Close the socket and every connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections.values()):
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

    def _sweep(self) -> None:
        now_ns = time.monotonic_ns()
        for connection in list(self.connections.values()):
            connection.check(now_ns)
        self._sweeper = asyncio.get_running_loop().call_later(1.0, self._sweep)
