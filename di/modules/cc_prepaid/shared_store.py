# SPDX-License-Identifier: GPL-2.0-or-later
"""Balances in MySQL or MariaDB, which several servers share: what a call holds of its account is held for all of them.

    prepaid_balance   account · seconds · held      held: by all calls of all servers
    prepaid_charge    charge · node · account · held · answered_s · seen_s

Each step is one transaction that locks its account's row. A server that died finds its charges by its node's name when it starts again,
and settles them by when they were last seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiomysql

from di.calls.control_modules import ControlUnreachable

if TYPE_CHECKING:
    from di.stores.mysql_target import MysqlTarget

_TABLES = (
    "CREATE TABLE IF NOT EXISTS prepaid_balance(account VARCHAR(190) COLLATE utf8mb4_bin PRIMARY KEY, seconds BIGINT NOT NULL, "
    "held BIGINT NOT NULL DEFAULT 0) CHARACTER SET utf8mb4 ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS prepaid_charge(charge VARCHAR(190) COLLATE utf8mb4_bin PRIMARY KEY, node VARCHAR(100) NOT NULL, "
    "account VARCHAR(190) COLLATE utf8mb4_bin NOT NULL, held BIGINT NOT NULL, answered_s DOUBLE NOT NULL DEFAULT 0, "
    "seen_s DOUBLE NOT NULL DEFAULT 0, KEY of_node(node)) CHARACTER SET utf8mb4 ENGINE=InnoDB",
)
_PATIENCE_S = 5
_CONNECTIONS = 8
_LONGEST_NAME = 190


class SharedBalances:
    """Every function raises ControlUnreachable while the database does not answer; the text names it, never the password."""

    def __init__(self, target: MysqlTarget, node: str) -> None:
        self._target = target
        self._where = f"{target.user}@{target.host}:{target.port}/{target.database}"
        self._node = node[:100]
        self._pool: Any = None
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Make the tables where they are missing."""
        async with self._cursor(raw=True) as cursor:
            for statement in _TABLES:
                try:
                    await cursor.execute(f"SELECT 1 FROM {statement.partition('EXISTS ')[2].partition('(')[0]} LIMIT 0")
                except aiomysql.ProgrammingError:  # there is no such table; whoever may not make it is told so now
                    await cursor.execute(statement)

    @asynccontextmanager
    async def _cursor(self, *, raw: bool = False) -> AsyncIterator[Any]:
        """A transaction: committed at the end, undone by an error. `raw`: a missing table is told as it is."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                async with self._opening:
                    if self._pool is None:
                        self._pool = await self._connect()
                async with self._pool.acquire() as connection:
                    try:
                        async with connection.cursor() as cursor:
                            yield cursor
                        await connection.commit()
                    except BaseException:
                        connection.close()  # what was begun is undone by the server
                        raise
        except (aiomysql.Error, OSError, TimeoutError, RuntimeError) as error:
            if raw and isinstance(error, aiomysql.ProgrammingError):
                raise
            raise ControlUnreachable(f"{self._where}: {str(error) or 'no answer in time'}") from error

    async def _connect(self) -> Any:
        target = self._target
        return await aiomysql.create_pool(
            host=target.host, port=target.port, user=target.user, password=target.password, db=target.database,
            minsize=0, maxsize=_CONNECTIONS, charset="utf8mb4", connect_timeout=_PATIENCE_S, autocommit=False, pool_recycle=300,
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------------------------- calls
    async def reserve(self, charge: str, account: str, most_s: int) -> tuple[int, int] | None:
        """Hold up to `most_s` more seconds for a charge: how many there were, and how many are free then. None: an unknown account."""
        if len(account) > _LONGEST_NAME:
            return None
        async with self._cursor() as cursor:
            await cursor.execute("SELECT seconds - held FROM prepaid_balance WHERE account = %s FOR UPDATE", (account,))
            row = await cursor.fetchone()
            if row is None:
                return None
            free = max(0, int(row[0]))
            got = min(most_s, free)
            if got:
                await cursor.execute("UPDATE prepaid_balance SET held = held + %s WHERE account = %s", (got, account))
                await cursor.execute(
                    "INSERT INTO prepaid_charge(charge, node, account, held) VALUES (%s, %s, %s, %s) ON DUPLICATE KEY UPDATE held = held + %s",
                    (charge[:_LONGEST_NAME], self._node, account, got, got),
                )
            return got, free - got

    async def answered(self, charge: str, now_s: float) -> None:
        """It costs from now on."""
        async with self._cursor() as cursor:
            await cursor.execute(
                "UPDATE prepaid_charge SET answered_s = %s, seen_s = %s WHERE charge = %s", (now_s, now_s, charge[:_LONGEST_NAME])
            )

    async def seen(self, now_s: float) -> None:
        """This server's calls still cost."""
        async with self._cursor() as cursor:
            await cursor.execute("UPDATE prepaid_charge SET seen_s = %s WHERE node = %s AND answered_s > 0", (now_s, self._node))

    async def settle(self, charge: str, used_s: int) -> int:
        """Take what was used, at most what is held, and free the rest. Returns what was taken; 0 when that was done already."""
        async with self._cursor() as cursor:
            key = (charge[:_LONGEST_NAME],)
            await cursor.execute("SELECT account FROM prepaid_charge WHERE charge = %s", key)
            row = await cursor.fetchone()
            if row is None:
                return 0
            account = row[0]  # locked before its charges, as `reserve` does
            await cursor.execute("SELECT 1 FROM prepaid_balance WHERE account = %s FOR UPDATE", (account,))
            await cursor.execute("SELECT held FROM prepaid_charge WHERE charge = %s FOR UPDATE", key)
            row = await cursor.fetchone()
            if row is None:
                return 0
            held = int(row[0])
            taken = min(max(0, used_s), held)
            await cursor.execute(
                "UPDATE prepaid_balance SET seconds = GREATEST(0, seconds - %s), held = GREATEST(0, held - %s) WHERE account = %s",
                (taken, held, account),
            )
            await cursor.execute("DELETE FROM prepaid_charge WHERE charge = %s", key)
            return taken

    async def recover(self) -> list[tuple[str, str, int]]:
        """Settle what an earlier life of this node left: charge, account and seconds of each."""
        async with self._cursor() as cursor:
            await cursor.execute("SELECT charge, account, answered_s, seen_s FROM prepaid_charge WHERE node = %s", (self._node,))
            rows = await cursor.fetchall()
        left = []
        for charge, account, answered_s, seen_s in rows:
            used_s = max(0, round(seen_s - answered_s)) if answered_s else 0
            left.append((charge, account, await self.settle(charge, used_s)))
        return left

    # ----------------------------------------------------------------------------------------------------------- accounts
    async def credit(self, account: str) -> int | None:
        """Its seconds, held ones included; None for an unknown account."""
        async with self._cursor() as cursor:
            await cursor.execute("SELECT seconds FROM prepaid_balance WHERE account = %s", (account,))
            row = await cursor.fetchone()
        return None if row is None else int(row[0])

    async def change(self, account: str, seconds: int, *, absolute: bool = False) -> int:
        """Add to it, or set it, never below 0; makes an unknown account. Returns it."""
        value = "VALUES(seconds)" if absolute else "GREATEST(0, seconds + %s)"
        more = () if absolute else (seconds,)
        async with self._cursor() as cursor:
            await cursor.execute(
                "INSERT INTO prepaid_balance(account, seconds) VALUES (%s, GREATEST(0, %s)) "
                f"ON DUPLICATE KEY UPDATE seconds = {value}",
                (account, seconds, *more),
            )
            await cursor.execute("SELECT seconds FROM prepaid_balance WHERE account = %s", (account,))
            return int((await cursor.fetchone())[0])

    async def close(self) -> None:
        """Close the connections."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()
            await pool.wait_closed()
