# SPDX-License-Identifier: GPL-2.0-or-later
"""Controls that a proxy's header names, in a whole server: what the second leg's INVITE says, a web server and a Redis that are there or not."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from aiohttp import web

from interfaces.sip.message import Message
from tests.support.databases import Redis
from tests.support.ports import free_port
from tests.support.server import WITH_APPS, Server, wait_until
from tests.support.sip_peer import PeerCall, UdpPeer

pytestmark = pytest.mark.peers

PLUGINS = "monitoring;desk;cc_ctl;cc_rest;cc_bl_redis;cc_call_timer;call_control;xmlrpc2di;web"


class Routes:
    """The web server that says where calls go. `answers`: called user → status and body."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.answers: dict[str, tuple[int, str]] = {}
        self.delay_s = 0.0

    async def route(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.query))
        await asyncio.sleep(self.delay_s)
        status, body = self.answers.get(request.query["to"], (404, ""))
        return web.Response(status=status, text=body)


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with Redis() as running:
        assert isinstance(running, Redis)
        yield running


@pytest.fixture(scope="module")
def http_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, redis: Redis, http_port: int) -> Iterator[Server]:
    files = {
        "app_mapping.conf": "^sip:=>desk\n",
        "call_control.conf": "call_control=$H(P-Call-Control)\ndeadline_ms=5000\n"
        f'web_module=cc_rest\nweb_url="http://127.0.0.1:{http_port}/route?to=$#($rU)&from=$#($f.)"\nweb_format=text\n'
        f'json_module=cc_rest\njson_url="http://127.0.0.1:{http_port}/route?to=$rU"\njson_format=json\n'
        'list_module=cc_bl_redis\nlist_argc=3\nlist_argv_0=SISMEMBER\nlist_argv_1=black\nlist_argv_2="$fU"\n',
        "cc_rest.conf": "timeout_ms=3000\n",
        "cc_bl_redis.conf": f'redis_port={redis.port}\nredis_reconnect_timers="50"\nredis_connections=2\nredis_full_logging=yes\n',
    }
    with Server(tmp_path_factory.mktemp("changes"), files, plugins=PLUGINS, program=WITH_APPS) as server:
        yield server
    assert "Traceback" not in server.log, server.log


@pytest_asyncio.fixture
async def routes(http_port: int) -> AsyncIterator[Routes]:
    routes = Routes()
    application = web.Application()
    application.router.add_get("/route", routes.route)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", http_port).start()
    yield routes
    await runner.cleanup()


@pytest_asyncio.fixture
async def phones(server: Server) -> AsyncIterator[tuple[UdpPeer, UdpPeer]]:
    """Who calls, and who is called."""
    caller, callee = [await UdpPeer.open(server.sip_port) for _ in range(2)]
    yield caller, callee
    caller.close()
    callee.close()


def invite(caller: UdpPeer, control: str, user: str = "x", target: str = "sip:nobody@127.0.0.1:9") -> PeerCall:
    return caller.invite(user, headers=f"P-Call-Control: {control}\r\nX-Desk: invite relay\r\nX-Target: {target}\r\n")


async def connected(call: PeerCall, callee: UdpPeer) -> PeerCall:
    """The callee takes the call; it is over when this returns."""
    second = await asyncio.wait_for(callee.incoming.get(), 30)
    await second.accept()
    assert await call.final() == 200
    call.ack()
    assert await call.bye() == 200
    await second.next("BYE")
    return second


def measured(server: Server, name: str, labels: str) -> float:
    """A figure of the controls as /metrics has it; 0 where there is none yet."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.web_port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found = [float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"cordboard_control_{name}{{{labels}}} ")]
    return found[0] if found else 0.0


def got(call: PeerCall) -> Message:
    assert call.invite_message is not None
    return call.invite_message


def line(call: PeerCall, name: str) -> str:
    return got(call).header(name)


async def test_ctl_changes_where_a_call_goes_and_what_it_says(server: Server, phones: tuple[UdpPeer, UdpPeer]) -> None:
    caller, callee = phones
    control = (
        f'ctl;RURI="sip:bob@example.invalid";From="<sip:service@here.example>";To="<sip:bob@there.example>";next_hop=127.0.0.1:{callee.port};'
        'append_headers="P-Tenant: acme, inc|P-Rate: 3"'
    )
    granted = ("decisions_total", 'control="ctl",decision="granted"')
    before = measured(server, *granted)
    second = await connected(invite(caller, control), callee)
    assert measured(server, *granted) == before + 1
    assert got(second).request_uri == "sip:bob@example.invalid"
    assert "sip:service@here.example" in line(second, "From") and "sip:bob@there.example" in line(second, "To")
    assert line(second, "P-Tenant") == "acme, inc" and line(second, "P-Rate") == "3"


async def test_two_controls_of_one_header(server: Server, phones: tuple[UdpPeer, UdpPeer]) -> None:
    caller, callee = phones
    target = f"sip:carol@127.0.0.1:{callee.port}"
    call = invite(caller, f'ctl;RURI="{target}", cc_call_timer;timer=1')
    second = await asyncio.wait_for(callee.incoming.get(), 30)
    await second.accept()
    assert await call.final() == 200
    call.ack()
    await call.next("BYE")
    await second.next("BYE")


async def test_a_web_server_says_where_a_call_goes(server: Server, routes: Routes, phones: tuple[UdpPeer, UdpPeer]) -> None:
    caller, callee = phones
    target = f"sip:dora@127.0.0.1:{callee.port}"
    routes.answers["text"] = (200, f"# routed\nruri = {target}\nappend_headers = P-A: 1\nappend_headers = P-B: 2\n")
    second = await connected(invite(caller, "web", "text"), callee)
    assert got(second).request_uri == target
    assert line(second, "P-A") == "1" and line(second, "P-B") == "2"
    assert routes.asked[-1]["to"] == "text" and "sip:" in routes.asked[-1]["from"]
    routes.answers["json"] = (
        200,
        json.dumps({"ruri": target, "from": "<sip:j@x>", "append_headers": ["P-C: 3"], "sst_enabled": None}),
    )
    second = await connected(invite(caller, "json", "json"), callee)
    assert "sip:j@x" in line(second, "From") and line(second, "P-C") == "3"


@pytest.mark.parametrize(
    "answer",
    [
        (404, ""),
        (200, "no line"),
        (200, "ruri = bob\n"),
        (200, "append_headers = Via: x\n"),
        (302, ""),
        (200, "x = " + "y" * 100_000),
    ],
)
async def test_a_fetch_that_fails_changes_nothing(
    server: Server, routes: Routes, phones: tuple[UdpPeer, UdpPeer], answer: tuple[int, str]
) -> None:
    caller, callee = phones
    routes.answers["bad"] = answer
    target = f"sip:own@127.0.0.1:{callee.port}"
    second = await connected(invite(caller, "web", "bad", target), callee)
    assert got(second).request_uri == target


async def test_a_web_server_that_is_slow_or_gone_holds_a_call_up_for_a_moment_only(
    server: Server, routes: Routes, phones: tuple[UdpPeer, UdpPeer]
) -> None:
    caller, callee = phones
    routes.delay_s = 5
    of_web = 'control="web"'
    names = [("decisions_total", f'{of_web},decision="granted"'), ("waits_total", of_web), ("wait_seconds_total", of_web)]
    before = [measured(server, *name) for name in names]
    await connected(invite(caller, "web", "slow", f"sip:own@127.0.0.1:{callee.port}"), callee)
    granted, waits, wait_s = (measured(server, *name) - already for name, already in zip(names, before, strict=True))
    assert (granted, waits) == (1, 1)
    assert min(wait_s, measured(server, "longest_wait_seconds", of_web)) > 2.9, "timeout_ms, which no answer came within"
    gone = f"cc_rest;url=http://127.0.0.1:{free_port()}/"
    await connected(invite(caller, gone, "gone", f"sip:own@127.0.0.1:{callee.port}"), callee)
    mistake = invite(caller, "cc_rest;url=ftp://here/;format=xml")
    assert await mistake.final() == 500


async def test_who_is_listed_may_not_call_and_redis_may_come_and_go(
    server: Server, redis: Redis, phones: tuple[UdpPeer, UdpPeer]
) -> None:
    caller, callee = phones
    target = f"sip:own@127.0.0.1:{callee.port}"
    user = "tester"
    await connected(invite(caller, "list", target=target), callee)
    listed = invite(caller, "cc_bl_redis;argc=3;argv_0=SADD;argv_1=other;argv_2=x", target=target)
    assert await listed.final() == 403, "any answer that is not 0 is a hit"
    for mistake in ("cc_bl_redis;argc=2;argv_0=GET", "cc_bl_redis;argc=21", "cc_bl_redis;argc=1;argv_0=NOSUCH", "list;action=x"):
        assert await invite(caller, mistake).final() == 500, mistake
    nobody = invite(caller, "cc_bl_redis;argc=2;argv_0=GET;argv_1=nothing", target=target)
    await connected(nobody, callee)
    assert measured(server, "decisions_total", 'control="cc_bl_redis",decision="refused"') >= 1
    redis.kill()
    await asyncio.to_thread(wait_until, lambda: not redis.ready(), "Redis is gone")
    assert await invite(caller, "list").final() == 500
    assert user and "cannot be asked" in server.log
    redis.start()
    end_s = time.monotonic() + 40
    while await (again := invite(caller, "cc_bl_redis;argc=1;argv_0=PING")).final() != 403:
        assert time.monotonic() < end_s, "Redis is asked again"
        await asyncio.sleep(0.1)
    assert again.call_id and "answers again" in server.log
