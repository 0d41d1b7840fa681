# SPDX-License-Identifier: GPL-2.0-or-later
"""Request bytes in, reply bytes out: every dialogue of tests/vectors/jsonrpc against the netstring port (spec di.md §4)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateways import exchange, netstring, running

VECTORS = Path(__file__).parents[2] / "vectors" / "jsonrpc"
PING, PONG = (
    b'{"jsonrpc":"2.0","method":"probe.one","params":["ping"],"id":"p"}',
    b'{"id": "p", "jsonrpc": "2.0", "result": "ping"}',
)


def dialogues(path: Path) -> Iterator[tuple[int, bytes, bytes | None]]:
    """Line number, message, expected bytes on the wire: those of a reply, of the pong alone, or None for a closed connection."""
    message = b""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("> "):
            message = line[2:].encode()
        elif line.startswith("< "):
            yield number, message, netstring(line[2:].encode()) + netstring(PONG)
        elif line == ".":
            yield number, message, netstring(PONG)
        elif line == "x":
            yield number, message, b""


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.txt")), ids=lambda path: path.stem)
async def test_dialogues(path: Path) -> None:
    seen = 0
    async with running() as gateways:
        for number, message, expected in dialogues(path):
            answer = await exchange(gateways.netstring_port, netstring(message) + netstring(PING), half_close=True)
            assert answer == expected, f"{path.name}:{number}"
            seen += 1
    assert seen > 5


BAD_FRAMES = {
    "no comma": b"3:abc;",
    "no length": b":abc,",
    "a letter": b"3a:abc,",
    "negative": b"-3:abc,",
    "leading zero": b"003:abc,",
    "eleven digits": b"00000000003:abc,",
    "2^31": b"2147483648:abc",
    "longer than is taken": b"20971520:abc",
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("data", BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
async def test_what_is_no_netstring_closes_the_connection(data: bytes) -> None:
    async with running() as gateways:
        assert await exchange(gateways.netstring_port, data, lambda got: False) == b""
        assert await exchange(gateways.netstring_port, netstring(PING), half_close=True) == netstring(PONG)


async def test_empty_frames_are_ignored_and_frames_come_in_any_pieces() -> None:
    import asyncio

    async with running() as gateways:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateways.netstring_port)
        for piece in (b"0:,0:,", b"%d" % len(PING), b":", PING[:10], PING[10:], b",0:,"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        assert await reader.readexactly(len(netstring(PONG))) == netstring(PONG)
        writer.close()
