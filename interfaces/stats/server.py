# SPDX-License-Identifier: GPL-2.0-or-later
"""The UDP socket of the statistics server."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from inspect import isawaitable

from di.access import Access, is_loopback
from di.access.rules import Unauthenticated
from di.kernel.registry import Caller
from di.kernel.seldom import Seldom
from interfaces.stats.commands import Commands, reply_bytes, request_line
from interfaces.stats.options import DEFAULT_PORT

log = logging.getLogger(__name__)

_LOWEST_PORT = 1024
"""Clients ask from a port above; below are services that would answer our answer (echo, chargen, DNS …)."""
_FACTOR, _FREE_BYTES = 3, 64
"""An answer to another host has at most so many times the bytes of its request, or so many bytes: who forges his address gains nothing."""
_MAX_WAITING = 64
"""Commands that may wait for their answer at once; a datagram beyond is lost, as datagrams may be."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asked, and how many bytes his answer may have; 0: as many as a datagram holds."""

    address: tuple[str, int]
    most_bytes: int


class StatsServer(asyncio.DatagramProtocol):
    """Answers each datagram to where it came from."""

    def __init__(self, commands: Commands, access: Access) -> None:
        self._commands, self._access = commands, access
        self._transport: asyncio.DatagramTransport | None = None
        self._port = 0
        self._told = Seldom()
        self._waiting: set[asyncio.Task[None]] = set()

    async def open(self, ip: str, port: int) -> int:
        """Bind; returns the port. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(ip, port))
        self._port = self._transport.get_extra_info("sockname")[1]
        return self._port

    def close(self) -> None:
        """Stop answering."""
        for task in self._waiting:
            task.cancel()
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Called by asyncio. What comes from a statistics server's own port is an answer, and would be answered for ever."""
        if addr[1] < _LOWEST_PORT or addr[1] in (self._port, DEFAULT_PORT):
            log.debug("statistics: a datagram from %s:%d is dropped: no client asks from there", *addr)
            return
        asker = Asker(addr, 0 if is_loopback(addr[0]) else max(_FACTOR * len(data), _FREE_BYTES))
        try:
            caller = self._access.authenticate("stats", addr[0], "")
        except Unauthenticated as refusal:
            self._send(f"Exception occured: not allowed: {refusal.reason}\n", asker)
            return
        assert isinstance(caller, Caller), "without credentials there is nothing to wait for"
        answer = self._commands.execute(request_line(data), caller)
        if not isawaitable(answer):
            self._send(answer, asker)
        elif len(self._waiting) < _MAX_WAITING:
            task = asyncio.get_running_loop().create_task(self._answer_later(answer, asker))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)
        else:
            answer.close()  # type: ignore[attr-defined]
            more = self._told.line(time.monotonic_ns())
            if more is not None:
                log.warning("statistics: %d commands wait already; one is left unanswered%s", _MAX_WAITING, more)

    async def _answer_later(self, answer: Awaitable[str], asker: Asker) -> None:
        self._send(await answer, asker)

    def _send(self, text: str, asker: Asker) -> None:
        if self._transport is None:
            return
        data = reply_bytes(text)
        if asker.most_bytes and len(data) > asker.most_bytes:
            data = reply_bytes(f"{len(data)} bytes; pad your request to a third\n")
        self._transport.sendto(data, asker.address)

    def error_received(self, exc: Exception) -> None:
        """Called by asyncio, for example when a client is gone before its answer; there is nobody to tell."""
        log.debug("statistics: %s", exc)
