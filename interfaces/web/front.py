# SPDX-License-Identifier: GPL-2.0-or-later
"""The web port's front server: plain JSON-RPC posts are answered here, everything else goes to aiohttp on the same connection.

aiohttp's request objects cost more than a trivial call is worth (measured: docs/rpc.md), and nine of ten requests are such posts. The
first request of another kind moves its connection to aiohttp for good, once its head is whole: who is slow or silent stays here, where
slow peers are ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from interfaces.http1 import MAX_BODY_BYTES, MAX_HEAD_BYTES, BadRequest
from interfaces.http_server import Handler, HttpConnection, HttpServer
from interfaces.tcp_server import Doors

_POST = b"POST /jsonrpc HTTP/1.1\r\n"


class FrontConnection(HttpConnection):
    """A connection that may leave for aiohttp."""

    server: FrontServer

    def claims(self) -> bool:
        """Whether the next request is a post for us; if it is none, hand the connection over.

        False as well while that is open.
        """
        if not self.reader.between or self.reader.buffer.startswith(_POST):
            return True
        start = bytes(self.reader.buffer[: len(_POST)])
        if not _POST.startswith(start):
            if b"\r\n\r\n" in self.reader.buffer or b"\n\n" in self.reader.buffer:
                self.hand_over()
            elif len(self.reader.buffer) > MAX_HEAD_BYTES:
                self.refuse(BadRequest(431, "Request Header Fields Too Large"))
        return False

    def refuse(self, error: BadRequest) -> None:
        """A post without a body, or with a length that is none, is aiohttp's to answer; the rest is refused as usual."""
        if error.status == 0 and self.reader.between:
            self.hand_over()
        else:
            super().refuse(error)

    def hand_over(self) -> None:
        """Let aiohttp have the connection, beginning with the request that waits in the buffer."""
        transport = self.transport
        if transport is None:
            return
        if not self.server.has_place_for(self.source):
            self.refuse(BadRequest(503, "Service Unavailable"))
            return
        self.transport = None
        self.server.handed.add(transport)
        self.server.connections.discard(self)
        follower = self.server.follower()
        transport.set_protocol(follower)
        follower.connection_made(transport)
        if isinstance(follower, asyncio.Protocol):
            follower.data_received(bytes(self.reader.buffer))


class FrontServer(HttpServer):
    """The listening socket of the web port. `follower` makes the protocol that takes other connections."""

    protocol = FrontConnection

    def __init__(
        self,
        handler: Handler,
        follower: Callable[[], asyncio.BaseProtocol],
        max_body_bytes: int = MAX_BODY_BYTES,
        doors: Doors | None = None,
    ) -> None:
        super().__init__(handler, max_body_bytes, doors)
        self.follower = follower
        self.handed: set[asyncio.Transport] = set()
        """Connections that aiohttp has; those that have ended go when there are many."""

    def has_place_for(self, source: str) -> bool:
        """Whether aiohttp may get one more connection; some places are kept for addresses from which somebody has logged in."""
        most = self.max_connections
        if self.doors is not None and not self.doors.knows(source):
            most -= most // 8
        if len(self.handed) >= most:
            self.handed = {transport for transport in self.handed if not transport.is_closing()}
        return len(self.handed) < most

    def sweep(self, now_ns: int) -> None:
        super().sweep(now_ns)
        self.handed = {transport for transport in self.handed if not transport.is_closing()}
