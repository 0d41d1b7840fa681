# SPDX-License-Identifier: GPL-2.0-or-later
"""Charges at a service elsewhere: whatever happens to us or to it, it is told of each call's end, once it is there to hear it.

    begin ─► (answered) ─► end ─► told          each step is on the disk; what a killed server left is ended when it was last seen alive
                            └─ no answer: again, with growing pauses, for days

A service knows repeats by the charge's key. One that cannot (`repeats=False`) is told once: where nobody can know whether it heard,
the log says so and a person decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from di.kernel.errors import ConfigError
from di.kernel.sqlite_thread import DatabaseFailed, SqliteThread
from di.server.metrics import gauge
from di.stores.cdr.delivery import pause_s

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from di.kernel.ports import Clock
    from di.server.services import Services

log = logging.getLogger(__name__)
Facts: TypeAlias = dict[str, str]
SCHEMA = """
CREATE TABLE IF NOT EXISTS charge(key TEXT PRIMARY KEY, state TEXT NOT NULL, facts TEXT NOT NULL, answered_s REAL NOT NULL,
                                  ended_s REAL NOT NULL, used_s REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alive(one INTEGER PRIMARY KEY CHECK(one = 1), seen_s REAL NOT NULL);
"""
_GATHER_S = 0.005
_ALIVE_S = 1.0
"""After a crash a call is charged until then."""
_TELLERS = 8
_UNDECIDED_NS = 600 * 1_000_000_000
"""Longer than anything rings."""
_GIVE_UP_S = 7 * 86400.0
_LAST_WORDS_S = 3.0


class NotTold(Exception):
    """The service did not take the end. `sent`: it may have heard it nevertheless."""

    def __init__(self, why: str, sent: bool = True) -> None:
        super().__init__(why)
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Charge:
    """One call at one control. `facts`: what its service is to be told, the module's own; `answered_s`, `ended_s`: wall clock, 0: not.

    `interrupted`: the server died under it, and `ended_s` is when that was last seen alive.
    """

    key: str
    facts: Facts
    answered_s: float = 0.0
    ended_s: float = 0.0
    used_s: float = 0.0
    interrupted: bool = False


# ---------------------------------------------------------------------------------------------------- what stands on the disk; pure
def write(connection: sqlite3.Connection, charge: Charge, state: str) -> None:
    """`state`: `open`, `ended`, or `telling` for one that may be told once only."""
    row = (charge.key, state, json.dumps(charge.facts), charge.answered_s, charge.ended_s, charge.used_s)
    connection.execute("INSERT OR REPLACE INTO charge VALUES (?, ?, ?, ?, ?, ?)", row)


def forget(connection: sqlite3.Connection, key: str) -> None:
    """It is told."""
    connection.execute("DELETE FROM charge WHERE key = ?", (key,))


def alive(connection: sqlite3.Connection, now_s: float) -> None:
    """Whatever is open still lasts."""
    connection.execute("INSERT OR REPLACE INTO alive VALUES (1, ?)", (now_s,))


def recover(connection: sqlite3.Connection) -> tuple[list[Charge], list[Charge]]:
    """What an earlier life left: charges whose end is to be told, and those of which nobody knows whether it was. Ends what was open."""
    seen = connection.execute("SELECT seen_s FROM alive").fetchone()
    to_tell: list[Charge] = []
    doubtful: list[Charge] = []
    for key, state, facts, answered_s, ended_s, used_s in connection.execute("SELECT * FROM charge ORDER BY key").fetchall():
        charge = Charge(key, json.loads(facts), answered_s, ended_s, used_s)
        if state == "open":
            end_s = max(seen[0] if seen is not None else 0.0, answered_s)
            charge = replace(charge, ended_s=end_s, used_s=end_s - answered_s if answered_s else 0.0, interrupted=True)
            write(connection, charge, "ended")
        (doubtful if state == "telling" else to_tell).append(charge)
    connection.execute("DELETE FROM charge WHERE state = 'telling'")
    return to_tell, doubtful


# ------------------------------------------------------------------------------------------------------------------------ the shell
class ChargeBook:
    """`tell` takes an ended charge to the service; it raises NotTold. Without a `path` the book is in memory only."""

    def __init__(
        self, name: str, path: Path | None, clock: Clock, tell: Callable[[Charge], Awaitable[None]], repeats: bool = True
    ) -> None:
        self.name = name
        self._clock = clock
        self._tell = tell
        self._repeats = repeats
        self._database = SqliteThread(path, SCHEMA, _GATHER_S) if path is not None else None
        self._open: dict[str, Charge] = {}
        self._due: deque[Charge] = deque()
        self._telling = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Begin, with what an earlier life left. Raises DatabaseFailed."""
        if self._database is not None:
            await self._database.open()
            to_tell, doubtful = await self._database.run(recover)
            for charge in doubtful:
                log.error(
                    "%s: charge %s (%s, %.0f s): the server died while it was told; whether it counts there is to be looked up",
                    self.name, charge.key, _public(charge), charge.used_s,
                )  # fmt: skip
            interrupted = [charge for charge in to_tell if charge.interrupted]
            if interrupted:
                log.warning("%s: %d calls were up when the server stopped: their end is told", self.name, len(interrupted))
            for charge in to_tell:
                self._enqueue(charge)
            self._mark_alive()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._pump(), name=f"{self.name} {number}") for number in range(_TELLERS)]
        self._tasks.append(loop.create_task(self._touch(), name=f"{self.name} alive"))

    # -------------------------------------------------------------------------------------------------------------- a call
    async def begin(self, key: str, facts: Facts, given_up: Facts | None = None) -> None:
        """A call begins; when this returns it is on the disk. `given_up`: what is known of its end if it is over before."""
        charge = self._open[key] = Charge(key, facts)
        if self._database is None:
            return
        try:
            await self._database.run(lambda connection: write(connection, charge, "open"))
        except DatabaseFailed as error:
            log.error("%s: charge %s is in memory only: %s", self.name, key, error)
        except (
            asyncio.CancelledError
        ):  # the call is over, or it goes on without the service's word: then it is answered, or ended, as any
            self._clock.call_later(_UNDECIDED_NS, lambda: self._undecided(charge, given_up or {}))
            raise

    def _undecided(self, charge: Charge, given_up: Facts) -> None:
        """Whoever has granted it is to hear that it cost nothing, if nothing has become of it."""
        if self._open.get(charge.key) is charge:
            self.end(charge.key, 0.0, given_up)

    def answered(self, key: str, facts: Facts) -> None:
        """It costs from now on. `facts` of a call that was let begin without the service."""
        known = self._open.get(key) or Charge(key, facts)
        charge = self._open[key] = replace(known, answered_s=self._clock.epoch_s())
        self._write(charge, "open")

    def find(self, key: str) -> Charge | None:
        """The charge of a call that is not over."""
        return self._open.get(key)

    def end(self, key: str, used_s: float, facts: Facts) -> None:
        """The call is over; once a call. `facts` are added to what is known."""
        known = self._open.pop(key, None) or Charge(key, {})
        charge = replace(known, facts={**known.facts, **facts}, ended_s=self._clock.epoch_s(), used_s=used_s)
        if self._database is None:
            self._enqueue(charge)
            return
        # told when it is on the disk: a server killed in between would tell another time used
        kept = self._database.run(lambda connection: write(connection, charge, "ended"))
        kept.add_done_callback(self._say)
        kept.add_done_callback(lambda done: self._enqueue(charge))

    @property
    def on_disk(self) -> bool:
        """Whether a crash forgets nothing."""
        return self._database is not None

    @property
    def waiting(self) -> int:
        """How many ends are not told yet."""
        return len(self._due) + self._telling

    # -------------------------------------------------------------------------------------------------------------- telling
    def _enqueue(self, charge: Charge) -> None:
        self._due.append(charge)
        self._idle.clear()
        self._wake.set()

    async def _pump(self) -> None:
        failures = 0
        while True:
            while not self._due:
                self._wake.clear()
                await self._wake.wait()
            charge = self._due.popleft()
            self._telling += 1
            try:
                told = await self._once(charge, failures)
            finally:
                self._telling -= 1
            if not self.waiting:
                self._idle.set()
            failures = 0 if told else failures + 1
            if failures:
                await asyncio.sleep(pause_s(failures - 1, self._clock.random))

    async def _once(self, charge: Charge, failures: int) -> bool:
        try:
            if not self._repeats and self._database is not None:
                with contextlib.suppress(DatabaseFailed):
                    await self._database.run(lambda connection: write(connection, charge, "telling"))
            await self._tell(charge)
        except NotTold as error:
            self._not_told(charge, error, failures)
            return False
        except Exception as error:
            log.error("%s: charge %s: %s", self.name, charge.key, error, exc_info=error)
            self._not_told(charge, NotTold(str(error)), failures)
            return False
        self._run(lambda connection: forget(connection, charge.key))
        return True

    def _not_told(self, charge: Charge, error: NotTold, failures: int) -> None:
        if error.sent and not self._repeats:
            log.error(
                "%s: charge %s (%s, %.0f s) was sent and not confirmed (%s): it is not sent twice; whether it counts is to be looked up",
                self.name, charge.key, _public(charge), charge.used_s, error,
            )  # fmt: skip
            self._run(lambda connection: forget(connection, charge.key))
        elif self._clock.epoch_s() - charge.ended_s > _GIVE_UP_S:
            log.error("%s: charge %s (%s, %.0f s) is given up: %s", self.name, charge.key, _public(charge), charge.used_s, error)
            self._run(lambda connection: forget(connection, charge.key))
        else:
            if not failures:
                log.warning("%s: charge %s is not told yet: %s; tried again", self.name, charge.key, error)
            if not self._repeats:
                self._write(charge, "ended")
            self._enqueue(charge)

    async def close(self) -> None:
        """Let what is being told be told, for a moment; what is left stays on the disk."""
        if self._tasks and self._database is not None:
            with contextlib.suppress(DatabaseFailed):
                await self._database.run(lambda connection: None)  # behind every end that is on its way to the disk
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), _LAST_WORDS_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._database is not None:
            await self._database.close()
        elif self._due:
            log.error("%s: %d ends of calls were not told, and there is no file that would keep them", self.name, len(self._due))

    # ------------------------------------------------------------------------------------------------------------- the disk
    async def _touch(self) -> None:
        while True:
            await asyncio.sleep(_ALIVE_S)
            if self._open:
                self._mark_alive()

    def _mark_alive(self) -> None:
        now_s = self._clock.epoch_s()
        self._run(lambda connection: alive(connection, now_s))

    def _write(self, charge: Charge, state: str) -> None:
        self._run(lambda connection: write(connection, charge, state))

    def _run(self, work: Callable[[sqlite3.Connection], object]) -> None:
        if self._database is not None:
            self._database.run(work).add_done_callback(self._say)

    def _say(self, done: asyncio.Future[None] | asyncio.Future[object]) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            log.error("%s: charges are not on the disk: %s", self.name, error)


async def opened(book: ChargeBook, services: Services, conf: str) -> Callable[[], Awaitable[None]]:
    """Open it at a plug-in's start, with a metric; returns what closes it. Raises ConfigError, which names the key `file` of `conf`.

    At a trial (`check-config`) it stays closed.
    """
    if services.trial:
        return book.close
    try:
        await book.open()
    except DatabaseFailed as error:
        raise ConfigError(str(services.conf_dir / conf), 0, "file", str(error)) from error

    def metrics() -> Iterator[Metric]:
        yield gauge(f"cordboard_{book.name}_waiting", "Ends of calls that the service has not taken yet.", book.waiting)

    services.metric_sources.append(metrics)

    async def close() -> None:
        services.metric_sources.remove(metrics)
        await book.close()

    return close


def _public(charge: Charge) -> str:
    """What may stand in the log."""
    return charge.facts.get("account", "") or "no account"
