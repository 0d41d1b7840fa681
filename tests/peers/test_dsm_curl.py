# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_curl against a real HTTP server in the same loop, so that a request that blocked the loop would never be answered (spec dsm.md §5.12)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from di.dsm.language.event import Kind
from tests.support.dsm_calls import Calls
from tests.support.slow_proxy import SlowProxy

pytestmark = pytest.mark.peers


class Site:
    """Answers with what it was asked."""

    def __init__(self) -> None:
        self.runner: web.AppRunner
        self.port = 0
        self.seen: list[str] = []

    async def start(self) -> None:
        app = web.Application(client_max_size=1 << 20)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.port = self.runner.addresses[0][1]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.raw_path}")
        if "Cookie" in request.headers:
            return web.Response(text="a cookie came back")
        if request.path == "/moved":
            return web.Response(status=302, headers={"Location": "/elsewhere"}, text="moved")
        if request.path == "/broken":
            return web.Response(status=500, text="sorry")
        if request.path == "/cut":
            response = web.StreamResponse(headers={"Content-Length": "100"})
            await response.prepare(request)
            await response.write(b"half")
            assert request.transport is not None
            request.transport.close()
            return response
        if request.path == "/big":
            return web.Response(body=b"x" * 17_000_000)
        if request.method == "POST":
            form = await request.post()
            return web.Response(text=";".join(f"{name}={value}" for name, value in form.items()) + " " + request.content_type)
        response = web.Response(text=f"hello ö {request.raw_path}")
        response.set_cookie("call", "first")
        return response


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    await site.start()
    yield site
    await site.runner.cleanup()


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    async with Calls() as calls:
        yield calls


async def curl(calls: Calls, site: Site, body: str, **variables: str) -> dict[str, str]:
    return await calls.run("mod_curl", body, url=f"http://127.0.0.1:{site.port}/", **variables)


async def test_every_action(calls: Calls, site: Site, tmp_path: Path) -> None:
    found = await curl(
        calls, site,
        'curl.get($url); set($a=$curl.out); set($e=$errno); curl.getForm($url, "n;$m"); set($b=$curl.out);'
        'sets($q="$(url)?x=1"); curl.getForm($q, n); set($c=$curl.out); curl.post($url, "n;$m"); set($d=$curl.out);'
        f"curl.getDiscardResult($url); curl.postDiscardResult($url, n); curl.getFile($url, {tmp_path}/f);",
        n="1", m="two&3=%41 ö",
    )  # fmt: skip
    assert (found["a"], found["e"]) == ("hello ö /", "")
    assert found["b"] == "hello ö /?n=1&m=two&3=%41%20%C3%B6", "as written; only what HTTP cannot carry is encoded"
    assert found["c"] == "hello ö /?x=1&n=1"
    assert found["d"] == "n=1;m=two&3=%41 ö multipart/form-data"
    assert (found["curl.out"], found["errno"], (tmp_path / "f").read_text()) == (found["d"], "", "hello ö /")
    assert [line.split()[0] for line in site.seen] == ["GET", "GET", "GET", "POST", "GET", "POST", "GET"]


async def test_what_is_an_error_and_what_is_not(calls: Calls, site: Site, tmp_path: Path) -> None:
    base = f"http://127.0.0.1:{site.port}"
    for url, errno, out in (
        (f"{base}/broken", "", "sorry"), (f"{base}/moved", "", "moved"), (f"{base}/cut", "general", None), (f"{base}/big", "general", None),
        ("http://127.0.0.1:1/", "general", None), ("http://", "general", None), ("http://[::1", "general", None), ("file:///etc/passwd", "arg", None),
        ("gopher://x/", "arg", None), ("", "arg", None), (f"{base}/a?\r\nX-Evil: 1", "", "hello ö /a?%0D%0AX-Evil:%201"),
    ):  # fmt: skip
        found = await calls.run("mod_curl", "curl.get($u)", u=url, **{"curl.out": "old"})
        assert (found["errno"], found.get("curl.out")) == (errno, out), url
        assert bool(found.get("curl.err")) == bool(errno), url
    assert (await curl(calls, site, "curl.get($url)", **{"curl.timeout": "soon"}))["errno"] == "arg"
    assert (await curl(calls, site, f"curl.getFile($url, {tmp_path}/no/where)"))["errno"] == "file"
    assert "/elsewhere" not in " ".join(site.seen)


async def test_one_call_does_not_get_the_cookies_of_another(calls: Calls, site: Site) -> None:
    for _ in range(2):
        found = await curl(calls, site, "curl.get($url)")
        assert found["curl.out"] == "hello ö /"


async def test_others_do_not_wait_for_a_slow_site(calls: Calls, site: Site) -> None:
    async with SlowProxy(site.port) as proxy:
        proxy.hold()
        call = calls.call("import(mod_curl); initial state A enter { curl.get($url) };", url=f"http://127.0.0.1:{proxy.port}/x")
        waiting = asyncio.create_task(call.start())
        await proxy.held.wait()
        other = calls.call("initial state A; transition t A - key / inc($n) -> A;")
        await other.start()
        for _ in range(1000):
            await other.event(Kind.KEY, key="1")
        assert (other.vars["n"], waiting.done()) == ("1000", False)
        proxy.release()
        await waiting
    assert call.vars["curl.out"] == "hello ö /x"
    async with SlowProxy(site.port) as proxy:
        proxy.hold()
        url = f"http://127.0.0.1:{proxy.port}/x"
        found = await calls.run("mod_curl", "curl.get($u)", u=url, **{"curl.timeout": "1"})
    assert (found["errno"], found["curl.err"]) == ("general", "no complete answer in 1 s")
