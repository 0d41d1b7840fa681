# SPDX-License-Identifier: GPL-2.0-or-later
"""A call's audio in a program, and a program's in the call: frames of 20 ms of 16-bit samples, both ways.

    async with call.stream(rate_hz=16000) as audio:
        async for frame in audio:                   # what the caller says, 640 bytes
            audio.write(recogniser.answer(frame))   # as much as there is: it is sent in time
        audio.clear()                               # forget what has not been sent: the caller interrupts

The samples travel as RTP (L16) between the server's media process and this program, past everything that decides about calls.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, TypeVar

from clients.app.pcm import FRAME_MS, RtpReader, RtpWriter
from clients.app.results import CallEnded, CallFailed

if TYPE_CHECKING:
    from clients.app.link import Message

T = TypeVar("T")

_MOST_FRAMES = 500
"""Frames that wait for a program that does not take them, 10 s; then the oldest are dropped."""
_MOST_BEHIND_S = 0.2


class StreamOwner(Protocol):
    """The call that a stream is of."""

    over: CallEnded | None
    streams: set[Stream]

    def tell(self, what: str, values: Message | None = None) -> None:
        """Send a command."""

    def ask(self, what: str, values: Message | None, read: Callable[[object], T]) -> Awaitable[T]:
        """Begin an operation."""


class Stream:
    """Made by `Call.stream`; open inside `async with`. Ends with it, with the call, or when the call goes into a room or to a second leg."""

    def __init__(self, call: StreamOwner, rate_hz: int) -> None:
        self.call, self.rate_hz = call, rate_hz
        self.dropped = 0
        """Frames that were not taken in time."""
        self._reader = RtpReader(rate_hz)
        self._writer = RtpWriter(rate_hz, random.getrandbits(32), random.getrandbits(16), random.getrandbits(32))
        self.frame_bytes = self._writer.frame_bytes
        self._unsent = bytearray()
        self._empty = asyncio.Event()
        self._empty.set()
        self._heard: deque[bytes] = deque()
        self._came = asyncio.Event()
        self._over = False
        self._transport: asyncio.DatagramTransport | None = None
        self._pacer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Stream:
        told: object = await self.call.ask("stream", None, _as_it_is)
        if not isinstance(told, dict):
            raise CallFailed(500, "the server has no address for the stream")
        ip, port = str(told.get("ip", "")), int(told.get("port", 0))
        connection = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM)
        connection.setblocking(False)
        connection.connect((ip, port))  # from here on only its datagrams are taken
        own_ip, own_port = connection.getsockname()[:2]
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Ear(self), sock=connection)
        try:
            await self.call.ask("stream_to", {"ip": own_ip, "port": own_port, "rate_hz": self.rate_hz}, _as_it_is)
        except BaseException:
            self._transport.close()
            raise
        self.call.streams.add(self)
        self._pacer = asyncio.ensure_future(self._pace())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._over:
            self.end()
            self.call.tell("stream_end")

    def end(self) -> None:
        """The server or the program has ended it: whoever reads or waits goes on."""
        self._over = True
        self.call.streams.discard(self)
        if self._pacer is not None:
            self._pacer.cancel()
        if self._transport is not None:
            self._transport.close()
        self._came.set()
        self._empty.set()

    # ---------------------------------------------------------------------------------------------------------------- hearing
    def heard(self, packet: bytes) -> None:
        """A packet came."""
        samples = self._reader.read(packet)
        if samples:
            if len(self._heard) >= _MOST_FRAMES:
                self._heard.popleft()
                self.dropped += 1
            self._heard.append(samples)
            self._came.set()

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> bytes:
        """What was heard next. Ends with the stream; raises CallEnded when the call has ended."""
        while not self._heard:
            if self.call.over is not None:
                raise self.call.over
            if self._over:
                raise StopAsyncIteration
            self._came.clear()
            await self._came.wait()
        return self._heard.popleft()

    # --------------------------------------------------------------------------------------------------------------- speaking
    def write(self, samples: bytes) -> None:
        """Say something, behind what has not been said yet; any number of samples."""
        if samples and not self._over:
            self._unsent += samples
            self._empty.clear()

    def clear(self) -> None:
        """Forget what has not been said yet."""
        self._unsent.clear()
        self._empty.set()

    @property
    def unsent_ms(self) -> int:
        """How much there is still to be said."""
        return len(self._unsent) * 500 // self.rate_hz

    async def drained(self) -> None:
        """Wait until all is said. Raises CallEnded."""
        await self._empty.wait()
        if self.call.over is not None:
            raise self.call.over

    async def _pace(self) -> None:
        """A frame each 20 ms; who was held up for long begins anew instead of hurrying."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while self._transport is not None:
            if self._unsent:
                frame = bytes(self._unsent[: self.frame_bytes])
                del self._unsent[: self.frame_bytes]
                self._transport.sendto(self._writer.write(frame))
                if not self._unsent:
                    self._empty.set()
            else:
                self._writer.pass_by()
            due_s += FRAME_MS / 1000
            late_s = loop.time() - due_s
            if late_s > _MOST_BEHIND_S:
                due_s = loop.time()
            await asyncio.sleep(max(0.0, -late_s))


def _as_it_is(value: object) -> object:
    return value


class _Ear(asyncio.DatagramProtocol):
    """Datagrams of one stream."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - the socket is connected
        self._stream.heard(data)

    def error_received(self, exc: Exception) -> None:
        """The other side is not there, or not any more: `stream_ended` tells."""
