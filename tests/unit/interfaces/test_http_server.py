# SPDX-License-Identifier: GPL-2.0-or-later
"""Slow, silent and many peers of the HTTP shell: they are ended, and nobody else waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable

import pytest

from interfaces import http_server, large, tcp_server
from interfaces.http1 import BadRequest, HttpRequest
from interfaces.http_server import HttpServer
from interfaces.large import Pieces, whole

POST = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"


def echo(request: HttpRequest) -> bytes | Awaitable[bytes]:
    return b"<%s>" % request.body


@contextlib.asynccontextmanager
async def serving(handler: http_server.Handler = echo) -> AsyncIterator[HttpServer]:
    server = HttpServer(handler, 1 << 20)
    await server.start("127.0.0.1", 0)
    try:
        yield server
    finally:
        await server.stop()


async def dial(server: HttpServer, data: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(data)
    return reader, writer


async def answered(server: HttpServer) -> bool:
    reader, writer = await dial(server, POST)
    answer = await asyncio.wait_for(reader.readexactly(5), 30)
    writer.close()
    return answer == b"<abc>"


@pytest.mark.parametrize("beginning", [b"P", b"POST / HTTP/1.1\r\nX: 1\r\n", POST[:-1]])
async def test_a_request_that_does_not_end_is_refused(beginning: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as server:
        monkeypatch.setattr(tcp_server, "MESSAGE_LIMIT_NS", 0)
        reader, _ = await dial(server, beginning)
        assert (await asyncio.wait_for(reader.read(), 30)).startswith(b"HTTP/1.1 408 ")
        assert await answered(server)


async def test_a_kept_connection_ends_after_the_idle_time_only(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as server:
        reader, writer = await dial(server, POST)
        assert await reader.readexactly(5) == b"<abc>"
        monkeypatch.setattr(tcp_server, "MESSAGE_LIMIT_NS", 0)
        server.sweep(time.monotonic_ns())
        writer.write(POST)
        assert await reader.readexactly(5) == b"<abc>"
        monkeypatch.setattr(http_server, "IDLE_LIMIT_NS", 0)
        assert await asyncio.wait_for(reader.read(), 30) == b""


@pytest.mark.parametrize(
    "request_", [POST * 20, POST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")], ids=["stays", "leaves after it"]
)
async def test_a_peer_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch, request_: bytes) -> None:
    monkeypatch.setattr(tcp_server, "WRITE_LIMIT_NS", 0)
    asked = asyncio.Event()

    def handler(request: HttpRequest) -> bytes:
        asked.set()
        return b"x" * (1 << 26)

    async with serving(handler) as server:
        _, writer = await dial(server, request_)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asked.wait()
        while server.connections:  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.01)
        writer.close()


async def test_a_thousand_slow_connections_do_not_stop_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        tcp_server, "MESSAGE_LIMIT_NS", 600 * 10**9
    )  # on a busy machine the first would be late before the last comes
    async with serving() as server:
        slow = [await dial(server, b"POST / HTTP/1.1\r\nContent-Le") for _ in range(1000)]
        assert await answered(server) and len(server.connections) >= 1000
        for _, writer in slow:
            writer.close()


async def test_over_the_limit_the_longest_idle_connection_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server.HttpServer, "max_connections", 3)
    async with serving() as server:
        first, _ = await dial(server)
        others = [await dial(server, POST) for _ in range(3)]
        assert await asyncio.wait_for(first.read(), 30) == b""
        for reader, writer in others:
            assert await reader.readexactly(5) == b"<abc>"
            writer.close()


async def test_unfinished_requests_have_a_common_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "MAX_UNFINISHED_BYTES", 500_000)
    async with serving() as server:
        big = [await dial(server, b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 300_000) for _ in range(3)]
        ended = [asyncio.create_task(reader.read()) for reader, _ in big]
        async with asyncio.timeout(30):
            while sum(task.done() for task in ended) < 2:  # one ends when 500 kB have come, another when the rest has
                await asyncio.wait([task for task in ended if not task.done()], return_when=asyncio.FIRST_COMPLETED)
        assert await answered(server)
        assert sum(task.done() for task in ended) == 2, "who keeps within it stays"
        for _, writer in big:
            writer.close()
        await asyncio.gather(*ended, return_exceptions=True)


async def test_while_a_call_waits_reading_stops_and_the_order_stays() -> None:
    release = asyncio.Event()

    async def wait() -> bytes:
        await release.wait()
        return b"<1>"

    def handler(request: HttpRequest) -> bytes | Awaitable[bytes]:
        return wait() if request.body == b"one" else b"<2>"

    async with serving(handler) as server:
        reader, writer = await dial(server, POST.replace(b"abc", b"one") + POST)
        while not server.connections:  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.01)
        (connection,) = server.connections
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000 + POST)
        await writer.drain()
        await asyncio.sleep(0.1)
        assert len(connection.reader.buffer) < 2_000_000
        release.set()
        assert await asyncio.wait_for(reader.readexactly(12), 30) == b"<1><2><2><2>"
        writer.close()


async def test_a_handler_may_refuse_while_it_waits() -> None:
    async def refuse() -> bytes:
        raise BadRequest(403, "Forbidden")

    async with serving(lambda request: refuse()) as server:
        reader, _ = await dial(server, POST)
        assert (await asyncio.wait_for(reader.read(), 30)).startswith(b"HTTP/1.1 403 ")


async def test_a_call_is_not_left_half_done_when_its_peer_leaves() -> None:
    begun, release, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def wait() -> bytes:
        begun.set()
        await release.wait()
        ended.set()
        return b""

    async with serving(lambda request: wait()) as server:
        _, writer = await dial(server, POST)
        await begun.wait()
        writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        while server.connections:  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.01)
        release.set()
        await asyncio.wait_for(ended.wait(), 30)


async def test_an_answer_in_pieces_is_whole_though_others_have_their_turn_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind it comes the answer to the next request, not between; a peer that goes in the middle leaves nothing behind."""
    monkeypatch.setattr(large, "_WRITTEN_A_TURN_BYTES", 1000)
    pieces = Pieces(bytes([65 + number % 26]) * 700 for number in range(300))
    turns = 0

    async def later() -> Pieces:
        return Pieces(pieces)  # who writes them lets go of each

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with serving(lambda request: later() if request.body == b"abc" else b"next") as server:
        reader, writer = await dial(server, POST + b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nxyz")
        task = asyncio.ensure_future(others())
        assert await reader.readexactly(pieces.length_bytes) == whole(pieces)
        assert await reader.readexactly(4) == b"next" and turns > 100
        task.cancel()
        writer.close()
        _, gone = await dial(server, POST)
        gone.transport.abort()
        assert await asyncio.wait_for(_no_connections(server), 30)


async def _no_connections(server: HttpServer) -> bool:
    while server.connections:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return True


async def test_garbage_by_the_hundred_leaves_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    """A disk is not filled with what strangers send."""
    caplog.set_level("INFO")
    async with serving() as server:
        for _ in range(200):
            reader, writer = await dial(server, b"\0\r\n\r\n")
            await asyncio.wait_for(reader.read(), 30)
            writer.close()
    lines = [line for line in caplog.messages if "request refused" in line]
    assert 1 <= len(lines) < 150
