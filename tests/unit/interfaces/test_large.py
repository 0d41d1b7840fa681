# SPDX-License-Identifier: GPL-2.0-or-later
"""Long answers are written in slices: the same bytes, and others have their turn meanwhile."""

from __future__ import annotations

import asyncio
import json
import xmlrpc.client
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import aiohttp
import pytest

from di.kernel.registry import INTERNAL
from di.kernel.value import LongLong, OwnArray, Value
from interfaces import large
from interfaces.jsonrpc import sems_json, strict
from interfaces.jsonrpc.peer import success
from interfaces.jsonrpc.server import NetstringConnection
from interfaces.web.rpc import Context, handle
from interfaces.web.websocket import fragment_head
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


class Noted(str):
    """A text that notes in which turn of the loop it was let go."""

    turn = 0
    gone: ClassVar[Counter[int]] = Counter()

    def __del__(self) -> None:
        Noted.gone[Noted.turn] += 1


@pytest.mark.parametrize("pairs", [False, True])
async def test_what_is_nobody_elses_is_given_back_slice_by_slice(pairs: bool) -> None:
    async def turns() -> None:
        while True:
            Noted.turn += 1
            await asyncio.sleep(0)

    Noted.gone.clear()
    count = 20_000
    answer: dict[str, Value] = {"id": "7", "jsonrpc": "2.0", "result": OwnArray()}
    result = answer["result"]
    assert isinstance(result, OwnArray) and large.is_large(OwnArray(range(count)))
    result += [(Noted(number), 1) if pairs else Noted(number) for number in range(count)]
    others = asyncio.ensure_future(turns())
    text = large.whole(await large.json_result(answer, strict.dumps, b","))
    others.cancel()
    assert sum(Noted.gone.values()) == count, "nothing is left that would go at once"
    assert max(Noted.gone.values()) <= (large._SLICE_OF_OTHERS if pairs else large._SLICE)
    assert json.loads(text)["result"] == [[str(number), 1] if pairs else str(number) for number in range(count)]


async def test_what_may_be_somebody_elses_stays() -> None:
    values: list[Value] = [str(number) for number in range(20_000)]
    kept = list(values)
    await large.json_result(success("7", values), strict.dumps, b",")
    assert values == kept


async def test_pieces_leave_one_by_one_with_turns_between() -> None:
    pieces = large.Pieces(bytes([number]) * 400_000 for number in range(9))
    written: list[bytes] = []
    held: list[int] = []
    turn = 0

    async def turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    by_turn: Counter[int] = Counter()

    def write(piece: bytes) -> bool:
        by_turn[turn] += len(piece)
        held.append(sum(map(bool, pieces)))
        written.append(piece)
        return len(written) < 8

    others = asyncio.ensure_future(turns())
    await large.by_turns(pieces, write)
    others.cancel()
    assert held == list(range(8, 0, -1)) and len(written) == 8, "who will not go on is not asked again"
    assert max(by_turn.values()) <= large._WRITTEN_A_TURN_BYTES + 400_000 and len(by_turn) > 2


def test_heads_of_fragments() -> None:
    assert fragment_head(5, True) == b"\x01\x05" and fragment_head(125, False) == b"\x00\x7d"
    assert fragment_head(126, False) == b"\x00\x7e\x00\x7e" and fragment_head(0xFFFF, True) == b"\x01\x7e\xff\xff"
    assert fragment_head(0x10000, False) == b"\x00\x7f\0\0\0\0\0\x01\0\0"


async def test_a_batch_with_large_answers_is_not_joined() -> None:
    async with running() as gateways:
        for number in range(30_000):
            gateways.services.monitoring.log(f"{number:x}-id", n=number)
        one = {"jsonrpc": "2.0", "method": "probe.one", "params": ["x" * 100]}
        batch = [{**one, "id": 1}, {"jsonrpc": "2.0", "method": "monitoring.list", "id": 2}, one, {**one, "id": 3}]
        answer = handle(json.dumps(batch), Context(INTERNAL, gateways.services.registry, {}))
        assert not isinstance(answer, bytes)
        text = await answer
        assert isinstance(text, large.Pieces) and max(map(len, text)) < text.length_bytes // 4
        results = json.loads(large.whole(text))
        assert [result["id"] for result in results] == [1, 2, 3] and len(results[1]["result"]) == 30_000


async def test_what_is_said_during_a_long_answer_comes_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "_WRITTEN_A_TURN_BYTES", 0)
    made: list[NetstringConnection] = []
    begin = NetstringConnection.connection_made

    def made_one(self: NetstringConnection, transport: asyncio.BaseTransport) -> None:
        begin(self, transport)
        made.append(self)

    monkeypatch.setattr(NetstringConnection, "connection_made", made_one)
    async with running() as gateways:
        for number in range(30_000):
            gateways.services.monitoring.log(f"{number:x}-id", n=number)
        call = json.dumps({"jsonrpc": "2.0", "method": "monitoring.list", "params": [], "id": "1"})

        said = 0

        async def talk() -> None:
            nonlocal said
            while True:
                if made and made[0]._behind is not None and said < 3:
                    made[0].send(b"later")
                    said += 1
                await asyncio.sleep(0)

        talking = asyncio.ensure_future(talk())
        ends = netstring(b"later") * 3
        got = await exchange(gateways.netstring_port, netstring(call.encode()), lambda got: got.endswith(ends))
        talking.cancel()
        head, _, rest = got.partition(b":")
        assert len(json.loads(rest[: int(head)])["result"]) == 30_000 and rest[int(head) :] == b"," + ends

        async with aiohttp.ClientSession() as session, session.ws_connect(f"http://127.0.0.1:{gateways.web_port}/ws") as socket:
            await socket.send_str(json.dumps({"jsonrpc": "2.0", "method": "events.subscribe", "id": "0"}))
            assert json.loads((await socket.receive()).data)["id"] == "0"
            events = gateways.services.events

            async def publish() -> None:
                for _ in range(50):
                    events.publish("dtmf", "call", "", {"key": "1"})
                    await asyncio.sleep(0)

            await socket.send_str(call)
            publishing = asyncio.ensure_future(publish())
            answers: list[dict[str, Any]] = []
            while len(answers) < 51:
                answers.append(json.loads((await socket.receive()).data))
            await publishing
        assert [len(one["result"]) for one in answers if "result" in one] == [30_000]
        assert sum(one.get("method") == "events.event" for one in answers) == 50


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

        async def by_websocket() -> bytes:
            url = f"http://127.0.0.1:{gateways.web_port}/ws"
            async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
                await socket.send_str(call.decode())
                return b"\r\n\r\n" + str((await socket.receive()).data).encode()

        ways: dict[str, Callable[[], object]] = {
            "xml": lambda: exchange(gateways.xml_port, http_post(xml, "/RPC2", "Connection: close\r\n")),
            "json": lambda: exchange(gateways.web_port, http_post(call, "/jsonrpc", "Connection: close\r\n")),
            "framework": lambda: exchange(gateways.web_port, http_post(call, "/jsonrpc?x", "Connection: close\r\n")),
            "websocket": by_websocket,
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
