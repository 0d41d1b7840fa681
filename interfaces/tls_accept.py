# SPDX-License-Identifier: GPL-2.0-or-later
"""A listening socket for TLS whose handshakes are counted, and bounded in time and number.

    accept ─► handshake, a task ─► the server's own protocol
                  └── not done in `HANDSHAKE_LIMIT_S`, or `MOST_HANDSHAKES` newer ones ──► closed

The loop's own TLS server tells of a peer when its handshake is over: before that nobody could count it, or make room for others.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable

log = logging.getLogger(__name__)

HANDSHAKE_LIMIT_S = 10.0
"""A peer that has not agreed on keys by then is not served."""
MOST_HANDSHAKES = 256
"""Unfinished handshakes of one socket; beyond, the oldest is ended. One takes some milliseconds of a peer that means it."""
_PAUSE_S = 1.0
"""Without a free descriptor no connection is accepted for so long."""


class TlsListener:
    """`serve` makes the protocol of a peer that has come through."""

    def __init__(self, context: ssl.SSLContext, serve: Callable[[], asyncio.Protocol]) -> None:
        self._context = context
        self._serve = serve
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._handshakes: dict[asyncio.Task[None], None] = {}

    def start(self, host: str, port: int, backlog: int) -> int:
        """Listen at an IP address; port 0 takes a free one. Returns the port. Raises OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = listening = socket.create_server((host, port), family=family, backlog=backlog)
        listening.setblocking(False)
        self._accepting = asyncio.get_running_loop().create_task(self._accept(listening))
        return int(listening.getsockname()[1])

    async def stop(self) -> None:
        """Close the socket and all that have not come through."""
        tasks = [*self._handshakes, *([self._accepting] if self._accepting is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                peer, address = await loop.sock_accept(listening)
            except ConnectionError:
                continue  # gone before it was accepted
            except OSError as error:
                log.error("TLS port: no connection can be accepted for %.0f s: %s", _PAUSE_S, error)
                await asyncio.sleep(_PAUSE_S)
                continue
            task = loop.create_task(self._handshake(peer, str(address[0])))
            self._handshakes[task] = None
            task.add_done_callback(lambda task: self._handshakes.pop(task, None))
            if len(self._handshakes) > MOST_HANDSHAKES:
                oldest = next(iter(self._handshakes))
                del self._handshakes[oldest]
                oldest.cancel()

    async def _handshake(self, peer: socket.socket, ip: str) -> None:
        try:
            peer.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(
                self._serve, peer, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_LIMIT_S
            )
        except (OSError, EOFError) as error:  # ssl.SSLError and TimeoutError are OSErrors
            peer.close()
            log.debug("TLS with %s: %s", ip, error)
        except asyncio.CancelledError:
            peer.close()
            raise
