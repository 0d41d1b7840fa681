# SPDX-License-Identifier: GPL-2.0-or-later
"""One way out's work: what is due, in order, at least once; patience while its receiver is down, and a word when it goes and comes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

from di.kernel.sqlite_thread import DatabaseFailed, SqliteThread
from di.stores.cdr import spool
from di.stores.cdr.sinks.sink import EntryRefused, Sink, SinkDown

if TYPE_CHECKING:
    from di.kernel.ports import Clock
    from di.stores.cdr.spool import Backlog, DueRecord

log = logging.getLogger(__name__)
_LONGEST_PAUSE_S = 300.0


def pause_s(failures: int, random: Random) -> float:
    """How long to wait after so many failures in a row: twice as long each time, up to 5 minutes, and never all in the same second."""
    return min(_LONGEST_PAUSE_S, 2.0 ** min(failures, 10)) * random.uniform(0.5, 1.0)


class Delivery:
    """`problem`: why nothing is delivered now; empty when all is well. `give_up_s`: how old a record may get while it is tried."""

    def __init__(self, sink: Sink, database: SqliteThread, clock: Clock, give_up_s: float) -> None:
        self.sink = sink
        self.problem = ""
        self.delivered = 0
        self.tries = 0
        """How often something was to be delivered."""
        self._database = database
        self._clock = clock
        self._give_up_s = give_up_s
        self._failures = 0
        self._wake = asyncio.Event()
        self._at_once = asyncio.Event()
        self._idle = asyncio.Event()
        self.last_look = spool.Backlog(0, 0.0, 0)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin with what is due."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"cdr {self.sink.name}")

    def wake(self) -> None:
        """Something may be due."""
        self._wake.set()

    def hurry(self) -> None:
        """Try again at once, whatever the pause."""
        self._at_once.set()
        self._wake.set()

    async def backlog(self) -> Backlog:
        """How much is due."""
        return await self._database.run(lambda connection: spool.backlog(connection, self.sink.name))

    async def look(self) -> None:
        """Count what is due; `last_look` has it."""
        self.last_look = await self.backlog()

    async def finish(self, limit_s: float = 2.0) -> None:
        """Deliver what can be delivered at once, then stop; the rest stays due."""
        if not self.problem and self._task is not None:
            self._idle.clear()
            self.wake()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), limit_s)
        await self.close()

    async def close(self) -> None:
        """Stop; what is not delivered stays due."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        await self.sink.close()

    # --------------------------------------------------------------------------------------------------------------- work
    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                entries = await self._database.run(lambda connection: spool.next_due(connection, self.sink.name, self.sink.batch))
                if entries:
                    await self._deliver(entries)
                    continue
                if not self._wake.is_set():
                    self._idle.set()
                await self._wake.wait()
            except (SinkDown, DatabaseFailed) as error:
                await self._rest(str(error))
            except Exception as error:
                log.exception("call records cannot be delivered to %s", self.sink.name)
                await self._rest(repr(error))

    async def _deliver(self, entries: list[DueRecord]) -> None:
        self.tries += 1
        try:
            await self.sink.deliver(entries)
        except EntryRefused as refused:
            await self._have(entries[: refused.taken])
            await self._bury(entries[refused.taken], str(refused))
            return
        except SinkDown as down:
            if self._clock.epoch_s() - entries[0].closed_s > self._give_up_s:
                await self._bury(entries[0], f"given up: {down}")
            raise
        await self._have(entries)
        if self.problem:
            log.warning("call records are delivered to %s again", self.sink.name)
        self.problem, self._failures = "", 0

    async def _have(self, entries: Sequence[DueRecord]) -> None:
        seqs = [entry.seq for entry in entries]
        await self._database.run(lambda connection: spool.delivered(connection, self.sink.name, seqs))
        self.delivered += len(seqs)

    async def _bury(self, entry: DueRecord, why: str) -> None:
        now_s = self._clock.epoch_s()
        log.error(
            "call record %s will not be delivered to %s: %s; `cordboard rpc cdr.retry %s` tries again",
            entry.record.id, self.sink.name, why, self.sink.name,
        )  # fmt: skip
        await self._database.run(lambda connection: spool.bury(connection, self.sink.name, entry.seq, why, now_s))

    async def _rest(self, cause: str) -> None:
        if not self.problem:
            log.error("call records wait, %s does not take them: %s; they are kept and tried again", self.sink.name, cause)
        self.problem = cause
        self._at_once.clear()
        wait_s = pause_s(self._failures, self._clock.random)
        self._failures += 1
        later = self._clock.call_later(round(wait_s * 1e9), self._at_once.set)
        try:
            await self._at_once.wait()
        finally:
            later.cancel()
