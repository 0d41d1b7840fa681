# SPDX-License-Identifier: GPL-2.0-or-later
"""Controls of a whole server in real calls: how long each lasts at the phone, what it cost, and services that are slow, dead or lie."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from xmlrpc.server import SimpleXMLRPCServer

import pytest
import pytest_asyncio
from aiohttp import web
from standardwebhooks import Webhook as Verifier

from tests.support.credit import RTP_PORTS_OF_MANY, TROUBLES, Purse, accounts, judge, place
from tests.support.ports import free_port
from tests.support.server import Server, wait_until
from tests.support.sip_peer import PeerCall, UdpPeer
from tests.support.sizes import LONG

pytestmark = pytest.mark.peers

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
PLUGINS = "monitoring;echo;cc_call_timer;cc_pcalls;cc_prepaid;cc_prepaid_xmlrpc;cc_http;call_control;xmlrpc2di;web"
EARLY_S = 0.4
"""By so much may a call end before its time is up on a machine that is late (`di.calls.admitted.EndLead`)."""
CONTROL = """\
call_control=pick,few
pick_module=$H(X-Control)
few_module=cc_pcalls
few_uuid=$H(X-Account)
few_max_calls=$H(X-Most)
"""


class ThreadingBank(ThreadingMixIn, SimpleXMLRPCServer):
    """A slow answer holds up nobody else's."""

    daemon_threads = True


class Bank:
    """The XML-RPC server of cc_prepaid_xmlrpc: Python's own, in a thread."""

    def __init__(self) -> None:
        self.credit: dict[str, int] = {}
        self.taken: list[tuple[str, int]] = []
        self.kind = ""
        self._given: dict[str, int] = {}
        self.port = free_port()
        self._listen()

    def _listen(self) -> None:
        self._server = ThreadingBank(("127.0.0.1", self.port), logRequests=False, allow_none=True)
        self._server.register_function(self._credit, "getCredit")
        self._server.register_function(self._subtract, "subtractCredit")
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    # a tests.support.credit.Purse
    def give(self, account: str, seconds: int) -> None:
        self.credit[account] = seconds

    def left(self, account: str) -> float:
        return self.credit[account]

    def granted(self, account: str) -> float | None:
        return self._given.get(account, 0)

    def trouble(self, kind: str) -> Awaitable[None]:
        def turn() -> None:
            if kind == "dead":
                self.close()
            elif self.kind == "dead":
                self._listen()
            self.kind = kind

        return asyncio.to_thread(turn)

    def _credit(self, pin: str) -> int | str:
        if self.kind == "slow":
            time.sleep(3)
        elif self.kind == "lie":
            return "plenty"
        else:
            self._given[pin] = self.credit.get(pin, -1)
        return self.credit.get(pin, -1)

    def _subtract(self, orders: list[dict[str, Any]]) -> int | str:
        if self.kind == "slow":
            time.sleep(3)
        (order,) = orders
        assert order["methodName"] == "subtractCredit"
        self.credit[order["pin"]] -= order["amount"]
        self.taken.append((order["pin"], order["amount"]))  # the last: a test that sees it finds the credit as it is then
        if self.kind == "lie":
            return "thanks"
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
        self.kind = ""
        self.balance: dict[str, float] = {}
        self.given: dict[str, float] = {}
        """Of accounts with a balance: what is free, and what was granted in order."""
        self.ended: set[str] = set()
        self.site: web.TCPSite | None = None
        self.listen: Callable[[], Awaitable[None]] | None = None

    async def take(self, request: web.Request) -> web.Response:
        if self.kind == "dead" and request.transport is not None:
            request.transport.close()  # a connection that was kept from before
            raise ConnectionResetError
        text = await request.text()
        message = Verifier(SECRET).verify(text, dict(request.headers))
        assert isinstance(message, dict)
        self.got.append(message)
        well = not self.kind
        await asyncio.sleep(3 if self.kind == "slow" else self.delay_s)
        answer = self.answers.get(message["type"], {"allow": True})
        if (account := message["data"]["values"].get("uuid")) in self.balance:
            answer = self._bank(message, account, well)
        if isinstance(answer, int):
            return web.Response(status=answer)
        return web.Response(text=answer if isinstance(answer, str) else json.dumps(answer))

    def _bank(self, message: dict[str, Any], account: str, well: bool) -> object:
        """Slices of 2 s; what is charged is what was used, once a call, however often it is told."""
        kind, data = message["type"], message["data"]
        if kind == "call.ended" and data["call"] not in self.ended:
            self.ended.add(data["call"])
            self.balance[account] -= round(data["used_seconds"])
        if kind not in ("call.authorize", "call.renew"):
            return {}
        if self.kind == "lie":
            return {"allow": True, "seconds": "for ever"}
        before = self.given.get(account, 0.0) if kind == "call.renew" else 0.0
        seconds = min(2.0, self.balance[account] - before)
        if seconds <= 0:
            return {"allow": False, "code": 402, "reason": "Insufficient Credit"}
        if well:
            self.given[account] = before + seconds
        return {"allow": True, "seconds": seconds, "renew": True, "account": account}

    # a tests.support.credit.Purse
    def give(self, account: str, seconds: int) -> None:
        self.balance[account] = seconds

    def left(self, account: str) -> float:
        return self.balance[account]

    def granted(self, account: str) -> float | None:
        return self.given.get(account, 0.0)

    async def trouble(self, kind: str) -> None:
        before, self.kind = self.kind, kind
        if kind == "dead" and self.site is not None:
            await self.site.stop()
        elif before == "dead" and self.listen is not None:
            await self.listen()

    def of(self, call: PeerCall, step: str) -> list[dict[str, Any]]:
        """What was told of a phone's call."""
        return [one["data"] for one in self.got if one["type"] == f"call.{step}" and one["data"]["call_id"] == call.call_id]


DEADLINE_MS = 900 if LONG else 2000
"""At full size a control is slow while slices of 2 s end; in the suite nothing asks it in need of an early end, and a busy machine thinks, too."""


def configuration(folder: Path, module: str, bank: Bank, http_port: int) -> dict[str, str]:
    """One control and a counter of calls; a server for each, because what is configured is configured for all calls."""
    (folder / "key").write_text(SECRET)
    return {
        "call_control.conf": CONTROL.replace("$H(X-Control)", module)
        + f"pick_uuid=$H(X-Account)\npick_timer=$H(X-Timer)\ndeadline_ms={DEADLINE_MS}\n"
        + 'on_unreachable="refuse,go_on 1"\n',
        "cc_prepaid.conf": f"file={folder}/prepaid.db\nslice=2\n",
        "cc_prepaid_xmlrpc.conf": f"server_address=127.0.0.1\nserver_port={bank.port}\nfile={folder}/xmlrpc.db\n",
        "cc_http.conf": f"url=http://127.0.0.1:{http_port}/calls\nsecret_file={folder}/key\nfile={folder}/http.db\n",
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
    try:
        for module in ("cc_prepaid", "cc_prepaid_xmlrpc", "cc_http"):
            folder = tmp_path_factory.mktemp(module)
            running[module] = Server(folder, configuration(folder, module, bank, http_port), RTP_PORTS_OF_MANY, PLUGINS)
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

    async def listen() -> None:
        service.site = web.TCPSite(runner, "127.0.0.1", http_port)
        await service.site.start()

    service.listen = listen
    await listen()
    yield service
    await runner.cleanup()


def headers(account: str, most: int = 50) -> str:
    return f"X-Account: {account}\r\nX-Most: {most}\r\n"


async def lasts(peer: UdpPeer, more: str, hang_up_s: float = 0) -> tuple[PeerCall, float]:
    """Place a call and stay until it is over; how long it was up, in seconds as the phone saw it; 0: it was refused."""
    call = peer.invite("echo", headers=more)
    code = await call.final()
    if code != 200:
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
class OwnPurse:
    """The balances of `cc_prepaid`: a `tests.support.credit.Purse` that is never in trouble, for it is in the server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def give(self, account: str, seconds: int) -> None:
        assert self._server.json("cc_prepaid.setCredit", account, seconds) == [seconds]

    def left(self, account: str) -> float:
        left, known = self._server.json("cc_prepaid.getCredit", account)
        assert known and left >= 0
        return float(left)

    def granted(self, account: str) -> float | None:
        return None

    def trouble(self, kind: str) -> None:
        """There is none."""


@pytest.mark.timeout(1200)
async def test_prepaid_calls_end_when_the_credit_does_and_the_balances_add_up(
    servers: dict[str, Server], bank: Bank, service: Service
) -> None:
    """At each control; some hang up before. In the suite at all of them at once, at full size one after the other."""
    purses: dict[str, Purse] = {"cc_prepaid": OwnPurse(servers["cc_prepaid"]), "cc_prepaid_xmlrpc": bank, "cc_http": service}

    async def at(module: str, purse: Purse) -> None:
        troubles = TROUBLES if LONG and module != "cc_prepaid" else ()
        calls = await place(servers[module].sip_port, accounts(module, 4, (1, 3)), purse, 20, troubles)
        print(module, await judge(calls, purse))

    if LONG:
        for module, purse in purses.items():
            await at(module, purse)
    else:
        await asyncio.gather(*(at(module, purse) for module, purse in purses.items()))
    peer = await UdpPeer.open(servers["cc_prepaid"].sip_port)
    assert (await lasts(peer, headers("nobody")))[1] == 0
    peer.close()
    for server in servers.values():
        await asyncio.to_thread(wait_until, lambda server=server: server.xml.calls() == 0, "no call is left")


async def test_two_calls_of_one_account_share_its_credit_and_an_operator_gives_more(servers: dict[str, Server]) -> None:
    server = servers["cc_prepaid"]
    server.json("cc_prepaid.setCredit", "shared", 16)
    peer = await UdpPeer.open(server.sip_port)
    calls = [asyncio.ensure_future(lasts(peer, headers("shared"))) for _ in range(2)]
    listed = await asyncio.to_thread(
        wait_until,
        lambda: (found := server.json("control.list")) and len([c for c in found if c["used_s"] > 0]) == 2 and found,
        "both up",
    )
    assert {one["account"] for one in listed} == {"shared"} and sum(one["left_s"] + one["used_s"] for one in listed) <= 16.01
    assert server.json("control.extend", listed[0]["call"], 2) == [200, "OK"]
    (_, first_s), (_, second_s) = await asyncio.gather(*calls)
    longer, shorter = max(first_s, second_s), min(first_s, second_s)
    assert shorter > 4 and longer > 6
    # a phone knows of its BYE before the control has charged the call, and both calls may end at the same moment
    await asyncio.to_thread(wait_until, lambda: server.json("cc_prepaid.getCredit", "shared") == [0, 1], "both are charged")
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
    assert none_s == unknown_s == 0 and short_s > 1 - EARLY_S and rich_s > 1.5
    await asyncio.to_thread(wait_until, lambda: {"short", "rich"} <= dict(bank.taken).keys(), "both are charged")
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
    assert len(service.of(call, "renew")) == 1 and ended["used_seconds"] >= 2 - EARLY_S and ended["by"] == "local"
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
    refused = peer.invite("echo", headers=headers("acme"))
    assert await refused.final() == code
    service.answers = {}
    taken, _ = await lasts(peer, headers("acme"), 0.1)
    await asyncio.to_thread(
        wait_until, lambda: service.of(taken, "ended"), "a call that it grants is told from its answer to its end"
    )
    assert service.of(taken, "answered") and not service.of(refused, "answered")
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
