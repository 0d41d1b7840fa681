# SPDX-License-Identifier: GPL-2.0-or-later
"""Invariant: whatever a remote program sends, it is heard or its connection is closed with a reason, and others are served on."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import msgpack
import pytest

from interfaces.apps.options import Options
from interfaces.apps.start import start
from tests.property.interfaces.test_fuzz_gateways import mutated
from tests.support.gateways import Gateways, running
from tests.support.sizes import size
from tests.support.tls import self_signed

CONNECTIONS = size(150)
ATTACH = {"k": "attach", "version": 1, "app": "bot", "exclusive": False, "max_calls": 3}
READY = {"k": "ready", "functions": {"add": {"parameters": [{"name": "a", "needed": True}], "help": "Add."}}}
MESSAGES: list[dict[str, Any]] = [
    {"k": "op", "call": "none", "op": 1, "do": "answer", "with": {}},
    {"k": "op", "call": ["x"], "op": "1", "do": 5, "with": None},
    {"k": "di", "n": 1, "module": "probe", "function": "echo", "args": [1, "x", b"\x00", None, {"a": []}]},
    {"k": "di", "n": {}, "module": 7, "function": None, "args": {"a": msgpack.Timestamp(1)}},
    {"k": "di", "n": 2, "module": "probe", "function": "typed", "args": [msgpack.ExtType(5, b"x")]},
    {"k": "di_result", "n": 1, "result": [1]},
    {"k": "di_result", "n": [], "error": {}},
    {"k": "ready", "functions": {"core": 1, "_x": {}, "a b": {}, "y": {"parameters": 5}}},
    {"k": "ready", "functions": []},
    {"k": "pong", "n": 0},
    {"k": "leave"},
    {"k": "attach", "version": 1, "app": "other"},
    {"k": "what"},
]


@asynccontextmanager
async def door(folder: Path, tls: str = "", **options: Any) -> AsyncIterator[tuple[Gateways, str]]:
    async with running(tls=tls) as gateways:
        close = await start(gateways.services, Options(script_path=folder, remote=("*",), max_remote=32, **options))
        try:
            yield gateways, f"{'wss' if tls else 'ws'}://127.0.0.1:{gateways.web_port}/apps"
        finally:
            assert close is not None
            outcome = close()
            assert outcome is not None
            await outcome


async def come_in(http: aiohttp.ClientSession, url: str, **options: Any) -> aiohttp.ClientWebSocketResponse:
    """A program that is ready."""
    socket = await http.ws_connect(url, **options)
    await socket.send_bytes(msgpack.packb(ATTACH))
    assert msgpack.unpackb(await socket.receive_bytes(timeout=40))["k"] == "hello"
    await socket.send_bytes(msgpack.packb(READY))
    return socket


async def answered(socket: aiohttp.ClientWebSocketResponse, number: int) -> dict[str, Any]:
    """The answer to a call of a function; the server asks in between whether the program is alive."""
    while True:
        message: dict[str, Any] = msgpack.unpackb(await socket.receive_bytes(timeout=40))
        if message["k"] == "di_done" and message["n"] == number:
            return message
        if message["k"] == "ping":
            await socket.send_bytes(msgpack.packb({"k": "pong", "n": message["n"]}))


async def is_served(socket: aiohttp.ClientWebSocketResponse, number: int) -> bool:
    """Whether a function's answer comes."""
    await socket.send_bytes(msgpack.packb({"k": "di", "n": number, "module": "probe", "function": "one", "args": ["there"]}))
    return bool((await answered(socket, number))["result"] == "there")


async def test_over_tls_too(tmp_path: Path) -> None:
    pem = self_signed(tmp_path)
    trust = ssl.create_default_context(cafile=str(pem))
    async with door(tmp_path, str(pem)) as (_, url), aiohttp.ClientSession() as http:
        socket = await come_in(http, url, ssl=trust)
        assert await is_served(socket, 5)
        await socket.close()


async def test_no_more_than_may_be_and_none_that_says_nothing(tmp_path: Path) -> None:
    async with door(tmp_path) as (_, url), aiohttp.ClientSession() as http:
        many = [await http.ws_connect(url) for _ in range(32)]
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(url)
        assert refused.value.status == 503
        for socket in many:
            await socket.send_str("{}")
            assert (await socket.receive(timeout=40)).extra == "right is attach as a binary frame of msgpack"
        assert await is_served(await come_in(http, url), 1)


@pytest.mark.timeout(7200)
async def test_fuzz_what_a_program_sends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    random = Random("programs 1")
    reasons: set[str] = set()

    async def one(url: str, http: aiohttp.ClientSession) -> None:
        socket = await http.ws_connect(url)
        messages = [ATTACH, READY] if random.random() < 0.8 else []
        messages = [*messages, *random.choices(MESSAGES, k=random.randrange(1, 12))]
        frames = [msgpack.packb(message) for message in messages]
        if random.random() < 0.5:
            at = random.randrange(len(frames))
            frames[at] = mutated(random, frames[at])
        try:
            for frame in frames:
                await socket.send_bytes(frame)
        except ConnectionError:
            pass
        else:
            await socket.close()
        reasons.add(str(socket.close_code))

    async with door(tmp_path) as (gateways, url), aiohttp.ClientSession() as http:
        good = await come_in(http, url)
        for number in range(CONNECTIONS // 10):
            await asyncio.gather(*(one(url, http) for _ in range(10)))
            assert await is_served(good, 100 + number)
        workers = gateways.services.registry.invoke("apps", "workers", ["bot"])
        assert isinstance(workers, list) and len([one for one in workers if isinstance(one, dict) and one["ready"]]) >= 1
        await good.close()
        for _ in range(1000):
            left = gateways.services.registry.invoke("apps", "workers", ["bot"])
            if left == []:
                break
            await asyncio.sleep(0.02)
        assert left == []
    assert not [record for record in caplog.records if record.exc_info], caplog.text[-3000:]


async def test_what_is_too_long_is_refused(tmp_path: Path) -> None:
    async with door(tmp_path) as (gateways, url), aiohttp.ClientSession() as http:
        socket = await come_in(http, url)
        twice = {"k": "di", "n": 1, "module": "probe", "function": "echo", "args": ["x" * (3 << 20)]}
        gateways.services.registry.interface("probe").methods["echo"] = replace(  # type: ignore[union-attr]
            gateways.services.registry.find("probe", "echo"), function=lambda *values: [*values] * 3
        )
        await socket.send_bytes(msgpack.packb(twice))
        assert "the answer has" in (await answered(socket, 1))["error"]
        with contextlib.suppress(ConnectionError):
            await socket.send_bytes(msgpack.packb({**twice, "args": ["x" * (5 << 20)]}))
        assert (await socket.receive(timeout=40)).type is aiohttp.WSMsgType.CLOSE


async def test_one_that_reads_nothing_is_closed_before_it_fills_the_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with door(tmp_path) as (_, url), aiohttp.ClientSession() as http:
        slow, good = await come_in(http, url), await come_in(http, url)
        ask = msgpack.packb({"k": "di", "n": 1, "module": "probe", "function": "one", "args": ["x" * (1 << 20)]})
        with pytest.raises((ConnectionError, TimeoutError)):
            for _ in range(200):
                await asyncio.wait_for(slow.send_bytes(ask), 20)
        assert await is_served(good, 1)
    assert "it reads nothing any more" in caplog.text
