# SPDX-License-Identifier: GPL-2.0-or-later
"""Controls of a whole server in real calls: how long each lasts at the phone, what it cost, and services that are slow, dead or lie."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from xmlrpc.server import SimpleXMLRPCServer

import pytest
import pytest_asyncio
from aiohttp import web
from standardwebhooks import Webhook as Verifier

from tests.support.ports import free_port
from tests.support.server import Server, wait_until
from tests.support.sip_peer import PeerCall, UdpPeer
from tests.support.sizes import LONG, size

pytestmark = pytest.mark.peers

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
PLUGINS = "monitoring;echo;cc_call_timer;cc_pcalls;cc_prepaid;cc_prepaid_xmlrpc;cc_http;call_control;xmlrpc2di;web"
CONTROL = """\
call_control=pick,few
pick_module=$H(X-Control)
few_module=cc_pcalls
few_uuid=$H(X-Account)
few_max_calls=$H(X-Most)
"""


class Bank:
    """The XML-RPC server of cc_prepaid_xmlrpc: Python's own, in a thread."""

    def __init__(self) -> None:
        self.credit: dict[str, int] = {}
        self.taken: list[tuple[str, int]] = []
        self._server = SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False, allow_none=True)
        self._server.register_function(lambda pin: self.credit.get(pin, -1), "getCredit")
        self._server.register_function(self._subtract, "subtractCredit")
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _subtract(self, orders: list[dict[str, Any]]) -> int:
        (order,) = orders
        assert order["methodName"] == "subtractCredit"
        self.taken.append((order["pin"], order["amount"]))
        self.credit[order["pin"]] -= order["amount"]
        return self.credit[order["pin"]]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Service:
    """The web service of cc_http. `answer` makes the answer to authorize and renew; a number is a status, a text a body."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.answers: dict[str, object] = {}
        self.delay_s = 0.0

    async def take(self, request: web.Request) -> web.Response:
        text = await request.text()
        message = Verifier(SECRET).verify(text, dict(request.headers))
        assert isinstance(message, dict)
        self.got.append(message)
        await asyncio.sleep(self.delay_s)
        answer = self.answers.get(message["type"], {"allow": True})
        if isinstance(answer, int):
            return web.Response(status=answer)
        return web.Response(text=answer if isinstance(answer, str) else json.dumps(answer))

    def of(self, call: PeerCall, step: str) -> list[dict[str, Any]]:
        """What was told of a phone's call."""
        return [one["data"] for one in self.got if one["type"] == f"call.{step}" and one["data"]["call_id"] == call.call_id]


def configuration(folder: Path, module: str, bank: Bank, http_port: int) -> dict[str, str]:
    """One control and a counter of calls; a server for each, because what is configured is configured for all calls."""
    (folder / "key").write_text(SECRET)
    return {
        "call_control.conf": CONTROL.replace("$H(X-Control)", module)
        + 'pick_uuid=$H(X-Account)\npick_timer=$H(X-Timer)\ndeadline_ms=600\non_unreachable="refuse,go_on 1"\n',
        "cc_prepaid.conf": f"file={folder}/prepaid.db\nslice=2\n",
        "cc_prepaid_xmlrpc.conf": f"server_address=127.0.0.1\nserver_port={bank.port}\n",
        "cc_http.conf": f"url=http://127.0.0.1:{http_port}/calls\nsecret_file={folder}/key\n",
        "app_mapping.conf": "^sip:echo=>echo\n",
    }


@pytest.fixture(scope="module")
def bank() -> Iterator[Bank]:
    bank = Bank()
    yield bank
    bank.close()


@pytest.fixture(scope="module")
def http_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, bank: Bank, http_port: int) -> Iterator[dict[str, Server]]:
    """A server for each control that is tried."""
    running: dict[str, Server] = {}
    ports = "rtp_low_port=20000\nrtp_high_port=24999" if LONG else ""  # phones that send nothing have a port each
    try:
        for module in ("cc_prepaid", "cc_prepaid_xmlrpc", "cc_http"):
            folder = tmp_path_factory.mktemp(module)
            running[module] = Server(folder, configuration(folder, module, bank, http_port), ports, PLUGINS)
            running[module].launch()
        for server in running.values():
            wait_until(lambda server=server: "cordboard is up" in server.log or server.status is not None, "the banner", 110)  # type: ignore[misc]
            assert server.status is None, server.log
        yield running
    finally:
        for server in running.values():
            server.end()
    for server in running.values():
        assert "Traceback" not in server.log, server.log


@pytest_asyncio.fixture
async def service(http_port: int) -> AsyncIterator[Service]:
    service = Service()
    application = web.Application()
    application.router.add_post("/calls", service.take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", http_port).start()
    yield service
    await runner.cleanup()


def headers(account: str, most: int = 50) -> str:
    return f"X-Account: {account}\r\nX-Most: {most}\r\n"


async def lasts(peer: UdpPeer, more: str, hang_up_s: float = 0, must: bool = False) -> tuple[PeerCall, float]:
    """Place a call and stay until it is over; how long it was up, in seconds as the phone saw it; 0: it was refused."""
    call = peer.invite("echo", headers=more)
    code = await call.final()
    if code != 200:
        assert not must, f"refused with {code}"
        return call, 0
    call.ack()
    began = time.monotonic()
    if hang_up_s:
        await asyncio.sleep(hang_up_s)
        assert await call.bye() == 200
    else:
        await call.next("BYE", patience_s=90)
    return call, time.monotonic() - began


# ------------------------------------------------------------------------------------------------------------------- prepaid
async def test_prepaid_calls_end_when_the_credit_does_and_the_balances_add_up(servers: dict[str, Server]) -> None:
    """Some hang up before; none is cut before its credit is used up. That none lasts longer is for the balance to say, not for a clock."""
    server, chance = servers["cc_prepaid"], random.Random(5)
    count, (low, high) = size(12, 1000), size((1, 3), (5, 30))  # type: ignore[call-overload]
    credit = {f"acc{number}": chance.randint(low, high) for number in range(count)}
    for account, seconds in credit.items():
        assert server.json("cc_prepaid.setCredit", account, seconds) == [seconds]
    peers = [await UdpPeer.open(server.sip_port) for _ in range(min(count, 20))]
    hang_up = {account: chance.choice((0, 0, seconds * 0.6)) for account, seconds in credit.items()}

    async def one(number: int, account: str) -> tuple[str, float]:
        await asyncio.sleep(chance.random() * count / 50)
        return account, (await lasts(peers[number % len(peers)], headers(account), hang_up[account], must=True))[1]

    try:
        ended = await asyncio.gather(*(one(number, account) for number, account in enumerate(credit)))
    except AssertionError as error:
        raise AssertionError(f"{error}\n{server.log[-3000:]}") from error
    for account, up_s in ended:
        left, known = server.json("cc_prepaid.getCredit", account)
        assert known and 0 <= left <= credit[account]
        if hang_up[account]:
            assert abs(credit[account] - left - up_s) <= 1.5, (account, credit[account], left, up_s)
        else:
            assert left == 0 and up_s > credit[account] - 0.5, (account, credit[account], left, up_s)
    assert (await lasts(peers[0], headers("nobody")))[1] == 0
    for peer in peers:
        peer.close()
    await asyncio.to_thread(wait_until, lambda: server.xml.calls() == 0, "no call is left")


async def test_two_calls_of_one_account_share_its_credit_and_an_operator_gives_more(servers: dict[str, Server]) -> None:
    server = servers["cc_prepaid"]
    server.json("cc_prepaid.setCredit", "shared", 4)
    peer = await UdpPeer.open(server.sip_port)
    calls = [asyncio.ensure_future(lasts(peer, headers("shared"))) for _ in range(2)]
    listed = await asyncio.to_thread(
        wait_until,
        lambda: (found := server.json("control.list")) and len([c for c in found if c["used_s"] > 0]) == 2 and found,
        "both up",
    )
    assert {one["account"] for one in listed} == {"shared"} and sum(one["left_s"] + one["used_s"] for one in listed) <= 4.01
    assert server.json("control.extend", listed[0]["call"], 2) == [200, "OK"]
    (_, first_s), (_, second_s) = await asyncio.gather(*calls)
    longer, shorter = max(first_s, second_s), min(first_s, second_s)
    assert shorter > 1.5 and longer > 3.0
    assert server.json("cc_prepaid.getCredit", "shared") == [0, 1]
    assert server.json("control.extend", "nobody", 1) == [404, "call does not exist"]
    peer.close()


async def test_calls_at_once_are_counted(servers: dict[str, Server]) -> None:
    server = servers["cc_prepaid"]
    server.json("cc_prepaid.setCredit", "busy", 100)
    peer = await UdpPeer.open(server.sip_port)
    first = peer.invite("echo", headers=headers("busy", most=1))
    assert await first.final() == 200
    first.ack()
    second = peer.invite("echo", headers=headers("busy", most=1))
    assert await second.final() == 402
    assert await first.bye() == 200
    await asyncio.to_thread(wait_until, lambda: server.xml.calls() == 0, "no call is left")
    peer.close()


# ------------------------------------------------------------------------------------------------------------------- XML-RPC
async def test_credit_of_a_server_elsewhere(servers: dict[str, Server], bank: Bank) -> None:
    server = servers["cc_prepaid_xmlrpc"]
    bank.credit.update(rich=100, short=1, empty=0)
    peer = await UdpPeer.open(server.sip_port)
    (_, none_s), (_, unknown_s), (_, short_s), (_, rich_s) = await asyncio.gather(
        lasts(peer, headers("empty")),
        lasts(peer, headers("unknown")),
        lasts(peer, headers("short")),
        lasts(peer, headers("rich"), 1.6),
    )
    assert none_s == unknown_s == 0 and short_s > 0.9 and rich_s > 1.5
    await asyncio.to_thread(wait_until, lambda: len(bank.taken) == 2, "both are charged")
    taken = dict(bank.taken)
    assert taken["short"] == 1 and abs(taken["rich"] - rich_s) <= 1.5 and bank.credit["rich"] == 100 - taken["rich"]
    assert server.json("cc_prepaid_xmlrpc.getCredit", "rich") == [bank.credit["rich"]]
    peer.close()


# --------------------------------------------------------------------------------------------------------------- web service
async def test_a_service_grants_renews_and_is_told_of_the_end(servers: dict[str, Server], service: Service) -> None:
    server = servers["cc_http"]
    service.answers = {
        "call.authorize": {"allow": True, "seconds": 1, "renew": True, "account": "acme", "charge_id": "77"},
        "call.renew": {"allow": True, "seconds": 1, "renew": False},
    }
    peer = await UdpPeer.open(server.sip_port)
    call, up_s = await lasts(peer, headers("acme"))
    assert up_s > 1.5
    await asyncio.to_thread(wait_until, lambda: service.of(call, "ended"), "the end is told")
    (asked,), (answered,), (ended,) = (service.of(call, step) for step in ("authorize", "answered", "ended"))
    assert (
        asked["values"]["uuid"] == "acme" and asked["request_uri"].startswith("sip:echo@") and answered["call"] == asked["call"]
    )
    assert len(service.of(call, "renew")) == 1 and ended["used_seconds"] >= 1.9 and ended["by"] == "local"
    peer.close()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"allow": False, "code": 403, "reason": "No"}, 403), ({"allow": "yes"}, 503), ("<html>", 503), (500, 503),
        ({"allow": True, "seconds": -1}, 503), ({"allow": True, "second": 60}, 503), ({"allow": False, "code": 200}, 503),
    ],
)  # fmt: skip
async def test_what_a_service_that_refuses_lies_or_fails_does_to_a_call(
    servers: dict[str, Server], service: Service, answer: object, code: int
) -> None:
    service.answers = {"call.authorize": answer}
    peer = await UdpPeer.open(servers["cc_http"].sip_port)
    call = peer.invite("echo", headers=headers("acme"))
    assert await call.final() == code
    assert not service.of(call, "answered")
    peer.close()


async def test_a_service_that_is_slow_or_gone(servers: dict[str, Server], service: Service) -> None:
    server = servers["cc_http"]
    service.delay_s = 3
    peer = await UdpPeer.open(server.sip_port)
    assert (await lasts(peer, headers("acme")))[1] == 0
    service.delay_s = 0
    service.answers = {"call.authorize": {"allow": True, "seconds": 1, "renew": True}, "call.renew": 503}
    call, up_s = await lasts(peer, headers("acme"))
    assert up_s > 1.5, "go_on 1 follows what was granted"
    assert service.of(call, "renew")
    assert "control pick does not answer" in server.log and call.call_id
    peer.close()
