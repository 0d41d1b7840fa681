# SPDX-License-Identifier: GPL-2.0-or-later
"""Long answers are written in slices: the same bytes, and others have their turn meanwhile."""

from __future__ import annotations

import asyncio
import json
import xmlrpc.client
from collections.abc import Callable

import pytest

from di.kernel.value import LongLong, Value
from interfaces import large
from interfaces.jsonrpc import sems_json, strict
from interfaces.jsonrpc.peer import success
from interfaces.xmlrpc2di.server import _large
from interfaces.xmlrpc2di.writer import http_answer, write_response
from tests.support.gateways import body_of, exchange, http_post, netstring, running

ODD: list[Value] = ["a", "<&>\"'", "", 1, None, 2.5, {}, {"a": [1]}, [], b"\0", LongLong(1 << 40), "\udcff", "ä", True, {"x": {}}]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "_LARGE", 3)
    monkeypatch.setattr(large, "_SLICE", 2)


@pytest.mark.parametrize("values", [ODD, ODD[:4], ["id"] * 41, [{}] * 5])
async def test_slices_make_the_same_bytes(small: None, values: list[Value]) -> None:
    assert large.is_large(values) and not large.is_large(values[:3]) and not large.is_large(tuple(values))
    assert large.whole(await _large(values)) == http_answer(write_response(values))
    answer = success("7", values)
    assert large.whole(await large.json_result(answer, strict.dumps, b",")) == strict.dumps(answer)
    assert large.whole(await large.json_result(answer, sems_json.dumps, b", ")) == sems_json.dumps(answer)


async def test_a_large_store_is_listed_by_every_gateway_while_others_run() -> None:
    async with running() as gateways:
        count = 30_000
        for number in range(count):
            gateways.services.monitoring.log(f"{number:x}-id", n=number)
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        call = json.dumps({"jsonrpc": "2.0", "method": "monitoring.list", "params": [], "id": "1"}).encode()
        xml = xmlrpc.client.dumps((), "list").encode()
        ways: dict[str, Callable[[], object]] = {
            "xml": lambda: exchange(gateways.xml_port, http_post(xml, "/RPC2", "Connection: close\r\n")),
            "json": lambda: exchange(gateways.web_port, http_post(call, "/jsonrpc", "Connection: close\r\n")),
            "framework": lambda: exchange(gateways.web_port, http_post(call, "/jsonrpc?x", "Connection: close\r\n")),
            "netstring": lambda: exchange(gateways.netstring_port, netstring(call), lambda got: got.endswith(b"]},")),
        }
        found = {}
        for name, ask in ways.items():
            task = asyncio.ensure_future(others())
            turns = 0
            answer = await ask()  # type: ignore[misc]
            task.cancel()
            assert turns > count // 2_000, name
            if name == "xml":
                ((found[name],), _) = xmlrpc.client.loads(body_of(answer))
            else:
                text = answer.partition(b":")[2][:-1] if name == "netstring" else body_of(answer)
                found[name] = json.loads(text)["result"]
        assert len(set(found["xml"])) == count
        assert all(ids == found["xml"] for ids in found.values())
