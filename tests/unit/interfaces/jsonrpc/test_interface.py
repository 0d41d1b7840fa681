# SPDX-License-Identifier: GPL-2.0-or-later
"""A request to a peer that is quicker than we are: what it sends at once, and its end, come before `execRpc` has its connection."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from di.access.rules import Unauthenticated
from di.calls.events import EventPosted
from di.kernel.registry import Registry
from interfaces.jsonrpc.interface import JsonRpcInterface
from interfaces.jsonrpc.netstring import encode
from interfaces.jsonrpc.server import NetstringConnection, NetstringGateway


class OpenDoors:
    """Access control of a server that knows nobody."""

    restricted = False

    def authenticate(self, transport: str, source_ip: str, authorization: str) -> Any:
        raise Unauthenticated("who is that")


class Late(NetstringGateway):
    """Who asked for a connection goes on only when that has ended again."""

    async def connect(self, *arguments: Any) -> NetstringConnection:
        connection = await super().connect(*arguments)
        for _ in range(4000):
            if connection.transport is None:
                return connection
            await asyncio.sleep(0.01)
        raise AssertionError("the peer has not ended the connection")


@pytest.mark.parametrize("says", [b"", b'{"jsonrpc": "2.0", "id": "7", "method": "hello", "params": []}'])
async def test_a_peer_that_speaks_and_ends_at_once(says: bytes) -> None:
    posted: list[tuple[str, dict[str, str]]] = []

    def post(queue: str, event: EventPosted) -> bool:
        posted.append((queue, event.params))
        return True

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if says:
            writer.write(encode(says))
        writer.close()

    registry = Registry()
    gateway = Late(registry, OpenDoors(), post, lambda: "conn-1", 1 << 20)  # type: ignore[arg-type]
    async with await asyncio.start_server(peer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        answer = await JsonRpcInterface(gateway, registry).exec_rpc("reply", "notes", "requests", 0, "127.0.0.1", port, "m")
    assert answer == [200, "OK", "conn-1"]
    events = [(queue, params["ev_type"]) for queue, params in posted]
    asked = [("requests", "JsonRpcRequest")] if says else []
    assert events == [*asked, *((queue, "JsonRpcConnection") for queue in ("notes", "requests", "reply"))]
