# SPDX-License-Identifier: GPL-2.0-or-later
"""WebSocket connections: requests and events on one socket.

A reader takes requests one after the other; a writer sends answers and notifications. Neither can grow: an answer is written
before the next request is read, and events wait in bounded queues. A client that stops reading is disconnected with the
reason, and costs a call nothing: publishing an event never waits for a socket.

Who may not send an Authorization header (a browser) says who he is by `rpc.authenticate` first.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from inspect import isawaitable
from typing import TYPE_CHECKING

from aiohttp import WSCloseCode, WSMsgType, web

from di.access.rules import Unauthenticated
from di.kernel.errors import Forbidden
from di.kernel.ports import MakeQuery
from di.kernel.registry import Caller
from di.kernel.value import Value
from interfaces.jsonrpc.methods import JsonRpcError
from interfaces.large import Pieces, by_turns
from interfaces.tcp_server import MAX_UNREAD_BYTES
from interfaces.web.feed import Encoder, Feed
from interfaces.web.options import Options
from interfaces.web.rpc import Context, Special, text_parameter
from interfaces.web.server import WebGateway

if TYPE_CHECKING:
    from di.kernel.event_log import EventLog

log = logging.getLogger(__name__)

_WRITE_LIMIT_S = 20.0
"""A client that takes nothing for so long is disconnected."""
_LOGIN_LIMIT_S = 10.0
_UNREAD_LIMIT_S = 1.0
_TURN_S = 0.004
"""How long one client's messages are answered before the loop's other work has its turn."""


def fragment_head(length_bytes: int, first: bool) -> bytes:
    """What stands before a fragment of a text that is not the last one (RFC 6455 §5.2), as a server sends it."""
    opcode = WSMsgType.TEXT if first else WSMsgType.CONTINUATION
    if length_bytes < 126:
        return bytes((opcode, length_bytes))
    if length_bytes < 1 << 16:
        return bytes((opcode, 126)) + length_bytes.to_bytes(2, "big")
    return bytes((opcode, 127)) + length_bytes.to_bytes(8, "big")


class WebSockets:
    """All WebSocket connections of the port."""

    def __init__(
        self, gateway: WebGateway, events: EventLog, options: Options, make_watch: Callable[[], MakeQuery | None]
    ) -> None:
        """`make_watch` gives the monitoring module's factory of standing queries, or None while that module is not loaded."""
        self.gateway, self.events, self.options, self.make_watch = gateway, events, options, make_watch
        self.encoder = Encoder()
        self._open: set[WebSocketClient] = set()
        self._sweeper: asyncio.Task[None] | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until it ends."""
        if not await self._has_place_for(request.remote or ""):
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "5"}, text="too many WebSocket connections\n")
        caller: Caller | None = None
        try:
            caller = await self.gateway.login(request, "ws")
        except web.HTTPUnauthorized:
            if "Authorization" in request.headers:
                raise
        socket = web.WebSocketResponse(
            max_msg_size=self.options.max_body_bytes, heartbeat=30.0, compress=False, writer_limit=1 << 16, timeout=2.0
        )
        if not socket.can_prepare(request).ok:
            raise web.HTTPUpgradeRequired(headers={"Upgrade": "websocket"}, text="this path takes WebSocket connections\n")
        await socket.prepare(request)
        client = WebSocketClient(self, socket, caller, request.remote or "", request.transport)
        self._open.add(client)
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep())
        try:
            await client.run()
        finally:
            self._open.discard(client)
        return socket

    async def _has_place_for(self, source: str) -> bool:
        """Whether one more may come. Over the limit the oldest that has not logged in makes room; where nobody has ever logged in from
        an address, it gets none of the last places.
        """
        most = self.options.max_websockets
        if not self.gateway.access.knows(source):
            most -= most // 10
        if len(self._open) < most:
            return True
        strangers = [client for client in self._open if client.caller is None]
        if not strangers:
            return False
        await min(strangers, key=lambda client: client.made_s).drop("others wait, and nobody has logged in here")
        return True

    async def _sweep(self) -> None:
        """Drop clients that take nothing; one look for all costs less than a timer for each message."""
        while True:
            await asyncio.sleep(_WRITE_LIMIT_S / 20)
            late_s = time.monotonic() - _WRITE_LIMIT_S
            slow = [client for client in self._open if client.sending_since_s and client.sending_since_s < late_s]
            await asyncio.gather(*(client.drop(f"too slow: nothing was read for {_WRITE_LIMIT_S:g} s") for client in slow))
            await self._bound_unread()

    async def _bound_unread(self) -> None:
        """Slow readers are bounded in all together: while they hold too much, who holds most goes."""
        late_s = time.monotonic() - _UNREAD_LIMIT_S
        held = sorted((client for client in self._open if client.unread_bytes), key=lambda client: client.unread_bytes)
        total_bytes = sum(client.unread_bytes for client in held)
        while total_bytes > MAX_UNREAD_BYTES and held:
            client = held.pop()
            if client.sending_since_s and client.sending_since_s < late_s:
                total_bytes -= client.unread_bytes
                await client.drop("too slow: all clients together do not read what they asked for, and this one least")

    async def close(self) -> None:
        """Tell every client that the server goes away."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        closing = [client.socket.close(code=WSCloseCode.GOING_AWAY, message=b"server stops") for client in self._open]
        await asyncio.gather(*closing, return_exceptions=True)


class WebSocketClient:
    """One connection."""

    def __init__(
        self,
        sockets: WebSockets,
        socket: web.WebSocketResponse,
        caller: Caller | None,
        source: str,
        transport: asyncio.Transport | None,
    ) -> None:
        self.sockets, self.socket, self.caller, self.source, self.transport = sockets, socket, caller, source, transport
        self.sending_since_s = 0.0
        """When the message that is being sent was begun, 0 between two; a slow reader stops the clock here."""
        self.made_s = self._turn_s = time.monotonic()
        self._due = asyncio.Event()
        self._long: asyncio.Event | None = None
        """While a long answer is being sent: set when the next message may begin."""
        self._first = True
        """Whether the next fragment of it is the first."""
        options = sockets.options
        self.feed = Feed(
            sockets.events,
            sockets.encoder,
            self._due.set,
            options.event_queue,
            options.max_subscriptions,
            sockets.make_watch(),
        )
        self.specials: dict[str, Special] = {
            **sockets.gateway.specials,
            "rpc.authenticate": self._authenticate,
            "events.subscribe": self._bound("subscribe", self.feed.subscribe),
            "events.unsubscribe": self._bound("unsubscribe", self.feed.unsubscribe),
            "events.watch": self._bound("watch", self.feed.watch),
            "events.unwatch": self._bound("unwatch", self.feed.unwatch),
        }
        self._defaults: dict[str, list[Value]] = {"subscribe": [None, -1, False, ""]}

    async def run(self) -> None:
        """Read and write until the connection ends."""
        writer = asyncio.create_task(self._write())
        try:
            await self._read()
        finally:
            self.feed.close()
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    async def _read(self) -> None:
        while True:
            try:
                left_s = None if self.caller is not None else max(self.made_s + _LOGIN_LIMIT_S - time.monotonic(), 0.001)
                message = await self.socket.receive(timeout=left_s)
            except TimeoutError:
                await self.socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"no rpc.authenticate in time")
                return
            if message.type is WSMsgType.TEXT:
                await self._answer(message.data)
            elif message.type is WSMsgType.BINARY:
                await self.socket.close(code=WSCloseCode.UNSUPPORTED_DATA, message=b"JSON-RPC is text")
                return
            else:
                return

    async def _answer(self, text: str) -> None:
        specials = self.specials
        caller = self.caller
        if caller is None:
            caller = Caller("", "ws", self.source, lambda module, method: False)
            specials = {"rpc.authenticate": self._authenticate}
        answer = self.sockets.gateway.run(text, caller, specials)
        data = answer if isinstance(answer, bytes) else await answer
        if not isinstance(data, bytes):
            await self._send_long(data)
        elif data:
            await self._send(data)
        if time.monotonic() - self._turn_s > _TURN_S:
            await asyncio.sleep(0)
            self._turn_s = time.monotonic()

    @property
    def unread_bytes(self) -> int:
        """What was sent and the client has not read."""
        return self.transport.get_write_buffer_size() if self.transport is not None else 0

    async def _send(self, data: bytes) -> None:
        while self._long is not None:
            await self._long.wait()
        self.sending_since_s = time.monotonic()
        await self.socket.send_frame(data, WSMsgType.TEXT)
        self.sending_since_s = 0.0

    async def _send_long(self, data: Pieces) -> None:
        """Send a long answer as one message in fragments (RFC 6455 §5.4), between which only control frames may stand."""
        last = data.pop()
        self.sending_since_s, self._long = time.monotonic(), asyncio.Event()
        try:
            self._first = True
            await by_turns(data, self._write_fragment)
            await self.socket.send_frame(last, WSMsgType.CONTINUATION)  # raises what `_send` would when the connection has gone
            self.sending_since_s = 0.0
        finally:
            self._long.set()
            self._long = None

    def _write_fragment(self, piece: bytes) -> bool:
        """Write one fragment that is not the last; the framework only knows whole messages."""
        if self.transport is None or self.transport.is_closing() or self.socket.closed:
            return False
        self.transport.write(fragment_head(len(piece), self._first))
        self.transport.write(piece)
        self._first = False
        return True

    async def drop(self, reason: str) -> None:
        """End the connection of a client that is in the way."""
        log.warning("%s: WebSocket client dropped: %s", self.source, reason)
        self.sending_since_s = 0.0
        await self.socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=reason.encode()[:120], drain=False)
        if self.transport is not None and self.transport.get_write_buffer_size():
            self.transport.abort()  # it would be kept until a peer that does not read has read it all

    async def _write(self) -> None:
        """Send notifications while there are some; then wait for the next."""
        while not self.socket.closed:
            await self._due.wait()
            self._due.clear()
            await asyncio.sleep(0)  # while old events are looked through, it is set again at once
            if self.caller is None or not all(self.caller.allows("events", name) for name in self.feed.in_use()):
                await self.drop("not allowed any more")
                return
            while texts := self.feed.take():
                for text in texts:
                    await self._send(text)

    def _bound(self, name: str, function: Callable[..., Value]) -> Special:
        def run(params: Value, context: Context) -> Value:
            if not context.caller.allows("events", name):
                raise Forbidden(f"events.{name}")
            bound = context.registry.find("events", name).bind(params)
            return function(*bound, *self._defaults.get(name, [])[len(bound) :])

        return run

    async def _authenticate(self, params: Value, context: Context) -> Value:
        """rpc.authenticate(authorization): say who you are, as the HTTP header of that name would."""
        text = text_parameter(params, "authorization")
        try:
            caller = self.sockets.gateway.access.authenticate("ws", self.source, text)
            self.caller = await caller if isawaitable(caller) else caller
        except Unauthenticated as error:
            raise JsonRpcError(-32002, "Unauthenticated", str(error)) from None
        return True
