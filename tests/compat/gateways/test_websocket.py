# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests and events on one WebSocket: replay, gaps, snapshots, watches; and clients that are slow or hostile."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
import websockets

import interfaces.web.websocket
from di.access import Access
from di.kernel.event_log import EventLog
from interfaces.web.feed import Encoder, Feed
from interfaces.web.options import Options
from tests.compat.gateways.test_same_decision import SECRET, access_path
from tests.support.gateways import Gateways, exchange, running

__all__ = ["access_path"]


class Client:
    """A WebSocket client that keeps answers and notifications apart."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.notifications: list[tuple[str, dict[str, Any]]] = []
        self._id = 0

    async def ask(self, method: str, params: Any = None) -> dict[str, Any]:
        self._id += 1
        await self.connection.send(json.dumps({"jsonrpc": "2.0", "method": method, "params": params or [], "id": self._id}))
        while True:
            message = await self._receive()
            if message.get("id") == self._id:
                return message

    async def call(self, method: str, params: Any = None) -> Any:
        answer = await self.ask(method, params)
        assert "result" in answer, answer
        return answer["result"]

    async def told(self, count: int = 1) -> list[tuple[str, dict[str, Any]]]:
        while len(self.notifications) < count:
            await self._receive()
        told, self.notifications = self.notifications[:count], self.notifications[count:]
        return told

    async def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await asyncio.wait_for(self.connection.recv(), 40))
        if "id" not in message:
            self.notifications.append((message["method"], message["params"]))
        return message


@contextlib.asynccontextmanager
async def connected(gateways: Gateways, **options: Any) -> AsyncIterator[Client]:
    async with websockets.connect(f"ws://127.0.0.1:{gateways.web_port}/ws", **options) as connection:
        yield Client(connection)


async def test_requests_batches_and_notifications() -> None:
    async with running() as gateways, connected(gateways) as client:
        assert await client.call("probe.typed", {"number": 1}) == [1, "none"]
        assert await client.call("probe.later", ["x"]) == "x"
        await client.connection.send('{"jsonrpc":"2.0","method":"probe.change","params":[1]}')
        await client.connection.send(
            '[{"jsonrpc":"2.0","method":"probe.one","params":[1],"id":1},{"jsonrpc":"2.0","method":"x","id":2}]'
        )
        assert len(json.loads(await client.connection.recv())) == 2
        assert gateways.probe.calls == [1]
        await client.connection.send("nonsense")
        assert json.loads(await client.connection.recv())["error"]["code"] == -32700


async def test_events_as_they_happen_by_filter() -> None:
    async with running() as gateways, connected(gateways) as client:
        publish = gateways.services.events.publish
        begun = await client.call("events.subscribe", {"filter": {"types": ["dtmf"], "attributes": [["key", "1"]]}})
        assert begun == {"subscription": 1, "sequence": 0, "stream": "test"}
        publish("dtmf", "call-1", "", {"key": "2"})
        publish("call.started", "call-1", "", {"key": "1"})
        publish("dtmf", "call-1", "room", {"key": "1", "blob": b"\xff"})
        expected = {
            "subscription": 1,
            "sequence": 3,
            "type": "dtmf",
            "time": gateways.clock.epoch_s(),
            "call": "call-1",
            "room": "room",
            "attributes": {"key": "1", "blob": "/w=="},
        }
        assert await client.told() == [("events.event", expected)]
        assert await client.call("events.unsubscribe", [1]) is True
        assert await client.call("events.unsubscribe", [1]) is False
        publish("dtmf", "call-1", "room", {"key": "1"})
        assert await client.call("probe.one", [5]) == 5 and client.notifications == []
        assert gateways.services.events.subscribers == ()


async def test_replay_and_an_explicit_gap() -> None:
    log = EventLog(capacity=10, stream="test")
    async with running(events=log) as gateways:
        for number in range(25):
            log.publish("dtmf", str(number))
        async with connected(gateways) as client:
            await client.call("events.subscribe", {"from_sequence": 20})
            assert [params["sequence"] for _, params in await client.told(6)] == [20, 21, 22, 23, 24, 25]
            await client.call("events.subscribe", {"from_sequence": 3, "stream": "test"})
            told = await client.told(11)
            assert told[0][0] == "events.gap" and (told[0][1]["first"], told[0][1]["last"]) == (3, 15)
            assert [params["sequence"] for _, params in told[1:]] == list(range(16, 26))
            await client.call("events.subscribe", {"from_sequence": 24, "stream": "an earlier run"})
            told = await client.told(11)
            assert told[0][0] == "events.gap" and "anew" in told[0][1]["reason"]


def test_what_left_the_ring_is_named() -> None:
    log = EventLog(capacity=4)
    feed = Feed(log, Encoder(), lambda: None, 10, 5, None)
    for _ in range(10):
        log.publish("dtmf")
    feed.subscribe(None, 2, False, "")
    told = [json.loads(text) for text in feed.take()]
    assert told[0]["method"] == "events.gap" and (told[0]["params"]["first"], told[0]["params"]["last"]) == (2, 6)
    assert [message["params"]["sequence"] for message in told[1:]] == [7, 8, 9, 10]


async def test_snapshot_then_stream() -> None:
    async with running() as gateways, connected(gateways) as client:
        store = gateways.services.monitoring
        store.log("call-1", app="conference")
        await client.call("events.subscribe", {"filter": {"types": ["monitoring.*"]}, "snapshot": True})
        store.log("call-1", conf_id="room1")
        (first, snapshot), (second, event) = await client.told(2)
        assert first == "events.snapshot" and snapshot["state"]["calls"] == {"call-1": {"app": "conference"}}
        assert second == "events.event" and event["sequence"] == snapshot["sequence"] + 1
        assert event["attributes"] == {"conf_id": "room1"}


async def test_watch_tells_when_the_result_of_a_filter_changes() -> None:
    async with running() as gateways, connected(gateways) as client:
        store = gateways.services.monitoring
        store.log("a", app="conference")
        assert await client.call("events.watch", [[["app", "conference"]]]) == {"watch": 1, "ids": ["a"]}
        store.log("b", app="conference")
        assert await client.told() == [("events.changed", {"watch": 1, "entered": ["b"], "left": []})]
        store.log("a", app="echo")
        store.log("c", app="echo")
        assert await client.told() == [("events.changed", {"watch": 1, "entered": [], "left": ["a"]})]
        assert await client.call("events.unwatch", [1]) is True
        assert await client.call("events.unwatch", [1]) is False


BAD_WISHES: list[tuple[str, Any, int]] = [
    ("events.subscribe", {"filter": 5}, -32602),
    ("events.subscribe", {"filter": {"nosuch": []}}, -32602),
    ("events.subscribe", {"filter": {"types": [1]}}, -32602),
    ("events.subscribe", {"from_sequence": "1"}, -32602),
    ("events.watch", ["app"], -32602),
    ("events.watch", [["app"]], -32602),
    ("events.watch", [], -32602),
    ("events.unsubscribe", [], -32602),
    ("events.nosuch", [], -32601),
]


async def test_wishes_that_cannot_be_met() -> None:
    async with running() as gateways, connected(gateways) as client:
        for method, params, code in BAD_WISHES:
            answer = await client.ask(method, params)
            assert answer["error"]["code"] == code, (method, params, answer)
        for _ in range(Options().max_subscriptions):
            await client.call("events.subscribe")
        assert (await client.ask("events.subscribe"))["error"]["data"].startswith("one connection has at most")
        assert len(gateways.services.events.subscribers) == Options().max_subscriptions
    assert gateways.services.events.subscribers == ()


async def test_a_client_that_stops_reading_is_dropped_and_nobody_else_notices(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(interfaces.web.websocket, "_WRITE_LIMIT_S", 5.0)  # a busy machine must not make the good one late
    async with running() as gateways, connected(gateways) as good:
        await good.call("events.subscribe")
        raw = await raw_client(gateways.web_port)
        raw.sendall(text_frame(b'{"jsonrpc":"2.0","method":"events.subscribe","id":1}'))
        while len(gateways.services.events.subscribers) < 2:  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.01)
        seen = sent = 0
        while len(gateways.services.events.subscribers) == 2:
            for _ in range(100):
                gateways.services.events.publish("dtmf", "x" * 2000)
                sent += 1
            seen += len(await good.told(100))
            assert sent < 100_000
        assert gateways.services.events.dropped_count == 1 and seen == sent
        assert await good.call("probe.one", [1]) == 1
        while "WebSocket client dropped: too slow" not in caplog.text:  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.01)
        raw.close()


async def raw_client(port: int) -> socket.socket:
    """A socket that has done the handshake and reads nothing."""
    raw = socket.create_connection(("127.0.0.1", port))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    key = base64.b64encode(os.urandom(16)).decode()
    head = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    head += f"Sec-WebSocket-Key: {key}\r\n\r\n"
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(raw, head.encode())
    received = b""
    while b"\r\n\r\n" not in received:
        received += await loop.sock_recv(raw, 1)
    assert received.startswith(b"HTTP/1.1 101")
    return raw


def text_frame(data: bytes, first: int = 0x81, masked: bool = True, length: bytes | None = None) -> bytes:
    if length is None:
        length = bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack(">H", len(data))
    if masked:
        return bytes([first, length[0] | 0x80]) + length[1:] + b"\0\0\0\0" + data
    return bytes([first]) + length + data


HOSTILE = {
    "64-bit length": text_frame(b"", length=b"\x7f" + struct.pack(">Q", 1 << 63)),
    "a terabyte": text_frame(b"", length=b"\x7f" + struct.pack(">Q", 1 << 40)),
    "reserved bits": text_frame(b"{}", first=0xF1),
    "unknown opcode": text_frame(b"{}", first=0x83),
    "continuation of nothing": text_frame(b"{}", first=0x80),
    "bad UTF-8": text_frame(b"\xff\xfe"),
    "binary": text_frame(b"{}", first=0x82),
    "long ping": text_frame(b"x" * 200, first=0x89),
    "fragments beyond the limit": text_frame(b"x" * 60000, first=0x01) + text_frame(b"x" * 60000, first=0x00) * 20,
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
async def test_hostile_frames_close_the_connection(data: bytes) -> None:
    loop = asyncio.get_running_loop()
    async with running() as gateways:
        raw = await raw_client(gateways.web_port)
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            await loop.sock_sendall(raw, data)
            while await asyncio.wait_for(loop.sock_recv(raw, 4096), 40):
                pass
        raw.close()
        async with connected(gateways) as client:
            assert await client.call("probe.one", [1]) == 1


async def test_a_flood_of_pings_and_fragments_does_not_stop_others() -> None:
    async with running() as gateways, connected(gateways) as client:
        raw = await raw_client(gateways.web_port)
        loop = asyncio.get_running_loop()
        for piece in (text_frame(b"", first=0x89) * 500, text_frame(b"", first=0x01) + text_frame(b"", first=0x00) * 500):
            with contextlib.suppress(asyncio.TimeoutError, ConnectionResetError, BrokenPipeError):
                await asyncio.wait_for(loop.sock_sendall(raw, piece), 2)
        assert await client.call("probe.one", [1]) == 1
        raw.close()


async def test_foreign_origins_and_plain_requests_are_refused() -> None:
    async with running() as gateways:
        with pytest.raises(websockets.InvalidStatus, match="403"):
            async with connected(gateways, origin="http://evil.example"):
                pass
        assert (
            b" 426 "
            in (await exchange(gateways.web_port, b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).split(b"\r\n")[0]
        )
        with pytest.raises(websockets.InvalidStatus, match="403"):
            async with connected(gateways, origin="http://localhost:8000"):  # another program's page
                pass
        async with connected(gateways, origin=f"http://127.0.0.1:{gateways.web_port}") as client:
            assert await client.call("probe.one", [1]) == 1


async def test_a_browser_says_who_it_is_by_a_first_call(access_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(Access(access_path)) as gateways:
        async with connected(gateways) as client:
            assert (await client.ask("core.calls"))["error"]["code"] == -32001
            assert (await client.ask("rpc.authenticate", [f"Bearer reader.{SECRET}"]))["result"] is True
            assert await client.call("core.calls") == [0]
            assert (await client.ask("core.set_loglevel", [2]))["error"]["code"] == -32001
            assert (await client.ask("rpc.authenticate", ["Bearer reader.wrong"]))["error"]["code"] == -32002
        monkeypatch.setattr(interfaces.web.websocket, "_LOGIN_LIMIT_S", 0.3)
        with pytest.raises(websockets.ConnectionClosed, match="authenticate"):
            async with connected(gateways) as client:
                await client.connection.recv()
        with pytest.raises(websockets.InvalidStatus, match="401"):
            async with connected(gateways, additional_headers={"Authorization": "Bearer reader.wrong"}):
                pass
