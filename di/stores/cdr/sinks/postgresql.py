# SPDX-License-Identifier: GPL-2.0-or-later
"""Records as rows of a PostgreSQL table: columns have the record's names, a repeat changes nothing.

The table is made when it is missing. Times are `timestamptz` (NULL while there is none), `rtp` and `vars` are `jsonb`. asyncpg is an extra:
it is imported when the sink is configured.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

import asyncpg

from di.stores.cdr.record import CallRecord, as_dict, names
from di.stores.cdr.sinks.sink import SinkDown
from di.stores.cdr.sinks.sql import NUMBERS
from di.stores.cdr.spool import DueRecord

_TIMES = frozenset(("start", "progress", "early_media", "answer", "end"))
_JSON = frozenset(("rtp", "vars"))
_CONNECT_S, _COMMAND_S = 10, 30


def kind(column: str) -> str:
    """The type of a column."""
    if column == "id":
        return "uuid PRIMARY KEY"
    if column in _TIMES:
        return "timestamptz"
    return f"{'bigint' if column in NUMBERS else 'jsonb' if column in _JSON else 'text'} NOT NULL"


def create(table: str) -> str:
    """The statement that makes the table."""
    columns = ", ".join(f'"{name}" {kind(name)}' for name in names())
    return f'CREATE TABLE IF NOT EXISTS "{table}" ({columns})'


def insert(table: str) -> str:
    """The statement that adds a row, or nothing when its id is there."""
    columns = ", ".join(f'"{name}"' for name in names())
    marks = ", ".join(f"${number}" for number in range(1, len(names()) + 1))
    return f'INSERT INTO "{table}" ({columns}) VALUES ({marks}) ON CONFLICT ("id") DO NOTHING'


def row(record: CallRecord) -> tuple[object, ...]:
    """Its values, in the order of `names()`. A NUL, which no text of PostgreSQL can hold, is left out."""
    return tuple(_value(name, value) for name, value in as_dict(record).items())


def _value(name: str, value: object) -> object:
    if isinstance(value, dict):
        return json.dumps(
            {key.replace("\0", ""): one.replace("\0", "") if isinstance(one, str) else one for key, one in value.items()}
        )
    if not isinstance(value, str):
        return value
    if name in _TIMES:
        return datetime.fromisoformat(value) if value else None
    return value.replace("\0", "")


class PostgresTable:
    """Rows of a table. `tls`: `disable`, `prefer`, `require`, `verify-full`."""

    name = "postgresql"
    batch = 200

    def __init__(self, host: str, port: int, user: str, password: str, database: str, table: str, tls: str) -> None:
        self._account = {"host": host, "port": port, "user": user, "password": password, "database": database, "ssl": tls}
        self._where = f"{user}@{host}:{port}/{database}"
        self._table = table
        self._connection: asyncpg.Connection | None = None

    async def deliver(self, entries: Sequence[DueRecord]) -> None:
        """Add rows in one transaction. Raises SinkDown, which names server and database, never the password."""
        try:
            connection = self._connection or await self._connect()
            await connection.executemany(insert(self._table), [row(entry.record) for entry in entries], timeout=_COMMAND_S)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            await self.close()
            raise SinkDown(f"{self._where}: {str(error) or type(error).__name__}") from error

    async def _connect(self) -> asyncpg.Connection:
        connection = await asyncpg.connect(**self._account, timeout=_CONNECT_S)
        self._connection = connection
        if (
            await connection.fetchval("SELECT to_regclass($1)", f'"{self._table}"', timeout=_COMMAND_S) is None
        ):  # whoever may not make it is told so now
            await connection.execute(create(self._table), timeout=_COMMAND_S)
        return connection

    async def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
