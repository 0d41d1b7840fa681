# SPDX-License-Identifier: GPL-2.0-or-later
"""A web server on loopback whose answers come in pieces, as through a proxy or over a slow line.

async with pieces(b'{"allow": ', b"true}") as port: ...
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_BETWEEN_S = 0.2
"""Who reads once only has returned by then; who reads to the end is not hurried by it."""


@asynccontextmanager
async def pieces(*body: bytes, status: int = 200) -> AsyncIterator[int]:
    """Answer each request with that body, a wait between its pieces; yields the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        _, found, rest = head.partition("content-length:")
        if found:
            await reader.readexactly(int(rest.split()[0]))
        length = sum(map(len, body))
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n".encode())
        try:
            for piece in body:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(_BETWEEN_S)
        except ConnectionError:
            pass  # who has read enough goes
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
