# SPDX-License-Identifier: GPL-2.0-or-later
"""The server as a client: pool of XML-RPC servers with failover, and netstring peers (spec di.md §3.5, §4.5 to §4.7)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from di.calls.events import EventPosted
from di.kernel.value import Value
from interfaces.xmlrpc2di.writer import http_answer, write_fault, write_response
from tests.support.bare_hub import invoke
from tests.support.gateways import Gateways, netstring, running


async def ask(gateways: Gateways, module: str, method: str, *args: Value) -> Value:
    answer = invoke(gateways.services, module, method, *args)
    return await answer if asyncio.iscoroutine(answer) else answer  # type: ignore[no-any-return]


@contextlib.asynccontextmanager
async def xml_server(answer: Callable[[bytes], bytes]) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server of a few lines; `answer` gets the whole request and returns the whole reply, empty to hang up."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionResetError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                requests.append(head + await reader.readexactly(length))
                reply = answer(requests[-1])
                if not reply:
                    break
                writer.write(reply)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], requests
    finally:
        server.close()


def good(value: Value) -> Callable[[bytes], bytes]:
    return lambda request: http_answer(write_response(value))


async def test_send_request_and_its_wire_form() -> None:
    async with running() as gateways, xml_server(good([1, "x"])) as (port, requests):
        assert await ask(gateways, "xmlrpc2di", "newConnection", "app", "127.0.0.1", port, "") is None
        assert await ask(gateways, "xmlrpc2di", "sendRequest", "app", "m", [5, True]) == [0, "OK", [1, "x"]]
        assert await ask(gateways, "xmlrpc2di", "sendRequestList", "app", "m", 5, "y") == [0, "OK", 1, "x"]
        assert await ask(gateways, "xmlrpc2di", "sendRequest", "other", "m", []) == [-1, "no active connections"]
    head, _, body = requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /RPC2 HTTP/1.1\r\n")
    names = {line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:]}
    assert names == {b"host", b"user-agent", b"content-type", b"content-length"}
    assert b"\r\nUser-Agent: XMLRPC++ 0.8" in head and f"\r\nHost: 127.0.0.1:{port}".encode() in head
    assert b"<methodName>m</methodName>" in body and body.count(b"<param>") == 2


async def test_a_result_that_is_no_list_keeps_its_status() -> None:
    async with running() as gateways, xml_server(good("text")) as (port, _):
        await ask(gateways, "xmlrpc2di", "newConnection", "app", "127.0.0.1", port, "/uri?q=1")
        assert await ask(gateways, "xmlrpc2di", "sendRequestList", "app", "m") == [0, "OK", "text"]


FAILURES: dict[str, Callable[[bytes], bytes]] = {
    "fault": lambda request: http_answer(write_fault(5, "no")),
    "hang-up": lambda request: b"",
    "500": lambda request: b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
    "no XML": lambda request: b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    "no HTTP": lambda request: b"\x00\x01\x02\r\n\r\n",
    "a bomb": lambda request: http_answer(b"<!DOCTYPE x [<!ENTITY a 'b'>]><methodResponse>&a;</methodResponse>"),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
async def test_a_failed_server_is_left_out_until_it_may_be_tried_again(failure: Callable[[bytes], bytes]) -> None:
    behave = failure
    async with running(server_retry_after=10) as gateways, xml_server(lambda request: behave(request)) as (port, requests):  # noqa: PLW0108
        await ask(gateways, "xmlrpc2di", "newConnection", "app", "127.0.0.1", port, "/")
        assert await ask(gateways, "xmlrpc2di", "sendRequest", "app", "m", []) == [-1, "no active connections"]
        behave, asked = good(1), len(requests)
        gateways.clock.advance(10)
        assert await ask(gateways, "xmlrpc2di", "sendRequest", "app", "m", []) == [-1, "no active connections"]
        assert len(requests) == asked
        gateways.clock.advance(0.001)
        assert await ask(gateways, "xmlrpc2di", "sendRequest", "app", "m", []) == [0, "OK", 1]


async def test_failover_to_the_next_server() -> None:
    async with running() as gateways, xml_server(FAILURES["fault"]) as (bad, bad_requests), xml_server(good(7)) as (port, _):
        for number in (bad, bad, port):
            await ask(gateways, "xmlrpc2di", "newConnection", "app", "127.0.0.1", number, "/")
        for _ in range(20):
            assert await ask(gateways, "xmlrpc2di", "sendRequest", "app", "m", []) == [0, "OK", 7]
        assert len(bad_requests) <= 2


async def test_server_timeout_limits_the_wait() -> None:
    never = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await never.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with running(server_timeout=50) as gateways:
        await ask(gateways, "xmlrpc2di", "newConnection", "app", "127.0.0.1", server.sockets[0].getsockname()[1], "/")
        assert await ask(gateways, "xmlrpc2di", "sendRequest", "app", "m", []) == [-1, "no active connections"]
    never.set()
    server.close()


# ------------------------------------------------------------------------------------------------------------- netstring peers
class PeerServer:
    """The other side of `execRpc`."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.writer: asyncio.StreamWriter | None = None

    async def start(self) -> int:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionResetError):
            while True:
                length = int((await reader.readuntil(b":"))[:-1])
                raw = (await reader.readexactly(length + 1))[:-1]
                self.raw = raw
                self.received.put_nowait(json.loads(raw))
        self.received.put_nowait(None)

    async def next(self) -> dict[str, Any] | None:
        return await asyncio.wait_for(self.received.get(), 40)

    def say(self, text: str) -> None:
        assert self.writer is not None
        self.writer.write(netstring(text.encode()))


class Queue:
    """An event queue of the hub."""

    def __init__(self, gateways: Gateways, name: str) -> None:
        self.events: asyncio.Queue[EventPosted] = asyncio.Queue()
        gateways.services.queues.add(name, self.put)

    def put(self, event: object) -> None:
        assert isinstance(event, EventPosted) and event.kind == "jsonrpc"
        self.events.put_nowait(event)

    async def next(self) -> tuple[dict[str, str], Value]:
        event = await asyncio.wait_for(self.events.get(), 40)
        return event.params, event.data


@contextlib.asynccontextmanager
async def linked(
    flags: int = 0, notifications: str = "", requests: str = ""
) -> AsyncIterator[tuple[Gateways, PeerServer, Queue, str]]:
    peer = PeerServer()
    port = await peer.start()
    async with running() as gateways:
        queue = Queue(gateways, "session")
        answer: Any = await ask(
            gateways, "jsonrpc", "execRpc", "session", notifications, requests, flags, "127.0.0.1", port, "hello", {"a": 1}, ["u"]
        )
        assert answer[:2] == [200, "OK"]
        assert await peer.next() == {"id": "1", "jsonrpc": "2.0", "method": "hello", "params": {"a": 1}}
        assert peer.raw == b'{"id": "1", "jsonrpc": "2.0", "method": "hello", "params": {"a": 1}}'
        yield gateways, peer, queue, answer[2]
    peer.server.close()


async def test_exec_rpc_posts_results_and_errors_with_udata() -> None:
    async with linked() as (gateways, peer, queue, id):
        peer.say('{"jsonrpc":"2.0","id":"1","result":[1,2]}')
        told = {"ev_type": "JsonRpcResponse", "id": "1", "is_error": "false", "connection_id": id}
        assert await queue.next() == (told, {"result": [1, 2], "udata": ["u"]})
        assert await ask(gateways, "jsonrpc", "sendMessage", id, 0, "again", "x", "session") == [200, "posted"]
        assert await peer.next() == {"id": "2", "jsonrpc": "2.0", "method": "again", "params": None}
        peer.say('{"jsonrpc":"2.0","id":"2","error":{"code":5}}')
        assert (await queue.next())[1] == {"error": {"code": 5}, "udata": None}


async def test_send_message_as_notification_result_and_error() -> None:
    async with linked() as (gateways, peer, _, id):
        for type, params, expected in (
            (0, [1], {"jsonrpc": "2.0", "method": "m", "params": [1]}),
            (1, {"r": 1}, {"id": "7", "jsonrpc": "2.0", "result": {"r": 1}}),
            (2, {"e": 1}, {"id": "7", "jsonrpc": "2.0", "error": {"e": 1}}),
        ):
            assert await ask(gateways, "jsonrpc", "sendMessage", id, type, "m", "7" if type else "", "", params) == [
                200,
                "posted",
            ]
            assert await peer.next() == expected


async def test_requests_of_the_peer_run_here_or_go_to_the_receivers() -> None:
    async with linked() as (_, peer, _, _):
        peer.say('{"jsonrpc":"2.0","id":5,"method":"probe.one","params":["here"]}')
        assert await peer.next() == {"id": 5, "jsonrpc": "2.0", "result": "here"}
    async with linked(notifications="session", requests="session") as (gateways, peer, queue, id):
        peer.say('{"jsonrpc":"2.0","id":5,"method":"probe.change","params":["there"]}')
        told = {"ev_type": "JsonRpcRequest", "method": "probe.change", "is_notify": "false", "id": "5", "connection_id": id}
        assert await queue.next() == (told, {"params": ["there"]})
        peer.say('{"jsonrpc":"2.0","method":"note"}')
        assert await queue.next() == (
            {"ev_type": "JsonRpcRequest", "method": "note", "is_notify": "true", "connection_id": id},
            {"params": None},
        )
        assert gateways.probe.calls == []


async def test_a_lost_connection_is_told_once_to_everybody_concerned() -> None:
    async with linked(notifications="session", requests="second") as (gateways, peer, queue, id):
        second = Queue(gateways, "second")
        assert peer.writer is not None
        peer.writer.close()
        told = {"ev_type": "JsonRpcConnection", "what": "disconnect", "connection_id": id}
        assert await queue.next() == (told, None) and await second.next() == (told, None)
        assert queue.events.empty() and second.events.empty()
        assert await ask(gateways, "jsonrpc", "sendMessage", id, 0, "m", "", "") == [400, "unknown connection"]


REPLY, REQUEST, NOTE = (
    '{"jsonrpc":"2.0","id":"1","result":1}',
    '{"jsonrpc":"2.0","id":9,"method":"m"}',
    '{"jsonrpc":"2.0","method":"m"}',
)
CLOSING = [
    (1, "", "", REPLY),
    (2, "", "", '{"jsonrpc":"2.0","id":"99","result":1}'),
    (8, "", "gone", REQUEST),
    (16, "gone", "", NOTE),
    (0, "", "", '{"jsonrpc":"2.0","id":"1"}'),
]


@pytest.mark.parametrize(("flags", "notifications", "requests", "message"), CLOSING)
async def test_what_closes_a_connection(flags: int, notifications: str, requests: str, message: str) -> None:
    async with linked(flags, notifications, requests) as (_, peer, _, _):
        peer.say(message)
        assert await peer.next() is None
    if flags:
        async with linked(0, notifications, requests) as (_, peer, _, _):
            peer.say(message)
            peer.say('{"jsonrpc":"2.0","id":5,"method":"core.calls"}')
            if not requests:
                assert await peer.next() == {"id": 5, "jsonrpc": "2.0", "result": [0]}


async def test_a_reply_queue_that_is_gone_closes_with_flag_4() -> None:
    for flags in (4, 0):
        async with linked(flags) as (gateways, peer, _, _):
            gateways.services.queues.remove("session")
            peer.say(REPLY)
            peer.say('{"jsonrpc":"2.0","id":5,"method":"core.calls"}')
            assert await peer.next() == (None if flags else {"id": 5, "jsonrpc": "2.0", "result": [0]})


async def test_connect_failures() -> None:
    async with running() as gateways:
        refused: Any = await ask(gateways, "jsonrpc", "execRpc", "", "", "", 0, "127.0.0.1", 1, "m")
        assert refused[0] == 400 and refused[1].startswith("Error in connect: error connecting to 127.0.0.1: ")
        assert await ask(gateways, "jsonrpc", "execRpc", "", "", "", 0, "nosuch.invalid", 1, "m") == [
            400,
            "Error in connect: resolving 'nosuch.invalid' failed\n",
        ]
        assert await ask(gateways, "jsonrpc", "getServerPort") == [gateways.netstring_port]
