# SPDX-License-Identifier: GPL-2.0-or-later
"""The UDP socket of the statistics server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from inspect import isawaitable

from di.access import Access
from di.access.rules import Unauthenticated
from di.kernel.registry import Caller
from interfaces.stats.commands import Commands, reply_bytes, request_line

log = logging.getLogger(__name__)

_MAX_WAITING = 64
"""Commands that may wait for their answer at once; a datagram beyond is lost, as datagrams may be."""


class StatsServer(asyncio.DatagramProtocol):
    """Answers each datagram to where it came from."""

    def __init__(self, commands: Commands, access: Access) -> None:
        self._commands, self._access = commands, access
        self._transport: asyncio.DatagramTransport | None = None
        self._waiting: set[asyncio.Task[None]] = set()

    async def open(self, ip: str, port: int) -> int:
        """Bind; returns the port. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(ip, port))
        bound: int = self._transport.get_extra_info("sockname")[1]
        return bound

    def close(self) -> None:
        """Stop answering."""
        for task in self._waiting:
            task.cancel()
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Called by asyncio."""
        try:
            caller = self._access.authenticate("stats", addr[0], "")
        except Unauthenticated as refusal:
            self._send(f"Exception occured: not allowed: {refusal.reason}\n", addr)
            return
        assert isinstance(caller, Caller), "without credentials there is nothing to wait for"
        answer = self._commands.execute(request_line(data), caller)
        if not isawaitable(answer):
            self._send(answer, addr)
        elif len(self._waiting) < _MAX_WAITING:
            task = asyncio.get_running_loop().create_task(self._answer_later(answer, addr))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)
        else:
            answer.close()  # type: ignore[attr-defined]
            log.warning("statistics: %d commands wait already; one is left unanswered", _MAX_WAITING)

    async def _answer_later(self, answer: Awaitable[str], addr: tuple[str, int]) -> None:
        self._send(await answer, addr)

    def _send(self, text: str, addr: tuple[str, int]) -> None:
        if self._transport is not None:
            self._transport.sendto(reply_bytes(text), addr)

    def error_received(self, exc: Exception) -> None:
        """Called by asyncio, for example when a client is gone before its answer; there is nobody to tell."""
        log.debug("statistics: %s", exc)
