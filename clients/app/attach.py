# SPDX-License-Identifier: GPL-2.0-or-later
"""Serve an application's calls from another machine: a WebSocket to the server's web port, with a token that may `apps.attach`.

    python -m clients.app.worker --attach wss://server.example:8080/apps --name card card.py      CORDBOARD_TOKEN=NAME.SECRET

The records are those of a local process, in binary frames; the first is `attach`. A connection that is lost is made again, after a pause
that grows; its calls are the server's to end (`on_crash`). SIGTERM: no new calls, and the end when the last one is over.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from clients.app.link import LONGEST, Connection, Message, checked, packed, unpacker

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger("app")
_LONGEST_PAUSE_S = 30.0
_FRAME_BYTES = 64 << 10
_ENDING = (signal.SIGTERM, signal.SIGINT)


class NotTaken(Exception):
    """The server does not take this program; the text is its reason. `status`: of HTTP, 0 when it said so later."""

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Way:
    """Where to, and as what. `token`: NAME.SECRET of `cordboard token add`. `exclusive`: every new call while it is there."""

    url: str
    name: str
    token: str = ""
    exclusive: bool = False
    max_calls: int = 0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname:
            raise ValueError(f"{self.url!r} is no address; right is wss://HOST:PORT/apps")
        if self.token and parts.scheme in ("ws", "http") and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
            log.warning("%s: the token travels in clear; right is wss://", self.url)


class RemoteLink:
    """One connection by WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._unpacker = unpacker()
        self._waiting: deque[bytes] = deque()
        self._due = asyncio.Event()
        self._writer = asyncio.ensure_future(self._send_all())
        self.why = ""
        """Why it ended, as the server said."""
        self._closing: asyncio.Task[bool] | None = None

    async def receive(self) -> Message | None:
        """The next message; None at the end. Raises ValueError for what is none."""
        import aiohttp

        while True:
            for message in self._unpacker:
                return checked(message)
            frame = await self._socket.receive()
            if frame.type is not aiohttp.WSMsgType.BINARY:
                self._writer.cancel()
                self.why = str(frame.extra or "") if frame.type is aiohttp.WSMsgType.CLOSE else ""
                return None
            self._unpacker.feed(frame.data)

    def send(self, message: Message) -> None:
        """Queue a message; without effect when the connection has ended."""
        if not self._writer.done():
            self._waiting.append(packed(message))
            self._due.set()

    async def _send_all(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            while self._waiting:
                parts, size = [], 0
                while self._waiting and size < _FRAME_BYTES:
                    parts.append(self._waiting.popleft())
                    size += len(parts[-1])
                try:
                    await self._socket.send_bytes(b"".join(parts))
                except ConnectionError:
                    return  # `receive` tells of it

    def close(self) -> None:
        """End the connection."""
        self._writer.cancel()
        self._closing = asyncio.ensure_future(self._socket.close())

    @property
    def in_peace(self) -> bool:
        """Whether it ended as it should: we left, and no call is up any more."""
        return self._socket.close_code == 1000


async def attach(way: Way, serve: Callable[[Connection], Awaitable[None]], leave: asyncio.Event | None = None) -> bool:
    """Serve one connection until it ends; true when it ended because we left. Set `leave` to leave. Raises NotTaken, OSError."""
    import aiohttp

    headers = {"Authorization": f"Bearer {way.token}"} if way.token else {}
    async with aiohttp.ClientSession(headers=headers) as session:
        try:
            socket = await session.ws_connect(way.url, heartbeat=30.0, max_msg_size=LONGEST, compress=0)
        except aiohttp.WSServerHandshakeError as error:
            raise NotTaken(_REASONS.get(error.status, error.message), error.status) from None
        except aiohttp.ClientError as error:
            raise OSError(f"{way.url}: {error}") from error
        link = RemoteLink(socket)
        link.send({"k": "attach", "version": 1, "app": way.name, "exclusive": way.exclusive, "max_calls": way.max_calls})
        leaving = asyncio.ensure_future(_leave(link, leave)) if leave is not None else None
        try:
            await serve(link)
        finally:
            if leaving is not None:
                leaving.cancel()
            await socket.close()
        if socket.close_code == 1008:
            raise NotTaken(link.why)
        return link.in_peace


_REASONS = {
    401: "the token is missing or wrong: set CORDBOARD_TOKEN",
    403: "the token may not apps.attach",
    404: "the server takes no programs: load_plugins needs apps, and apps.conf remote=NAME",
    429: "too many wrong tokens came from here",
    503: "there are too many programs",
}


async def _leave(link: RemoteLink, leave: asyncio.Event) -> None:
    await leave.wait()
    link.send({"k": "leave"})


async def keep_attached(way: Way, serve: Callable[[Connection], Awaitable[None]]) -> None:
    """Serve until SIGTERM or SIGINT, through every loss of the connection. The process ends with it: both are ignored afterwards."""
    leave, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in _ENDING:
        loop.add_signal_handler(number, leave.set)
    await _attach_again(way, serve, leave)
    _ignore_signals(loop)


async def _attach_again(way: Way, serve: Callable[[Connection], Awaitable[None]], leave: asyncio.Event) -> None:
    loop, pause_s = asyncio.get_running_loop(), 0.5
    while not leave.is_set():
        begun_s = loop.time()
        try:
            if await attach(way, serve, leave):
                return
            log.warning("%s: the connection has ended", way.url)
        except (NotTaken, OSError) as error:
            log.error("%s: %s", way.url, error)
        pause_s = 0.5 if loop.time() - begun_s > _LONGEST_PAUSE_S else min(pause_s * 2, _LONGEST_PAUSE_S)
        try:
            await asyncio.wait_for(leave.wait(), pause_s)
        except TimeoutError:
            continue


def _ignore_signals(loop: asyncio.AbstractEventLoop) -> None:
    """Ctrl-C reaches the whole group, and SIGTERM comes from `cordboard app run` behind it: who has left in order does not die of that.

    The loop would give the signals back their deadly default when it closes; they are blocked while they change hands.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    for number in _ENDING:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
