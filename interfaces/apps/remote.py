# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that run elsewhere and come in by WebSocket: the same records as with a process of the server, in binary frames.

upgrade, log-in, `apps.attach` ─► attach ─► hello ─► ready ─► call … op …      leave ─► its calls end ─► closed in peace
                                        └─► refused: closed with the reason     the connection is lost ─► a process that died
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

import msgpack
from aiohttp import WSCloseCode, WSMsgType, web

from di.kernel.registry import Caller
from interfaces.apps.peer import SETUP_S, AppPeer, Message
from interfaces.program_door import PERMISSION

log = logging.getLogger(__name__)
VERSION = 1
_PATIENCE_S = 10.0
"""For the first message."""
_FRAME_BYTES = 64 << 10
"""What waits is sent in frames of about so much."""


class Refusal(Exception):
    """Who comes is not taken; the text goes back to it."""


class RemoteProgram(AppPeer):
    """A program at the other end of a WebSocket."""

    def __init__(
        self,
        name: str,
        number: int,
        socket: web.WebSocketResponse,
        caller: Caller,
        transport: asyncio.Transport | None,
        take: Callable[[AppPeer, Message], None],
        on_gone: Callable[[AppPeer, str], None],
    ) -> None:
        super().__init__(name, 0, number, take, on_gone)
        self.caller = caller
        self.where = f"{caller.name}@{caller.source}"
        self.source_ip = caller.source
        self._socket, self._transport = socket, transport
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._due = asyncio.Event()
        self._why = ""
        """Why it is ended by us."""
        self._closing: asyncio.Task[object] | None = None

    def __str__(self) -> str:
        return f"application {self.name} (remote program {self.number} of {self.where})"

    def begin(self, config: dict[str, str]) -> None:
        """Greet it."""
        self.send({"k": "hello", "version": VERSION, "app": self.name, "config": config})

    async def run(self) -> None:
        """Read and write until the connection ends."""
        writer = asyncio.create_task(self._send_all())
        patience = asyncio.get_running_loop().call_later(SETUP_S, self._not_ready)
        try:
            while True:
                message = await self._socket.receive()
                if message.type is not WSMsgType.BINARY:
                    if message.type is WSMsgType.TEXT:
                        self.kill("it sends text; right are binary frames of msgpack")
                    break
                if not await self._feed(message.data):
                    break
                if self.why_broken and not self.ready:
                    self.kill(self.why_broken)
                    break
        finally:
            patience.cancel()
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            if self._closing is not None:
                await asyncio.gather(self._closing, return_exceptions=True)
            in_peace = self.leaving and not self.calls
            self._end("" if in_peace else self._why or f"its connection was lost (close code {self._socket.close_code})")

    def _not_ready(self) -> None:
        if not self.ready:
            self.kill(f"it was not ready within {SETUP_S:.0f} s")

    # --------------------------------------------------------------------------------------------------------------- talk
    def _write(self, data: bytes) -> None:
        if self._socket.closed or self._closing is not None:
            return
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self._due.set()

    def _unread_bytes(self) -> int:
        return self._waiting_bytes + (self._transport.get_write_buffer_size() if self._transport is not None else 0)

    async def _send_all(self) -> None:
        """Send what waits, many messages a frame when there are many."""
        while True:
            await self._due.wait()
            self._due.clear()
            while self._waiting:
                parts, size = [], 0
                while self._waiting and size < _FRAME_BYTES:
                    parts.append(self._waiting.popleft())
                    size += len(parts[-1])
                await self._socket.send_frame(b"".join(parts), WSMsgType.BINARY)
                self._waiting_bytes -= size

    def kill(self, why: str) -> None:
        if self._closing is None:
            log.error("%s: %s: its connection is closed", self, why)
            self._close(WSCloseCode.POLICY_VIOLATION, why)

    async def stop(self) -> None:
        self._close(WSCloseCode.OK if self.leaving else WSCloseCode.GOING_AWAY, "bye" if self.leaving else "server stops")
        if self._closing is not None:
            await asyncio.gather(self._closing, return_exceptions=True)

    def _close(self, code: WSCloseCode, why: str) -> None:
        if self._closing is None:
            self._why = why
            self._closing = asyncio.ensure_future(self._say_and_close(code, why))

    async def _say_and_close(self, code: WSCloseCode, why: str) -> None:
        await close(self._socket, code, why)
        if self._transport is not None and self._transport.get_write_buffer_size():
            self._transport.abort()  # it would be kept until a peer that does not read has read it all

    def look(self, silent_after: int, kill_after: int) -> None:
        if not self.caller.would_allow(*PERMISSION):
            self.kill("it is not allowed any more")
            return
        super().look(silent_after, kill_after)


async def close(socket: web.WebSocketResponse, code: WSCloseCode, why: str) -> None:
    """Close a connection; the reason is cut to what a close frame holds (RFC 6455 §5.5)."""
    await socket.close(code=code, message=why.encode()[:120].decode("utf-8", "ignore").encode(), drain=False)


async def introduction(socket: web.WebSocketResponse) -> Message:
    """The first message of who comes in. Raises Refusal."""
    try:
        message = await socket.receive(timeout=_PATIENCE_S)
    except TimeoutError:
        raise Refusal(f"no attach within {_PATIENCE_S:.0f} s") from None
    if message.type is not WSMsgType.BINARY:
        raise Refusal("right is attach as a binary frame of msgpack")
    try:
        told = msgpack.unpackb(message.data, raw=False, strict_map_key=True)
    except (ValueError, RecursionError, msgpack.UnpackException):
        raise Refusal("that is no msgpack") from None
    if not isinstance(told, dict) or told.get("k") != "attach":
        raise Refusal('the first message must be {"k": "attach", …}')
    if told.get("version") != VERSION:
        raise Refusal(f"version {told.get('version')!r:.20} is not spoken here; right is {VERSION}")
    return told
