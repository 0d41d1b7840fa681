# SPDX-License-Identifier: GPL-2.0-or-later
"""Bindings on the disk: a REGISTER is answered when they are there, and the server's next life knows them."""

from __future__ import annotations

import json
import logging
import sqlite3
from dataclasses import asdict
from pathlib import Path

from di.kernel.sqlite_thread import DatabaseFailed, SqliteThread
from di.stores.location.book import UserBinding

log = logging.getLogger(__name__)
SCHEMA = "CREATE TABLE IF NOT EXISTS binding(aor TEXT NOT NULL, key TEXT NOT NULL, binding TEXT NOT NULL, PRIMARY KEY(aor, key)) WITHOUT ROWID;"


class LocationKeeper:
    """Writes what a `LocationBook` tells. `changed` gathers, `written` waits."""

    def __init__(self, path: Path) -> None:
        self.database = SqliteThread(path, SCHEMA, gather_s=0.005)
        self._changes: list[tuple[str, str, str | None]] = []

    async def open(self) -> list[UserBinding]:
        """Open the file; returns what stands in it. Raises DatabaseFailed."""
        await self.database.open()
        rows = await self.database.run(lambda connection: connection.execute("SELECT binding FROM binding").fetchall())
        found = []
        for (text,) in rows:
            try:
                found.append(UserBinding(**json.loads(text)))
            except (ValueError, TypeError) as error:
                log.error("a registration in the file cannot be read and is passed over: %s", error)
        return found

    def changed(self, aor: str, key: str, binding: UserBinding | None) -> None:
        """A binding is new, or gone."""
        self._changes.append((aor, key, json.dumps(asdict(binding)) if binding is not None else None))

    async def written(self) -> None:
        """Have all changes so far on the disk. Raises DatabaseFailed; they are tried again with the next ones."""
        changes, self._changes = self._changes, []
        last = {change[:2]: change for change in changes}
        kept = [change for change in last.values() if change[2] is not None]
        gone = [change[:2] for change in last.values() if change[2] is None]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO binding VALUES (?, ?, ?)", kept)
            connection.executemany("DELETE FROM binding WHERE aor = ? AND key = ?", gone)

        try:
            await self.database.run(write)
        except DatabaseFailed:
            self._changes[:0] = changes
            raise
