# SPDX-License-Identifier: GPL-2.0-or-later
"""The web port's front server: plain JSON-RPC posts are answered here, everything else goes to aiohttp on the same connection.

aiohttp's request objects cost more than a trivial call is worth (measured: docs/rpc.md), and nine of ten requests are such posts. The
first request of another kind moves its connection to aiohttp for good, so neither side ever sees half of the other's traffic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from interfaces.http1 import MAX_BODY_BYTES, BadRequest
from interfaces.http_server import Handler, HttpConnection, HttpServer

_POST = b"POST /jsonrpc HTTP/1.1\r\n"


class FrontConnection(HttpConnection):
    """A connection that may leave for aiohttp."""

    server: FrontServer

    def claims(self) -> bool:
        """Whether the next request is a post for us; if it is none, hand the connection over.

        False as well while that is open.
        """
        if not self.reader.between:
            return True
        start = bytes(self.reader.buffer[: len(_POST)])
        if start == _POST:
            return True
        if not _POST.startswith(start):
            self.hand_over()
        return False

    def refuse(self, error: BadRequest) -> None:
        """Chunked and empty bodies are aiohttp's; the rest is refused as usual."""
        if error.status == 0 and self.reader.between:
            self.hand_over()
        else:
            super().refuse(error)

    def hand_over(self) -> None:
        """Let aiohttp have the connection, beginning with the request that waits in the buffer."""
        transport = self.transport
        if transport is None:
            return
        self.transport = None
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
    ) -> None:
        super().__init__(handler, max_body_bytes)
        self.follower = follower
