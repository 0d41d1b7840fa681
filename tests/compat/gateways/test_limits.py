# SPDX-License-Identifier: GPL-2.0-or-later
"""What a hostile or careless client may cost: bytes, time, places. Others are served meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import json
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import lxml.etree
import pytest

from di.access import Access
from di.access.file import new_token, rewrite
from di.kernel.value import Value
from interfaces import tcp_server
from interfaces.web import rpc, websocket
from interfaces.xmlrpc2di import methods as xml_methods
from interfaces.xmlrpc2di.writer import write_call
from tests.support.gateways import Gateways, body_of, exchange, http_post, netstring, running

TOKEN, HASH = new_token("ann")
LOGIN = f"Authorization: Bearer {TOKEN}\r\n"


def call(method: str, *params: object, number: int = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": list(params), "id": number}


async def post(gateways: Gateways, message: object, path: str = "/jsonrpc") -> Any:
    return json.loads(body_of(await exchange(gateways.web_port, http_post(json.dumps(message).encode(), path))))


class Turns:
    """How long the loop was held at most while something ran, by its own thread's clock: what a busy machine does to it does not count."""

    async def __aenter__(self) -> Turns:
        self.worst_s, self.count = 0.0, 0
        self._task = asyncio.create_task(self._run())
        return self

    async def _run(self) -> None:
        while True:
            begun = time.thread_time()
            await asyncio.sleep(0)
            self.worst_s, self.count = max(self.worst_s, time.thread_time() - begun), self.count + 1

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()


# ----------------------------------------------------------------------------------------------------------------- batches
@pytest.mark.parametrize("path", ["/jsonrpc", "/jsonrpc?"])
async def test_a_long_batch_gives_others_their_turn(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "_TURN_NS", 200_000)
    async with running() as gateways:
        async with Turns() as others:
            answers = await post(gateways, [call("rpc.discover", number=n) for n in range(40)], path)
        assert [answer["id"] for answer in answers] == [*range(40)] and all("result" in answer for answer in answers)
        assert others.count > 40


async def test_a_batch_has_an_end_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "MAX_BATCH_BYTES", 10_000)
    async with running() as gateways:
        answers = await post(gateways, [call("probe.one", "x" * 4000, number=n) for n in range(5)])
        assert [("result" in answer) for answer in answers] == [True, True, True, False, False]
        assert "answers before it are longer than 10000 bytes" in answers[4]["error"]["data"]
        answers = await post(gateways, [call("probe.change", 1), *[call("probe.one", "x" * 4000)] * 3, call("probe.change", 2)])
        assert gateways.probe.calls == [1], "what is refused has not run"


async def test_a_batch_has_an_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "_BATCH_LIMIT_NS", 0)
    async with running() as gateways:
        answers = await post(gateways, [call("probe.one", 1), call("probe.one", 2)])
        assert "took longer" in answers[1]["error"]["data"]


async def test_entries_that_wait_come_in_order_beside_those_that_do_not() -> None:
    async with running() as gateways:
        for number in range(30_000):
            gateways.services.monitoring.log(f"id{number:05}", k=1)
        message = [
            call("probe.later", 1, number=1), call("probe.one", 2, number=2), call("monitoring.list", number=3),
            {"jsonrpc": "2.0", "method": "probe.later", "params": [0]}, call("probe.failLater", number=4), 7,
            {"jsonrpc": "2.0", "method": "monitoring.list", "params": []}, call("probe.change", 5, number=5),
        ]  # fmt: skip
        answers = await post(gateways, message)
        assert [answer["id"] for answer in answers] == [1, 2, 3, 4, None, 5]
        assert len(answers[2]["result"]) == 30_000 and answers[3]["error"]["data"] == "late"


async def test_a_multicall_gives_others_their_turn_and_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_methods, "MAX_ELEMENTS", 45_000)
    async with running() as gateways:
        for number in range(20_001):
            gateways.services.monitoring.log(f"id{number:05}", k=1)
        entry: Value = {"methodName": "di", "params": ["monitoring", "list"]}
        async with Turns() as others:
            reply = await exchange(gateways.xml_port, http_post(write_call("system.multicall", [[entry] * 5])))
        text = body_of(reply)
        assert text.count(b"<string>id20000<") == 3 and others.count > 20
        assert text.count(b"<value><i4>500</i4></value>") == text.count(b"more than 45000 elements") == 2
        lxml.etree.fromstring(text, lxml.etree.XMLParser(huge_tree=True))


async def test_many_messages_in_one_piece_are_answered_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_server, "_TURN_NS", 200_000)
    one = json.dumps(call("probe.one", "x")).encode()
    async with running() as gateways:
        async with Turns() as others:
            text = await exchange(gateways.netstring_port, netstring(one) * 3000, lambda got: got.count(b'"result"') == 3000)
        assert text.count(b'"result"') == 3000 and others.count > 100
        post_one = http_post(one, "/jsonrpc").replace(b"Connection: close\r\n", b"")
        text = await exchange(gateways.web_port, post_one * 1000, lambda got: got.count(b'"result"') == 1000)
        assert text.count(b'"result"') == 1000


# ------------------------------------------------------------------------------------------------------------ compressed
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "GZIP"])
@pytest.mark.parametrize("path", ["/jsonrpc", "/jsonrpc?", "/", "/panel/nosuch", "/ws"])
async def test_a_compressed_body_is_never_inflated(coding: str, path: str) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    async with running() as gateways:
        for port in (gateways.web_port, gateways.xml_port):
            async with Turns() as others:
                reply = await exchange(port, http_post(bomb, path, f"Content-Encoding: {coding}\r\n"))
            assert reply.split(b" ")[1] in (b"415", b"404", b"405", b"426")
            assert others.worst_s < 1.0 or b"415" in reply
        ours = http_post(json.dumps(call("probe.one", 1)).encode(), "/jsonrpc", "Content-Encoding: identity\r\n")
        assert b'"result":1' in await exchange(gateways.web_port, ours)


# --------------------------------------------------------------------------------------------------- slow, silent, unknown
@pytest.fixture
def doors(tmp_path: Path) -> Access:
    path = tmp_path / "access.secrets"
    rewrite(path, [f"token ann admin {HASH}"])
    return Access(path)


async def dial(port: int, data: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    return reader, writer


async def drip(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Go on sending, as long as somebody takes it."""
    while True:
        writer.write(piece)
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("way", ["silent", "half a head", "drip", "wrong netstring log-ins", "silent netstring"])
async def test_who_does_not_log_in_goes_whatever_he_sends(way: str, doors: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_server, "LOGIN_LIMIT_NS", 300_000_000)
    wrong = netstring(json.dumps(call("rpc.authenticate", "nonsense")).encode())
    begin, piece = {
        "silent": (b"", b""),
        "half a head": (b"GET /metrics HTTP/1.1\r\nHos", b""),
        "drip": (b"POST /jsonrpc HTTP/1.1\r\n", b"X: y\r\n"),
        "wrong netstring log-ins": (wrong, wrong),
        "silent netstring": (b"", b""),
    }[way]
    async with running(doors) as gateways:
        ports = [gateways.netstring_port] if "netstring" in way else [gateways.web_port, gateways.xml_port]
        for port in ports:
            reader, writer = await dial(port, begin)
            dripping = asyncio.create_task(drip(writer, piece))
            with contextlib.suppress(ConnectionResetError):
                await asyncio.wait_for(reader.read(), 40)
            dripping.cancel()
            writer.close()


async def test_who_has_logged_in_stays(doors: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(doors) as gateways:
        ask = http_post(json.dumps(call("probe.one", 1)).encode(), "/jsonrpc", LOGIN).replace(b"Connection: close\r\n", b"")
        reader, writer = await dial(gateways.web_port, ask)
        assert b"200" in await reader.readline()
        monkeypatch.setattr(tcp_server, "LOGIN_LIMIT_NS", 0)  # from now on: a secret's check takes its time on a busy machine
        silent, _ = await dial(gateways.web_port)
        assert await asyncio.wait_for(silent.read(), 40) == b"", "the sweep that ends who has not logged in has come by"
        writer.write(ask)
        text = b""
        while text.count(b'"result"') < 2:
            piece = await asyncio.wait_for(reader.read(4096), 40)
            assert piece
            text += piece
        writer.close()


@pytest.fixture
async def crowded(doors: Access, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateways]:
    """More silent connections on every port than there are places."""
    monkeypatch.setattr(tcp_server.Server, "max_connections", 50)
    monkeypatch.setattr("interfaces.jsonrpc.server.NetstringGateway.max_connections", 50)
    async with running(doors) as gateways:
        silent = [
            await dial(port) for port in (gateways.web_port, gateways.xml_port, gateways.netstring_port) for _ in range(120)
        ]
        yield gateways
        for _, writer in silent:
            writer.close()


async def test_silent_connections_lock_nobody_out(crowded: Gateways) -> None:
    ask = json.dumps(call("probe.one", 1)).encode()
    assert b'"result":1' in await exchange(crowded.web_port, http_post(ask, "/jsonrpc", LOGIN))
    assert b"<i4>0</i4>" in await exchange(crowded.xml_port, http_post(write_call("calls", []), "/", LOGIN))
    login = netstring(json.dumps(call("rpc.authenticate", f"Bearer {TOKEN}")).encode())
    answer = await exchange(crowded.netstring_port, login + netstring(ask), lambda got: got.count(b"result") == 2)
    assert answer.count(b"result") == 2
    assert b" 200 " in await exchange(crowded.web_port, f"GET /metrics HTTP/1.0\r\n{LOGIN}\r\n".encode())


async def test_silent_websockets_make_room(doors: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "_LOGIN_LIMIT_S", 30.0)
    upgrade = (
        "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    )
    async with running(doors, web={"max_websockets": 20}) as gateways:
        silent = [await dial(gateways.web_port, f"{upgrade}\r\n".encode()) for _ in range(40)]
        for reader, _ in silent:
            assert b" 101 " in await reader.readline()
        reader, writer = await dial(gateways.web_port, f"{upgrade}{LOGIN}\r\n".encode())
        assert b" 101 " in await asyncio.wait_for(reader.readline(), 40)
        for _, other in [*silent, (reader, writer)]:
            other.close()


async def test_a_websocket_that_talks_and_does_not_log_in_is_closed(doors: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "_LOGIN_LIMIT_S", 0.5)
    async with (
        running(doors) as gateways,
        aiohttp.ClientSession() as http,
        http.ws_connect(f"http://127.0.0.1:{gateways.web_port}/ws") as socket,
    ):
        end = time.monotonic() + 40
        while not socket.closed and time.monotonic() < end:
            try:
                await socket.send_str(json.dumps(call("probe.one", 1)))
                await socket.receive(timeout=0.1)
            except (TimeoutError, ConnectionError):
                pass
        assert socket.closed


def unread_bytes() -> int:
    """What all connections hold for peers that do not read, also those that are to end when that is read."""
    transports = [o for o in gc.get_objects() if hasattr(type(o), "get_write_buffer_size")]
    return sum(transport.get_write_buffer_size() for transport in transports)


async def dial_and_read_nothing(port: int, data: bytes) -> socket.socket:
    """A connection whose own kernel takes little, so that the rest of a long answer stays with the server."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(peer, ("127.0.0.1", port))
    await loop.sock_sendall(peer, data)
    return peer


@pytest.mark.parametrize("way", ["http", "ws"])
async def test_slow_readers_are_bounded_in_all_together(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (tcp_server, websocket):
        monkeypatch.setattr(module, "MAX_UNREAD_BYTES", 3_000_000)
    monkeypatch.setattr(tcp_server, "_UNREAD_LIMIT_NS", 300_000_000)
    monkeypatch.setattr(websocket, "_UNREAD_LIMIT_S", 0.3)
    async with running() as gateways, aiohttp.ClientSession() as http:
        gateways.services.monitoring.log("big", text="x" * 8_000_000)
        question = json.dumps(call("monitoring.get", "big"))
        slow = []
        for _ in range(3):
            if way == "http":
                slow.append(await dial_and_read_nothing(gateways.web_port, http_post(question.encode(), "/jsonrpc")))
                continue
            reader = await http.ws_connect(f"http://127.0.0.1:{gateways.web_port}/ws", max_msg_size=0)
            await reader.send_str(question)
            connection = reader._response.connection
            assert connection is not None and connection.transport is not None
            connection.transport.pause_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(60):
            while unread_bytes() <= 3_000_000:  # noqa: ASYNC110 - there is nothing to wait for
                await asyncio.sleep(0.1)
            while unread_bytes() > 3_000_000:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert (await post(gateways, call("probe.one", 1)))["result"] == 1
        for closed in slow:
            closed.close()
