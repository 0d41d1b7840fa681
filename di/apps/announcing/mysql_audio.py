# SPDX-License-Identifier: GPL-2.0-or-later
"""Audio in tables of MariaDB or MySQL, by the client that state diagrams use. Loaded where a configuration names such a database."""

from __future__ import annotations

import asyncio

from di.apps.announcing.database import AudioQuery, AudioUnavailable, mysql_literal, statement
from di.stores.mysql_client import DbError, Pools
from di.stores.mysql_target import MysqlTarget

_AT_A_TIME = 16
"""Connections that ask at once: a rush of calls is no rush of log-ins."""


class MysqlAudio:
    """MariaDB or MySQL."""

    def __init__(self, target: MysqlTarget, certificate: str = "") -> None:
        self._target, self._certificate = target, certificate
        self._pools = Pools()
        self._turns = asyncio.Semaphore(_AT_A_TIME)

    async def fetch(self, query: AudioQuery) -> bytes | None:
        """As AudioSource."""
        rows = await self._execute(statement(query, mysql_literal))
        return rows[0][1] if rows else None

    async def rows(self, text: str) -> list[tuple[str, ...]]:
        """As AudioSource."""
        return [tuple((value or b"").decode("utf-8", "replace") for value in row) for row in await self._execute(text)]

    async def _execute(self, text: str) -> tuple[tuple[bytes | None, ...], ...]:
        try:
            async with self._turns:
                lease = await self._pools.lend(self._target, self._certificate)
                try:
                    return (await lease.execute(text)).rows
                finally:
                    await lease.give_back()
        except (DbError, OSError) as error:  # OSError: the certificate cannot be read
            raise AudioUnavailable(f"database {self._target.database} on {self._target.host}: {error}") from error

    def close(self) -> None:
        """As AudioSource."""
        self._pools.close()
