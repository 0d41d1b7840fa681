# SPDX-License-Identifier: GPL-2.0-or-later
"""Ask Redis about each call: a command of the configuration, whose answer is a hit when it is neither nothing nor zero.

A server that cannot be reached is left alone for a growing pause, in which it counts as unavailable at once: calls do not queue up behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from redis.asyncio.connection import AbstractConnection, Connection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from di.calls.call_changes import NO_CHANGES
from di.calls.control import Grant
from di.calls.control_modules import ControlAsk, OutsideAsk, Routed
from di.kernel.errors import Refused

if TYPE_CHECKING:
    from di.kernel.ports import Clock
    from di.modules.cc_bl_redis.options import Options
    from di.server.plugin import Closer
    from di.server.services import Services
    from di.sip.records import CallEnded

log = logging.getLogger(__name__)
MOST_ARGUMENTS = 20
_ACTIONS = ("refuse", "drop")
_FAULT = Refused(500, "Server Internal Error")
_HIT = Refused(403, "Unauthorized")


class ListUnavailable(Exception):
    """The server cannot be asked now; the text says why."""


def command(values: dict[str, str]) -> list[str]:
    """The words of the question. Raises ValueError with what would be right."""
    text = values.get("argc", "").strip()
    if not text.isdecimal() or not 0 < int(text) <= MOST_ARGUMENTS:
        raise ValueError(f"argc={text!r}: right is 1 to {MOST_ARGUMENTS}")
    missing = [f"argv_{number}" for number in range(int(text)) if f"argv_{number}" not in values]
    if missing:
        raise ValueError(f"argc={text}, but there is no {', '.join(missing)}")
    return [values[f"argv_{number}"] for number in range(int(text))]


def is_hit(answer: object) -> bool:
    """Whether an answer says that the caller is listed: not nil, not 0, not empty."""
    return bool(answer)


class RedisList:
    """The server, behind so many connections."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._free: list[AbstractConnection] = []
        self._room = asyncio.Semaphore(options.redis_connections)
        self._failures = 0
        self._again_ns = 0

    async def ask(self, words: Sequence[str]) -> object:
        """Its answer. Raises ListUnavailable."""
        if self._clock.now_ns() < self._again_ns:
            raise ListUnavailable("it could not be reached a moment ago")
        try:
            async with asyncio.timeout(self._options.redis_max_conn_wait / 1000), self._room:
                answer = await self._answer(words)
        except ResponseError as error:  # the server is well, the question is not
            raise ListUnavailable(str(error)) from error
        except (RedisError, OSError, TimeoutError, ValueError) as error:
            self._failed()
            raise ListUnavailable(str(error) or "no answer in time") from error
        if self._failures:
            log.warning("the black list at %s:%d answers again", self._options.redis_server, self._options.redis_port)
            self._failures = 0
        return answer

    async def _answer(self, words: Sequence[str]) -> object:
        """Over a connection that is there, or, when that turns out to be dead (the server was restarted), over a new one."""
        while self._free:
            connection = self._free.pop()
            with contextlib.suppress(RedisConnectionError, OSError):
                return await self._exchange(connection, words)
        return await self._exchange(await self._connect(), words)

    async def _exchange(self, connection: AbstractConnection, words: Sequence[str]) -> object:
        whole = False
        try:
            await connection.send_command(*[word.encode("utf-8", "surrogateescape") for word in words])
            answer = await connection.read_response()
            whole = True
        except ResponseError:
            whole = True
            raise
        finally:
            if whole:
                self._free.append(connection)
            else:  # also when who waited gave up: an answer that comes later must not become somebody else's
                await connection.disconnect(nowait=True)
        return answer

    async def _connect(self) -> AbstractConnection:
        options = self._options
        connection = Connection(
            host=options.redis_server,
            port=options.redis_port,
            socket_connect_timeout=options.redis_max_conn_wait / 1000,
            protocol=2,
        )
        await connection.connect()  # type: ignore[no-untyped-call]
        return connection

    def _failed(self) -> None:
        """Leave it alone for a while; who failed beside another has nothing to add."""
        if self._clock.now_ns() < self._again_ns:
            return
        pauses = self._options.redis_reconnect_timers
        self._again_ns = self._clock.now_ns() + pauses[min(self._failures, len(pauses) - 1)] * 1_000_000
        self._failures += 1

    async def close(self) -> None:
        """Give back all connections."""
        for one in self._free:
            await one.disconnect(nowait=True)
        self._free.clear()


class BlackList:
    """Values `argc`, `argv_0` … and `action`: refuse or drop."""

    mandatory: tuple[str, ...] = ("argc",)

    def __init__(self, redis: RedisList, options: Options) -> None:
        self._redis = redis
        self._options = options

    async def authorize(self, ask: ControlAsk) -> Grant:
        """Refuse who is listed."""
        await self._look_up(ask.values, f"call {ask.call.id}: control {ask.instance}")
        return Grant()

    async def route(self, ask: OutsideAsk) -> Routed:
        """Refuse requests outside calls of who is listed."""
        await self._look_up(ask.values, f"{ask.request.method} from {ask.request.source_ip}: control {ask.instance}")
        return NO_CHANGES

    async def _look_up(self, values: Mapping[str, str], where: str) -> None:
        """Raises Refused for a hit, a list that cannot be asked, and a mistake of the configuration."""
        action = values.get("action", "").strip().lower() or "refuse"
        try:
            words = command(dict(values))
            if action not in _ACTIONS:
                raise ValueError(f"action={action!r}: right is one of {', '.join(_ACTIONS)}")
        except ValueError as error:
            log.error("%s: %s", where, error)
            raise _FAULT from error
        try:
            answer = await self._redis.ask(words)
        except ListUnavailable as error:
            passes = self._options.pass_on_bl_unavailable
            log.error(
                "%s: %r cannot be asked: %s; the call %s", where, " ".join(words), error, "passes" if passes else "is refused"
            )
            if passes:
                return
            raise _FAULT from error
        if self._options.redis_full_logging:
            log.info("%s: %r is answered %r", where, " ".join(words), answer)
        if is_hit(answer):
            log.info("%s: %r is a hit", where, " ".join(words))
            raise _HIT

    def answered(self, ask: ControlAsk) -> None:
        """It is asked once a call."""

    def renew(self, ask: ControlAsk, used_s: float) -> Grant:
        """There is no limit of time."""
        return Grant()

    def ended(self, ask: ControlAsk, end: CallEnded, used_s: float) -> None:
        """It is asked once a call."""


def start(services: Services, options: Options) -> Closer:
    """Let configurations name it."""
    modules = services.control_modules
    redis = RedisList(options, services.clock)
    modules["cc_bl_redis"] = BlackList(redis, options)

    async def close() -> None:
        del modules["cc_bl_redis"]
        await redis.close()

    return close
