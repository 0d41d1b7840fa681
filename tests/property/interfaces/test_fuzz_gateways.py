# SPDX-License-Identifier: GPL-2.0-or-later
"""Invariant: whatever bytes a peer sends, it gets an answer or a closed connection, and the server serves on, no bigger.

Small in an ordinary run; `make fuzz` sends 100 000 messages to each gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from interfaces.xmlrpc2di.writer import write_call
from tests.support.gateways import Gateways, http_post, netstring, running
from tests.support.sizes import size

MESSAGES = size(1500)
_AT_ONCE = 8
_ANSWER_LIMIT_S = 40.0

JSON = [
    b'{"jsonrpc":"2.0","method":"probe.echo","params":[1,"x",null,true,2.5,{"a":[]}],"id":1}',
    b'{"jsonrpc":"2.0","method":"monitoring.listByFilter","params":[["app","x"]],"id":"a"}',
    b'[{"jsonrpc":"2.0","method":"probe.later","params":["x"],"id":1},{"jsonrpc":"2.0","method":"rpc.discover","id":2}]',
    b'{"jsonrpc":"2.0","method":"probe.typed","params":{"number":1},"id":9223372036854775807}',
    b'{"jsonrpc":"2.0","id":"1","result":5}',
]
XML = [
    write_call("probe.echo", [1, "x", 2.5, [1, {"a": "b"}], b"\x00"]),
    write_call("di", ["probe", "later", "x"]),
    write_call("system.multicall", [[{"methodName": "calls", "params": []}]]),
    b"<?xml version='1.0'?><methodCall><methodName>listByFilter</methodName><params/></methodCall>",
]
SPICE = [b"\x00", b"\xff", b"9" * 30, b"-", b"[" * 70, b"{", b"}", b'"', b"\\u", b"<", b"&#0;", b"]]>", b"\r\n\r\n", b":", b","]
SPICE += [b"1e999", b"NaN", b"<!DOCTYPE a [", b"\r\n \r\n", b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n"]
SPICE += [b"\xed\xa0\x80", b"%s%n"]


def mutated(random: Random, seed: bytes) -> bytes:
    """The seed with a few bytes flipped, cut, doubled, or with something nasty in it."""
    data = bytearray(seed)
    for _ in range(random.choice((0, 1, 1, 2, 4))):
        at = random.randrange(len(data) + 1)
        kind = random.randrange(5)
        if kind == 0 and data:
            data[at % len(data)] = random.randrange(256)
        elif kind == 1:
            del data[at : at + random.randrange(1, 20)]
        elif kind == 2:
            data[at:at] = random.choice(SPICE)
        elif kind == 3:
            data[at:at] = data[random.randrange(len(data) + 1) :][:40]
        else:
            del data[at:]
    return bytes(data)


def xml_message(random: Random) -> bytes:
    body = random.choice(XML)
    return mutated(random, http_post(body)) if random.random() < 0.4 else http_post(mutated(random, body) or b"x")


def web_message(random: Random) -> bytes:
    body = random.choice(JSON)
    path = random.choice(("/jsonrpc", "/jsonrpc", "/jsonrpc?x", "/", "/ws", "/metrics"))
    return mutated(random, http_post(body, path)) if random.random() < 0.4 else http_post(mutated(random, body), path)


def netstring_message(random: Random) -> bytes:
    body = random.choice(JSON)
    return mutated(random, netstring(body)) if random.random() < 0.4 else netstring(mutated(random, body))


async def send(port: int, message: bytes) -> bytes:
    """Send one message, close our side, and wait for the end; TimeoutError when the server leaves us hanging."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        with contextlib.suppress(ConnectionError):
            writer.write(message)
            writer.write_eof()
            return await asyncio.wait_for(reader.read(-1), _ANSWER_LIMIT_S)
    finally:
        writer.close()
    return b""


async def websocket(gateways: Gateways, random: Random, count: int) -> None:
    """Send mutated requests as whole text messages on a connection that is renewed when the server ends it."""
    import aiohttp

    sent = 0
    async with aiohttp.ClientSession() as session:
        while sent < count:
            async with session.ws_connect(f"http://127.0.0.1:{gateways.web_port}/ws") as connection:
                while sent < count and not connection.closed:
                    for _ in range(20):
                        sent += 1
                        text = mutated(random, random.choice(JSON[:4])).decode("utf-8", "replace")
                        await connection.send_str(text)
                    await connection.send_str('{"jsonrpc":"2.0","method":"probe.one","params":["done"],"id":"done"}')
                    while '"done"' not in (await connection.receive_str(timeout=_ANSWER_LIMIT_S)):
                        pass


def resident_kb() -> int:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


MAKERS: dict[str, tuple[str, Callable[[Random], bytes], int]] = {
    "xmlrpc": ("xml_port", xml_message, 2),
    "web": ("web_port", web_message, 5),  # the framework answers nobody who has closed his side
    "netstring": ("netstring_port", netstring_message, 8),  # broken JSON closes the connection (spec di.md §4.3)
}
"""Port, messages, and one in how many is answered at least."""


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", MAKERS)
async def test_fuzz_each_message_is_answered_or_the_connection_closed(name: str, caplog: pytest.LogCaptureFixture) -> None:
    port_name, make, share = MAKERS[name]
    random = Random(f"{name} 1")
    answered = 0
    async with running() as gateways:
        port = getattr(gateways, port_name)

        async def some(count: int) -> None:
            nonlocal answered
            for _ in range(count):
                answer = await send(port, make(random))
                assert b"Traceback" not in answer
                answered += bool(answer)

        await asyncio.gather(*(some(MESSAGES // _AT_ONCE // 5) for _ in range(_AT_ONCE)))
        gc.collect()
        before_kb = resident_kb()
        await asyncio.gather(*(some(MESSAGES // _AT_ONCE * 4 // 5) for _ in range(_AT_ONCE)))
        gc.collect()
        assert resident_kb() - before_kb < 20_000
        assert answered > MESSAGES // share
        assert not [record for record in caplog.records if record.exc_info]
        assert len(gateways.services.registry.interface("probe").methods) == 10  # type: ignore[union-attr]
        assert b"<i4>0</i4>" in await send(gateways.xml_port, http_post(write_call("calls", [])))


@pytest.mark.timeout(7200)
async def test_fuzz_websocket_messages_are_answered() -> None:
    async with running() as gateways:
        await websocket(gateways, Random(1), MESSAGES // 5)
        before_kb = resident_kb()
        await websocket(gateways, Random(2), MESSAGES * 4 // 5)
        assert resident_kb() - before_kb < 20_000
