# SPDX-License-Identifier: GPL-2.0-or-later
"""The database at the other end: it is read once, then changes are written one after the other, each as soon as can be.

    change ─► waiting, one a subscriber ─► BEGIN … COMMIT ─► gone        the database is away: they wait, newest first of each, and none is lost

Nothing here holds up the loop, and while the database is away registrations go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from di.modules.db_reg_agent.rows import RowChange
from di.stores.mysql_client import DbError, DbLost, Lease, Pools, Result
from di.stores.mysql_target import MysqlTarget

log = logging.getLogger(__name__)

_AGAIN_S = 5.0
_AT_ONCE = 200
_AGAIN = (1205, 1213)
"""Another's lock, a deadlock: the same again goes well."""
CLOSE_S = 3.0
"""How long a stop waits for the last changes."""


class RowWriter:
    """`now_ns` is monotonic; `table` is the name that changes are written to."""

    def __init__(self, target: MysqlTarget, table: str, now_ns: Callable[[], int]) -> None:
        self._target, self._table, self._now_ns = target, table, now_ns
        self._pools = Pools()
        self._waiting: dict[int, RowChange] = {}
        self._more = asyncio.Event()
        self._done, self._closing = asyncio.Event(), False
        self._trouble = ""

    def write(self, id: int, change: RowChange) -> None:
        """Let a change be written."""
        known = self._waiting.get(id)
        self._waiting[id] = known.then(change) if known is not None else change
        self._more.set()

    def __len__(self) -> int:
        return len(self._waiting)

    async def read(self, query: str) -> tuple[Result, Result]:
        """The database's time, and what a query gives; waits until there is a database. Raises DbError when it refuses the query."""
        while True:
            try:
                lease = await self._pools.lend(self._target, "")
                try:
                    return await lease.execute("SELECT NOW()"), await lease.execute(query)
                finally:
                    await lease.give_back()
            except DbError as error:
                if not isinstance(error, DbLost) and not str(error).startswith("cannot connect"):
                    raise
                self._say(str(error))
            await asyncio.sleep(_AGAIN_S)

    async def run(self) -> None:
        """Write what is waiting, until `close`."""
        while not self._closing:
            await self._more.wait()
            self._more.clear()
            while self._waiting:
                try:
                    await self._write_some()
                except DbError as error:
                    self._say(str(error))
                    await asyncio.sleep(_AGAIN_S)
                except Exception:
                    log.exception("db_reg_agent: writing failed; tried again in %.0f s", _AGAIN_S)
                    await asyncio.sleep(_AGAIN_S)
                else:
                    self._say("")
        self._done.set()

    async def _write_some(self) -> None:
        """Raises DbError when the database is away: what was taken waits again."""
        taken = dict(list(self._waiting.items())[:_AT_ONCE])
        for id in taken:
            del self._waiting[id]
        try:
            lease = await self._pools.lend(self._target, "")
            try:
                await self._transaction(lease, taken)
            finally:
                await lease.give_back()
        except BaseException:
            for id, change in taken.items():  # what came meanwhile is newer
                self._waiting[id] = change.then(self._waiting[id]) if id in self._waiting else change
            raise

    async def _transaction(self, lease: Lease, taken: dict[int, RowChange]) -> None:
        await lease.execute("BEGIN")
        for id, change in taken.items():
            for statement in change.statements(self._table, id, self._now_ns()):
                try:
                    await lease.execute(statement)
                except DbLost:
                    raise
                except DbError as error:
                    if error.number in _AGAIN:
                        raise
                    log.error("db_reg_agent: subscriber %d cannot be written into %s: %s", id, self._table, error)
                    break
        await lease.execute("COMMIT")

    def _say(self, trouble: str) -> None:
        """A line when the database goes away or comes back."""
        if trouble and not self._trouble:
            log.error("db_reg_agent: %s; tried again every %.0f s, %d changes wait", trouble, _AGAIN_S, len(self._waiting))
        elif self._trouble and not trouble:
            log.warning("db_reg_agent: the database is back")
        self._trouble = trouble

    async def close(self) -> None:
        """Write what waits, for a while; then let go."""
        self._closing = True
        self._more.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._done.wait(), CLOSE_S)
        if not self._done.is_set():
            log.error("db_reg_agent: not all changes could be written into %s: %d wait", self._table, len(self._waiting))
        self._pools.close()
