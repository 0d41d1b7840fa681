# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_redis: a Redis server (spec dsm.md §5.10). Only the asking call waits.

Commands go over the wire as counted words, so a value can add words to a command (they are split at blanks, as in SEMS) but never a command.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass
from typing import Any

from redis.asyncio.connection import AbstractConnection, Connection, UnixDomainSocketConnection
from redis.exceptions import RedisError, ResponseError

from di.dsm.language.library import Res, Tpl, Var, action, hook
from di.dsm.language.numbers import unsigned
from di.dsm.run.engine import Run

READ_TIMEOUT_S = 30
MAX_DEPTH = 20


@dataclass(frozen=True)
class RedisTarget:
    """Where to connect."""

    host: str = ""
    socket: str = ""
    port: int = 6379
    timeout_ms: int = 500


def parse_url(text: str) -> RedisTarget | None:
    """Read `redis://tcp:HOST[;param=value…]` or `redis://unix:PATH[;…]`. None: no such URL, or a number that is none."""
    found = re.fullmatch(r"redis://(tcp|unix):([^;]+)((?:;[^;=]+=[^;]*)*);?", text)
    if found is None:
        return None
    settings = dict(pair.split("=", 1) for pair in found[3].split(";") if pair)
    port, timeout_ms = unsigned(settings.get("port", "6379")), unsigned(settings.get("connect_timeout", "500"))
    if not port or port > 65535 or timeout_ms is None:
        return None
    tcp = found[1] == "tcp"
    return RedisTarget(found[2] if tcp else "", "" if tcp else found[2], port, timeout_ms)


class RedisConnection:
    """One connection, and how many replies of queued commands are still to be fetched."""

    def __init__(self, connection: AbstractConnection) -> None:
        self.connection = connection
        self.waiting = 0


@action("redis.connect")
async def connect(run: Run, url: Res) -> None:
    """Connect; default `$config.redis_db_url`."""
    target = parse_url(url or run.vars.get("config.redis_db_url", ""))
    if target is None:
        run.fail("arg", "the URL must be redis://tcp:HOST[;port=N;connect_timeout=MS] or redis://unix:PATH")
        return
    timeout_s = max(target.timeout_ms, 1) / 1000
    connection: AbstractConnection
    if target.host:
        connection = Connection(host=target.host, port=target.port, socket_connect_timeout=timeout_s, protocol=2)
    else:
        connection = UnixDomainSocketConnection(path=target.socket, protocol=2)
    try:
        async with asyncio.timeout(timeout_s + 1):
            await connection.connect()  # type: ignore[no-untyped-call]
    except (RedisError, OSError, TimeoutError, ValueError) as error:
        await connection.disconnect()
        run.fail("connection", f"cannot connect to {target.host or target.socket}: {error}")
        return
    await _close(run)
    run.avars["db_redis.con"] = RedisConnection(connection)
    run.ok()
    run.vars["strerror"] = ""


async def _close(run: Run) -> bool:
    found = run.avars.pop("db_redis.con", None)
    if not isinstance(found, RedisConnection):
        return False
    with contextlib.suppress(RedisError, OSError):
        await found.connection.disconnect()
    return True


@action("redis.disconnect")
async def disconnect(run: Run) -> None:
    """Close the connection."""
    if await _close(run):
        run.ok()
    else:
        run.fail("connection", "there is no connection")


def _store(run: Run) -> RedisConnection | None:
    found = run.avars.get("db_redis.con")
    if isinstance(found, RedisConnection):
        return found
    run.fail("connection", "there is no connection; redis.connect first")
    return None


async def _send(run: Run, command: str) -> RedisConnection | None:
    """Write a command: words split at blanks, `%%` is `%`."""
    store = _store(run)
    words = [word.replace("%%", "%") for word in command.split(" ") if word]
    if store is None:
        return None
    if not words:
        run.fail("write", "an empty command")
        return None
    try:
        await store.connection.send_command(*[word.encode("utf-8", "surrogateescape") for word in words])
    except (RedisError, OSError, TimeoutError) as error:
        await _close(run)
        run.fail("write", str(error))
        return None
    return store


async def _fetch(run: Run, store: RedisConnection, target: str) -> None:
    complete = False
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            reply: Any = await store.connection.read_response(disable_decoding=True)
        complete = True
    except ResponseError as error:
        complete = True
        run.fail("write", str(error))
        return
    except (RedisError, OSError, TimeoutError, ValueError) as error:
        run.fail("read", str(error) or f"no answer in {READ_TIMEOUT_S} s")
        return
    finally:
        if not complete:  # where the next reply begins is not known any more
            await _close(run)
    _put(run, target, reply, 0)


def _put(run: Run, target: str, reply: object, depth: int) -> None:
    if isinstance(reply, (list, tuple)) and depth < MAX_DEPTH:
        for index, item in enumerate(reply):
            _put(run, f"{target}[{index}]", item, depth + 1)
    elif reply is None:
        run.vars[target] = "nil"
    elif isinstance(reply, bytes):
        run.vars[target] = reply.decode("utf-8", "surrogateescape")
    elif isinstance(reply, (str, int)):
        run.vars[target] = str(reply)
    elif isinstance(reply, ResponseError):
        run.fail("write", str(reply))
    else:
        run.fail("unknown", f"a reply of type {type(reply).__name__}")


@action("redis.execCommand", separator="=")
async def exec_command(run: Run, target: Var, command: Tpl) -> None:
    """Run a command, its reply into a variable."""
    store = await _send(run, command)
    if store is not None:
        await _fetch(run, store, target)


@action("redis.appendCommand")
async def append_command(run: Run, command: Tpl) -> None:
    """Send a command; its reply is fetched later."""
    store = await _send(run, command)
    if store is not None:
        store.waiting += 1
        run.ok()
        run.vars["strerror"] = ""


@action("redis.getReply")
async def get_reply(run: Run, target: Var) -> None:
    """Fetch the next reply."""
    store = _store(run)
    if store is None:
        return
    if not store.waiting:
        run.fail("read", "no reply is to come; redis.appendCommand first")
        return
    store.waiting -= 1
    await _fetch(run, store, target)


@hook("on_destroy")
async def release(run: Run) -> None:
    """The call is over."""
    await _close(run)
