# SPDX-License-Identifier: GPL-2.0-or-later
"""The part of mod_mysql that talks to the database: URLs, connections by aiomysql, a pool a database."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import aiomysql
import pymysql
from pymysql.converters import encoders

CONNECT_TIMEOUT_S = 10
QUERY_TIMEOUT_S = 60
"""A database that says nothing for so long is taken for dead; its call goes on with an error."""
MAX_IDLE = 16
"""Connections that are kept for the next calls."""

_URL = re.compile(r"mysql://(?P<user>[^:@/]*)(?::(?P<password>.*))?@(?P<host>[^@/:]+)(?::(?P<port>[0-9]{1,5}))?/(?P<db>[^/]*)")


class DbError(Exception):
    """The database said no."""

    def __init__(self, text: str, number: int = 0) -> None:
        super().__init__(text)
        self.number = number


class DbLost(DbError):
    """The connection is gone."""


@dataclass(frozen=True)
class Target:
    """Where to connect. The password is never shown."""

    user: str
    password: str = field(repr=False)
    host: str = ""
    port: int = 3306
    database: str = ""


@dataclass(frozen=True)
class Result:
    """What came back: column names, rows of raw values, affected rows, last insert id."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[bytes, ...], ...] = ()
    affected: int = 0
    insert_id: int = 0


def parse_url(text: str) -> Target | None:
    """Read `mysql://user:password@host[:port]/db`; the password may hold `@` and `/`. None: no such URL."""
    found = _URL.fullmatch(text)
    if found is None:
        return None
    return Target(found["user"], found["password"] or "", found["host"], int(found["port"] or 3306), found["db"])


def client_version() -> str:
    """The library's version."""
    return str(pymysql.__version__)


def _bytes(value: object) -> bytes:
    if value is None:
        return b""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")


class Lease:
    """One connection while a call has it."""

    def __init__(self, pools: Pools, key: tuple[Target, str], connection: Any) -> None:
        self._pools, self._key, self._connection = pools, key, connection
        self._lost = False

    async def execute(self, sql: str | bytes) -> Result:
        """Run one statement. Raises DbLost, DbError."""
        if self._lost:
            raise DbLost("the connection to the database is lost")
        try:
            async with asyncio.timeout(QUERY_TIMEOUT_S):
                return await self._execute(sql)
        except (TimeoutError, OSError, EOFError, pymysql.err.InterfaceError, asyncio.IncompleteReadError) as error:
            self._drop()
            raise DbLost(f"the connection to the database is lost: {error or 'no answer'}") from error
        except pymysql.err.OperationalError as error:
            number, text = _reason(error)
            if number in (2003, 2006, 2013, 2014, 2055, 1053, 1927):
                self._drop()
                raise DbLost(text, number) from error
            raise DbError(text, number) from error
        except (pymysql.err.MySQLError, UnicodeError, ValueError, RuntimeError) as error:
            number, text = _reason(error)
            raise DbError(text, number) from error

    async def _execute(self, sql: str | bytes) -> Result:
        await self._connection.query(sql)
        answer: Any = self._connection._result
        columns = tuple(item.name for item in answer.fields or ()) if answer.description else ()
        rows = tuple(tuple(map(_bytes, row)) for row in answer.rows or ())
        return Result(columns, rows, int(answer.affected_rows or 0), int(answer.insert_id or 0))

    async def alive(self) -> bool:
        """Ask the server."""
        if self._lost:
            return False
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._connection.ping(reconnect=False)
        except (TimeoutError, OSError, EOFError, pymysql.err.MySQLError, asyncio.IncompleteReadError):
            self._drop()
            return False
        return True

    async def give_back(self) -> None:
        """Undo what is not committed and put the connection into the pool."""
        if self._lost:
            return
        try:
            await self.execute("ROLLBACK")
        except DbError:
            self._drop()
        else:
            self._pools.take_back(self._key, self._connection)
            self._lost = True

    def _drop(self) -> None:
        self._lost = True
        self._connection.close()


def _reason(error: BaseException) -> tuple[int, str]:
    args = error.args
    number = args[0] if args and isinstance(args[0], int) else 0
    return number, str(args[1]) if len(args) > 1 else str(error)


class Pools:
    """Idle connections by database. `close` is called at the server's end."""

    def __init__(self) -> None:
        self._idle: dict[tuple[Target, str], deque[Any]] = {}

    async def lend(self, target: Target, certificate: str) -> Lease:
        """A connection, a used one if it still answers. Raises DbError."""
        key = (target, certificate)
        idle = self._idle.get(key)
        while idle:
            lease = Lease(self, key, idle.pop())
            if await lease.alive():
                return lease
        return Lease(self, key, await self._connect(target, certificate))

    @staticmethod
    async def _connect(target: Target, certificate: str) -> Any:
        tls = ssl.create_default_context(cafile=certificate) if certificate else None
        raw = dict(encoders)
        try:
            return await aiomysql.connect(
                host=target.host, port=target.port, user=target.user, password=target.password, db=target.database, charset="utf8mb4",
                connect_timeout=CONNECT_TIMEOUT_S, autocommit=True, conv=raw, ssl=tls,
            )  # fmt: skip
        except (pymysql.err.MySQLError, OSError, TimeoutError, ssl.SSLError, RuntimeError, UnicodeError) as error:
            number, text = _reason(error)
            raise DbError(f"cannot connect to {target.host}:{target.port}: {text}", number) from error

    def take_back(self, key: tuple[Target, str], connection: Any) -> None:
        """A call is done with a connection."""
        idle = self._idle.setdefault(key, deque())
        if len(idle) < MAX_IDLE:
            idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close what is idle."""
        for idle in self._idle.values():
            while idle:
                idle.pop().close()
