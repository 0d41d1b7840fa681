# SPDX-License-Identifier: GPL-2.0-or-later
"""The shell of the netstring gateway: sockets in both directions, one `Peer` each.

A message is answered before the connection's next one is read, and slow peers are swept (`interfaces.tcp_server`).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable

from di.access.rules import Unauthenticated
from di.kernel.registry import Caller, Registry
from di.kernel.value import Value
from interfaces import tcp_server
from interfaces.gateway import AccessControl
from interfaces.jsonrpc.methods import JsonRpcError, execute
from interfaces.jsonrpc.netstring import FRAME, FrameReader, FramingError, encode
from interfaces.jsonrpc.peer import Peer, PeerClosed, Post
from interfaces.large import Pieces, Text, by_turns

CONNECT_LIMIT_S = 5.0


class NetstringConnection(tcp_server.Connection):
    """One netstring connection, taken or made."""

    server: NetstringGateway
    reader: FrameReader

    def __init__(self, gateway: NetstringGateway) -> None:
        super().__init__(gateway, FrameReader(gateway.max_message_bytes))
        self.peer = Peer(gateway.new_id(), self._execute, gateway.post)
        self.caller: Caller | None = None
        self._behind: list[bytes] | None = None
        """While a long answer is being sent: messages that wait for its end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.server.connections[self.peer.connection_id] = self
        if len(self.server.connections) > self.server.max_connections and not self.server.make_room(self):
            self.server.tell(f"{self.source}: netstring connection closed: too many connections")
            return
        try:
            caller = self.server.access.authenticate("jsonrpc", self.source, "")
            self.caller = caller if isinstance(caller, Caller) else None
        except Unauthenticated:
            self.caller = None
        self.logged_in = self.caller is not None

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.server.connections.pop(self.peer.connection_id, None) is not None:
            self.peer.lost()  # a call that waits runs on: it is not left half done

    def proceed(self) -> None:
        """Process every whole frame in the buffer, until one has to wait."""
        try:
            while self.may_answer:
                payload = self.reader.next_frame()
                if payload is None:
                    return
                answer = self.peer.receive(payload)
                if isinstance(answer, bytes):
                    self.finish(answer)
                else:
                    self.waiting = self.server.spawn(self._answer_later(answer))
                    return
        except (FramingError, PeerClosed) as error:
            self.end(str(error))

    async def _answer_later(self, answer: Awaitable[Text]) -> None:
        data = await answer
        if not isinstance(data, bytes):
            await self._send_long(data)
            data = b""
        self.waiting = None
        self.finish(data)
        self.read_on()

    async def _send_long(self, payload: Pieces) -> None:
        """Send a long message in pieces; what others want to send meanwhile comes after it."""
        self._behind = []
        head, tail = FRAME
        await by_turns(Pieces([head % payload.length_bytes, *payload, tail]), self._write_piece)
        behind, self._behind = self._behind, None
        for later in behind:
            self.send(later)

    def _write_piece(self, piece: bytes) -> bool:
        if self.transport is None:
            return False
        self.transport.write(piece)
        return True

    def finish(self, answer: bytes) -> None:
        """One message is done: send its answer, close behind it when the flags say so."""
        self.answered()
        if answer:
            self.send(answer)
        if self.peer.closes_after or self.last:
            self.end("")

    def send(self, payload: bytes) -> None:
        """Send one message."""
        if self._behind is not None:
            self._behind.append(payload)
        elif self.transport is not None:
            self.transport.write(encode(payload))

    def end(self, reason: str) -> None:
        """Close, after what is written has left."""
        if reason:
            self.server.tell(f"{self.source}: netstring connection closed: {reason}")
        self.close()

    def late(self) -> None:
        self.end("a frame was not complete in time")

    def _execute(self, method: str, params: Value) -> Value | Awaitable[Value]:
        if method == "rpc.authenticate":
            return self._authenticate(params)
        if self.caller is None:
            raise JsonRpcError(-32002, "Unauthenticated", 'call rpc.authenticate with ["Bearer name.secret"] first')
        return execute(self.server.registry, method, params, self.caller)

    async def _authenticate(self, params: Value) -> Value:
        text = params[0] if isinstance(params, list) and params else None
        if not isinstance(text, str):
            raise JsonRpcError(-32602, "Invalid params", "authorization must be a string")
        try:
            caller = self.server.access.authenticate("jsonrpc", self.source, text)
            self.caller = caller if isinstance(caller, Caller) else await caller
            self.logged_in = True
        except Unauthenticated as error:
            raise JsonRpcError(-32002, "Unauthenticated", str(error)) from None
        return True


class ConnectFailed(Exception):
    """An outgoing connection could not be made; the text is SEMS's."""


class NetstringGateway(tcp_server.Server):
    """The listening socket, if any, and all connections by id."""

    backlog = 256
    max_connections = 1024

    def __init__(
        self,
        registry: Registry,
        access: AccessControl,
        post: Post,
        new_id: Callable[[], str],
        max_message_bytes: int,
    ) -> None:
        super().__init__(max_message_bytes, access)
        self.registry, self.access, self.post, self.new_id = registry, access, post, new_id
        self.connections: dict[str, NetstringConnection] = {}

    def new_connection(self) -> NetstringConnection:
        return NetstringConnection(self)

    def open_connections(self) -> Iterable[NetstringConnection]:
        return self.connections.values()

    async def connect(self, host: str, port: int, begin: Callable[[Peer], None]) -> NetstringConnection:
        """Make a connection (IPv4, at most 5 s); it may have ended again. Raises ConnectFailed.

        `begin` comes before the connection is there: what the other side sends at once, or its end, is no surprise then.
        """

        def connection_of_ours() -> NetstringConnection:
            connection = self.new_connection()
            begin(connection.peer)
            return connection

        loop = asyncio.get_running_loop()
        try:
            addresses = await asyncio.wait_for(
                loop.getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_STREAM), CONNECT_LIMIT_S
            )
        except (OSError, UnicodeError, TimeoutError):
            raise ConnectFailed(f"resolving '{host}' failed\n") from None
        try:
            address = addresses[0][4]
            _, connection = await asyncio.wait_for(
                loop.create_connection(connection_of_ours, str(address[0]), int(address[1])), CONNECT_LIMIT_S
            )
        except TimeoutError:
            raise ConnectFailed(f"connect to {host} timed out") from None
        except OSError as error:
            raise ConnectFailed(f"error connecting to {host}: {error.strerror or error}") from None
        connection.logged_in = True  # we have called them
        return connection
