# SPDX-License-Identifier: GPL-2.0-or-later
"""Records as rows, of a MySQL or MariaDB table or of an SQLite file: columns have the record's names, a repeat changes nothing.

The table is made when it is missing. `rtp` and `vars` are JSON texts. Times are the record's texts: they sort, and lose nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import aiomysql

from di.kernel.sqlite_thread import DatabaseFailed, SqliteThread
from di.stores.cdr.record import CallRecord, as_dict, names
from di.stores.cdr.sinks.sink import SinkDown
from di.stores.cdr.spool import DueRecord

NUMBERS = frozenset(("version", "setup_ms", "duration_ms", "billable_ms", "granted_ms", "sip_code", "q850"))
_PATIENCE_S = 30.0
_LONG = frozenset(("from", "to", "ruri", "vars", "rtp", "hangup_cause", "call_id"))


def row(record: CallRecord) -> tuple[object, ...]:
    """Its values, in the order of `names()`."""
    return tuple(json.dumps(value) if isinstance(value, dict) else value for value in as_dict(record).values())


def table(name: str, quote: str, long: str) -> str:
    """The statement that makes the table. `long`: the type of texts without a bound."""
    kinds = {
        name: "BIGINT NOT NULL" if name in NUMBERS else f"{long} NOT NULL" if name in _LONG else "VARCHAR(255) NOT NULL"
        for name in names()
    }
    kinds["id"] = "VARCHAR(36) NOT NULL PRIMARY KEY"
    columns = ", ".join(f"{quote}{column}{quote} {kind}" for column, kind in kinds.items())
    return f"CREATE TABLE IF NOT EXISTS {quote}{name}{quote} ({columns})"


def insert(name: str, quote: str, mark: str, ignore: str) -> str:
    """The statement that adds a row, or nothing when its id is there."""
    columns = ", ".join(f"{quote}{column}{quote}" for column in names())
    return f"INSERT {ignore} INTO {quote}{name}{quote} ({columns}) VALUES ({', '.join([mark] * len(names()))})"


class SqliteTable:
    """Rows of the table `cdr` in a file of its own."""

    name = "sqlite"
    batch = 500

    def __init__(self, path: Path) -> None:
        self._database = SqliteThread(path, table("cdr", '"', "TEXT") + ";")
        self._is_open = False

    async def deliver(self, entries: Sequence[DueRecord]) -> None:
        """Add rows. Raises SinkDown when the file cannot be written."""
        rows = [row(entry.record) for entry in entries]
        try:
            if not self._is_open:
                await self._database.open()
                self._is_open = True
            await self._database.run(
                lambda connection: connection.executemany(insert("cdr", '"', "?", "OR IGNORE"), rows) and None
            )
        except DatabaseFailed as error:
            raise SinkDown(str(error)) from error

    async def close(self) -> None:
        """Close the file."""
        if self._is_open:
            await self._database.close()


class MysqlTable:
    """Rows of a table of a MySQL or MariaDB server. `patience_s`: how long one delivery may take, a lock on the table included."""

    name = "mysql"
    batch = 200

    def __init__(
        self, host: str, port: int, user: str, password: str, database: str, table: str, patience_s: float = _PATIENCE_S
    ) -> None:
        self._account = {"host": host, "port": port, "user": user, "password": password, "db": database}
        self._patience_s = patience_s
        self._where = f"{user}@{host}:{port}/{database}"
        self._table = table
        self._connection: aiomysql.Connection | None = None

    async def deliver(self, entries: Sequence[DueRecord]) -> None:
        """Add rows in one transaction. Raises SinkDown, which names server and database, never the password."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self._add([_fitting(row(entry.record)) for entry in entries])
        except (aiomysql.Error, OSError, TimeoutError) as error:
            await self.close()
            raise SinkDown(f"{self._where}: {str(error) or f'no answer for {self._patience_s:g} s'}") from error

    async def _add(self, rows: list[tuple[object, ...]]) -> None:
        connection = self._connection or await self._connect()
        async with connection.cursor() as cursor:
            # IGNORE would also cut values that are too long; a repeat is told by the key alone.
            await cursor.executemany(insert(self._table, "`", "%s", "") + " ON DUPLICATE KEY UPDATE `id` = `id`", rows)
        await connection.commit()

    async def _connect(self) -> aiomysql.Connection:
        connection = await aiomysql.connect(**self._account, charset="utf8mb4", connect_timeout=10)
        self._connection = connection
        async with connection.cursor() as cursor:
            try:
                await cursor.execute(f"SELECT 1 FROM `{self._table}` LIMIT 0")
            except aiomysql.ProgrammingError:  # there is no such table; whoever may not make it is told so now
                await cursor.execute(table(self._table, "`", "TEXT") + " CHARACTER SET utf8mb4")
        return connection

    async def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _fitting(values: tuple[object, ...]) -> tuple[object, ...]:
    """Texts cut to their columns: one long From must not keep all later records out."""
    return tuple(
        value[: 16_000 if name in _LONG else 255] if isinstance(value, str) else value
        for name, value in zip(names(), values, strict=True)
    )
