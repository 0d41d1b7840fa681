# SPDX-License-Identifier: GPL-2.0-or-later
"""Balances on the disk: each change is committed, and calls that were up when the server died are charged for what is known of them."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path

from di.kernel.sqlite_thread import SqliteThread

log = logging.getLogger(__name__)
SCHEMA = """
CREATE TABLE IF NOT EXISTS balance(account TEXT PRIMARY KEY, seconds INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS running(charge TEXT PRIMARY KEY, account TEXT NOT NULL, answered_s REAL NOT NULL, seen_s REAL NOT NULL) WITHOUT ROWID;
"""


def recover(connection: sqlite3.Connection) -> list[tuple[str, str, int]]:
    """Charge what an earlier life left running, from its answer until it was last seen: charge, account, seconds of each."""
    charged = []
    for charge, account, answered_s, seen_s in connection.execute("SELECT * FROM running ORDER BY charge").fetchall():
        used_s = max(0, round(seen_s - answered_s))
        connection.execute("UPDATE balance SET seconds = max(0, seconds - ?) WHERE account = ?", (used_s, account))
        charged.append((charge, account, used_s))
    connection.execute("DELETE FROM running")
    return charged


class BalanceKeeper:
    """Writes what `Balances` does. Nobody waits for it; what the disk does not take stands in the log."""

    def __init__(self, path: Path) -> None:
        self.database = SqliteThread(path, SCHEMA, gather_s=0.005)

    async def open(self) -> dict[str, int]:
        """Open the file; returns the balances. Raises DatabaseFailed."""
        await self.database.open()
        for charge, account, used_s in await self.database.run(recover):
            log.warning("prepaid call %s was up when the server stopped: %d s are charged to %s", charge, used_s, account)
        rows = await self.database.run(lambda connection: connection.execute("SELECT account, seconds FROM balance").fetchall())
        return dict(rows)

    def changed(self, account: str, seconds: int) -> None:
        """A balance has changed."""
        self._write("INSERT OR REPLACE INTO balance VALUES (?, ?)", (account, seconds))

    def began(self, charge: str, account: str, now_s: float) -> None:
        """A call began to cost."""
        self._write("INSERT OR REPLACE INTO running VALUES (?, ?, ?, ?)", (charge, account, now_s, now_s))

    def seen(self, now_s: float) -> None:
        """Whatever runs still costs."""
        self._write("UPDATE running SET seen_s = ?", (now_s,))

    def ended(self, charge: str, account: str, seconds: int) -> None:
        """It is charged: the balance and the end are one transaction."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO balance VALUES (?, ?)", (account, seconds))
            connection.execute("DELETE FROM running WHERE charge = ?", (charge,))

        self._run(work)

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        self._run(lambda connection: connection.execute(statement, values))

    def _run(self, work: Callable[[sqlite3.Connection], object]) -> None:
        self.database.run(work).add_done_callback(_say)


def _say(done: asyncio.Future[object]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        log.error("prepaid balances are not on the disk: %s", error)
