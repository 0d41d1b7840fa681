# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_redis against a real Redis (spec dsm.md §5.10)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from di.dsm.language.event import Kind
from tests.support.databases import Redis
from tests.support.dsm_calls import Calls
from tests.support.slow_proxy import SlowProxy

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def store() -> Iterator[Redis]:
    with Redis() as server:
        assert isinstance(server, Redis)
        yield server


@pytest.fixture
async def calls(store: Redis) -> AsyncIterator[Calls]:
    async with Calls() as calls:
        await calls.run("mod_redis", "redis.connect($url); redis.execCommand($x=FLUSHALL)", url=store.url())
        yield calls


async def redis(calls: Calls, store: Redis, body: str, **variables: str) -> dict[str, str]:
    return await calls.run("mod_redis", f"redis.connect($url); throwOnError(); {body}", url=store.url(), **variables)


async def test_replies_of_every_kind(calls: Calls, store: Redis) -> None:
    found = await redis(
        calls, store,
        "redis.execCommand($set=SET k $v); redis.execCommand($get=GET k); redis.execCommand($nil=GET nope); redis.execCommand($n=INCR n);"
        "redis.execCommand($list=RPUSH l a b); redis.execCommand($l=LRANGE l 0 -1); redis.execCommand($m=MGET k nope);"
        "redis.execCommand($t=EVAL return{1,{2,'three'}} 0); redis.execCommand($p=SET percent 100%%); redis.execCommand($percent=GET percent);",
        v="one",
    )  # fmt: skip
    assert (found["set"], found["get"], found["nil"], found["n"], found["list"]) == ("OK", "one", "nil", "1", "2")
    assert (found["l[0]"], found["l[1]"], found["m[0]"], found["m[1]"]) == ("a", "b", "one", "nil")
    assert (found["t[0]"], found["t[1][0]"], found["t[1][1]"], found["percent"]) == ("1", "2", "three", "100%")


async def test_queued_commands_and_their_replies(calls: Calls, store: Redis) -> None:
    found = await redis(
        calls, store,
        "redis.appendCommand(SET a 1); redis.appendCommand(INCR a); redis.appendCommand(NOSUCH); redis.appendCommand(GET a); set($e0=$errno);"
        "redis.getReply($r0); redis.getReply($r1); redis.getReply($r2); set($e2=$errno);"
        "set($errno=); redis.getReply($r3); set($e3=$errno); redis.getReply($r4)",
    )  # fmt: skip
    assert (found["e0"], found["r0"], found["r1"], found["e2"], found["r3"], found["e3"]) == ("", "OK", "2", "write", "2", "")
    assert ("r4" in found, found["errno"]) == (False, "read"), "nothing is to come"


async def test_errors(calls: Calls, store: Redis) -> None:
    found = await redis(
        calls, store,
        "redis.execCommand($v=NOSUCH); set($e=$errno); redis.execCommand($v=GET l); set($kept=$errno); redis.disconnect(); set($bye=$errno);"
        "redis.disconnect(); set($again=$errno); redis.execCommand($v=GET a); set($gone=$errno)",
    )  # fmt: skip
    assert (found["e"], found["kept"], found["bye"], found["again"], found["gone"]) == (
        "write",
        "write",
        "",
        "connection",
        "connection",
    )
    sock = f"redis://unix:{store.folder}"
    for url, errno in (
        ("redis://tcp:127.0.0.1;port=1", "connection"), ("redis://tcp:h;port=x", "arg"), ("redis:h", "arg"), ("", "arg"),
        (f"{sock}/none", "connection"), (f"{sock}/sock;connect_timeout=900", ""),
    ):  # fmt: skip
        assert (await calls.run("mod_redis", "redis.connect($u)", u=url))["errno"] == errno, url


@pytest.mark.parametrize("evil", ["x\r\nFLUSHALL\r\n", "%s%n%d", "a\tb", "ö😀", "'", '"'])
async def test_values_cannot_become_commands(calls: Calls, store: Redis, evil: str) -> None:
    found = await redis(
        calls, store,
        "redis.execCommand($a=SET marker 1); redis.execCommand($b=SET k $v);"
        "redis.execCommand($got=GET k); redis.execCommand($m=GET marker)",
        v=evil,
    )  # fmt: skip
    assert (found["got"], found["m"]) == (evil, "1")


async def test_others_do_not_wait_and_a_dead_server_is_an_error(calls: Calls) -> None:
    with Redis() as own:
        assert isinstance(own, Redis)
        async with SlowProxy(own.port) as proxy:
            call = calls.call(
                "import(mod_redis); initial state A enter { redis.connect($url); };"
                "state B enter { redis.execCommand($v=PING); set($e=$errno) };"
                "state C enter { redis.execCommand($v=PING); set($e2=$errno) }; transition t A - key -> B; transition u B - key -> C;",
                url=own.url(proxy.port),
            )  # fmt: skip
            await call.start()
            proxy.hold()
            waiting = asyncio.create_task(call.event(Kind.KEY, key="1"))
            await proxy.held.wait()
            other = calls.call("initial state A; transition t A - key / inc($n) -> A;")
            await other.start()
            for _ in range(1000):
                await other.event(Kind.KEY, key="1")
            assert (other.vars["n"], waiting.done()) == ("1000", False)
            own.kill()
            proxy.release()
            await waiting
            assert call.vars["v"] == "PONG", "the answer was on its way"
            await call.event(Kind.KEY, key="1")
    assert call.vars["e2"] in ("read", "write")
