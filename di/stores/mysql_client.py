# SPDX-License-Identifier: GPL-2.0-or-later
"""MySQL and MariaDB for whoever needs them: connections by aiomysql, a pool a database. No part of it holds up the loop."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from typing import Any

import aiomysql
import pymysql
from pymysql.constants import CLIENT, CR
from pymysql.converters import encoders, escape_string

from di.stores.mysql_target import MysqlTarget

CONNECT_TIMEOUT_S = 10
QUERY_TIMEOUT_S = 60
"""A database that says nothing for so long is taken for dead; its call goes on with an error."""
RESET_TIMEOUT_S = 5
"""A connection that cannot be cleaned in this time is closed instead of being kept."""
MAX_IDLE = 16
"""Connections that are kept for the next calls."""
_COM_RESET_CONNECTION = 0x1F
_LOST = (1053, 1927, 2003, 2006, 2013, 2014, 2055)
"""Server and client error numbers that mean: there is no connection any more."""
_PREPARE = "SET NAMES utf8mb4, autocommit=1, sql_mode=REPLACE(@@sql_mode, 'NO_BACKSLASH_ESCAPES', '')"
"""A known state to begin with; values are escaped with backslashes (`di.dsm.mods.sql_template`), which must not mean themselves."""


class DbError(Exception):
    """The database said no."""

    def __init__(self, text: str, number: int = 0) -> None:
        super().__init__(text)
        self.number = number


class DbLost(DbError):
    """The connection is gone."""


@dataclass(frozen=True)
class Result:
    """What came back: column names, rows of raw values (None is NULL), affected rows, last insert id."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[bytes | None, ...], ...] = ()
    affected: int = 0
    insert_id: int = 0


def quoted(text: str) -> str:
    """A text as it stands in a statement, quotes included."""
    return f"'{escape_string(text)}'"


def client_version() -> str:
    """The library's version."""
    return str(pymysql.__version__)


def _bytes(value: object) -> bytes | None:
    return value if value is None or isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")


class Lease:
    """One connection while a call has it."""

    def __init__(self, pools: Pools, key: tuple[MysqlTarget, str], connection: Any) -> None:
        self._pools, self._key, self._connection = pools, key, connection
        self._lost = False

    async def execute(self, sql: str | bytes) -> Result:
        """Run one statement. Raises DbLost, DbError."""
        if self._lost:
            raise DbLost("the connection to the database is lost")
        try:
            async with asyncio.timeout(QUERY_TIMEOUT_S):
                return await self._execute(sql)
        except (TimeoutError, OSError, EOFError, pymysql.err.InterfaceError) as error:
            self._drop()
            raise DbLost(f"the connection to the database is lost: {error or 'no answer'}") from error
        except pymysql.err.OperationalError as error:
            number, text = _reason(error)
            if number in _LOST:
                self._drop()
                raise DbLost(text, number) from error
            raise DbError(text, number) from error
        except pymysql.err.MySQLError as error:
            number, text = _reason(error)
            raise DbError(text, number) from error
        except (UnicodeError, ValueError, RuntimeError, LookupError) as error:
            self._drop()  # what the server sent was not understood: nobody knows where the next answer begins
            raise DbLost(f"the database sent what cannot be read: {error}") from error
        except BaseException:
            self._drop()  # the call ended in the middle of a query; its answer must not reach another call
            raise

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
        except (TimeoutError, OSError, EOFError, ValueError, pymysql.err.MySQLError):
            self._drop()
            return False
        except BaseException:
            self._drop()
            raise
        return True

    async def give_back(self) -> None:
        """Undo what is not committed, forget locks, temporary tables and variables, and put the connection into the pool."""
        if self._lost:
            return
        try:
            async with asyncio.timeout(RESET_TIMEOUT_S):
                await self._connection._execute_command(_COM_RESET_CONNECTION, b"")
                await self._connection._read_packet()
                await self._connection.query(_PREPARE)
        except (TimeoutError, OSError, EOFError, ValueError, pymysql.err.MySQLError):
            self._drop()
        except BaseException:
            self._drop()
            raise
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
        self._idle: dict[tuple[MysqlTarget, str], deque[Any]] = {}
        self._closed = False

    async def lend(self, target: MysqlTarget, certificate: str) -> Lease:
        """A connection, a used one if it still answers. Raises DbError."""
        key = (target, certificate)
        idle = self._idle.get(key)
        while idle:
            lease = Lease(self, key, idle.pop())
            if await lease.alive():
                return lease
            while idle:  # one is dead: the server was restarted, and asking each of the others may cost a timeout
                idle.pop().close()
        return Lease(self, key, await self._connect(target, certificate))

    @staticmethod
    async def _connect(target: MysqlTarget, certificate: str) -> Any:
        where, connection = f"{target.host}:{target.port}", None
        try:
            connection = aiomysql.Connection(
                host=target.host, port=target.port, user=target.user, password=target.password, db=target.database, charset="utf8mb4",
                use_unicode=False, connect_timeout=CONNECT_TIMEOUT_S, conv=dict(encoders), init_command=_PREPARE, autocommit=None,
                ssl=ssl.create_default_context(cafile=certificate) if certificate else None,
            )  # fmt: skip
            # The library asks for several statements in one text; a value that ends a statement could then begin another.
            connection.client_flag &= ~CLIENT.MULTI_STATEMENTS
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await connection._connect()
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, TimeoutError):
                raise DbLost(f"cannot connect to {where}: no answer in {CONNECT_TIMEOUT_S} s", CR.CR_CONN_HOST_ERROR) from error
            if isinstance(error, (pymysql.err.MySQLError, OSError, EOFError, RuntimeError, ValueError, LookupError)):
                number, text = _reason(error)
                raise DbError(f"cannot connect to {where}: {text}", number) from error
            raise
        return connection

    def take_back(self, key: tuple[MysqlTarget, str], connection: Any) -> None:
        """A call is done with a connection."""
        idle = self._idle.setdefault(key, deque())
        if len(idle) < MAX_IDLE and not self._closed:
            idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close what is idle, and what a call gives back later: after a reload nobody would take it from here."""
        self._closed = True
        for idle in self._idle.values():
            while idle:
                idle.pop().close()
