# SPDX-License-Identifier: GPL-2.0-or-later
"""One SQLite file with one thread of its own, for what must not be lost: what is waited for here is on the disk.

    database = SqliteThread(path, SCHEMA)
    await database.open()
    seq = await database.run(lambda connection: connection.execute("INSERT …").lastrowid)
    await database.close()

Work comes from the loop and runs in the thread, in order. What has gathered while the last commit was on its way to the disk is one
transaction, so the load decides how many share a commit; where a commit costs more than a short wait, `gather_s` lets more share it.
Each piece has a savepoint of its own: one that fails takes back what it did and nothing of the others. `synchronous=FULL`: NORMAL
loses the last commits when the power fails (SQLite's documentation of that pragma).
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

log = logging.getLogger(__name__)
T = TypeVar("T")
_LARGEST_BATCH = 500
_OF_THE_FILE = frozenset(
    (
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB,
    )
)  # fmt: skip
"""Causes that lie in the file or its disk; every other failure is the piece's own."""
_BUSY_S = 5.0
"""How long to wait for another process that writes to the same file."""


class DatabaseFailed(Exception):
    """The file could not be written or read: the disk is full, the folder is not writable, the file is damaged."""


@dataclass(frozen=True, slots=True)
class _Order:
    """A piece of work and who waits for it."""

    work: Callable[[sqlite3.Connection], object]
    done: asyncio.Future[object]


class SqliteThread:
    """`schema`: statements that make what is missing; run at each opening. Belongs to the loop in which `open` was called."""

    def __init__(self, path: Path, schema: str, gather_s: float = 0.0) -> None:
        self.path = path
        self.problem = ""
        """What was wrong with the last commit; empty when it reached the disk."""
        self.commit_s = 0.0
        """How long the last commit took."""
        self.commits = 0
        self._schema = schema
        self._gather_s = gather_s
        self._orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def open(self) -> None:
        """Open or make the file and start the thread. Raises DatabaseFailed, which names the file and the cause."""
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = loop.create_future()
        self._thread = threading.Thread(target=self._serve, args=(loop, opened), name=f"sqlite {self.path.name}", daemon=True)
        self._thread.start()
        await opened

    def run(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Let `work` run in the thread. The future has its result once that is on the disk.

        The future raises what `work` raised, or DatabaseFailed. The order is kept whether or not anybody waits; a failure that nobody
        waits for stands in the log.
        """
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._thread is None:
            done.set_exception(DatabaseFailed(f"{self.path} is closed"))
        else:
            self._orders.put(_Order(work, cast("asyncio.Future[object]", done)))
        return done

    async def close(self) -> None:
        """Let what was ordered be done, then close the file. Without effect when it is closed."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._orders.put(None)
            await asyncio.to_thread(thread.join)

    # --------------------------------------------------------------------------------------------------------- in the thread
    def _serve(self, loop: asyncio.AbstractEventLoop, opened: asyncio.Future[None]) -> None:
        try:
            connection = self._connect()
        except (sqlite3.Error, OSError) as error:
            _tell(loop, cast("asyncio.Future[object]", opened), None, DatabaseFailed(f"{self.path}: {error}"))
            return
        _tell(loop, cast("asyncio.Future[object]", opened), None, None)
        try:
            while (batch := self._gather()) is not None:
                self._do(connection, batch, loop)
        finally:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        connection = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.executescript(self._schema)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _gather(self) -> list[_Order] | None:
        """What waits, at least one; None: no more will come."""
        first = self._orders.get()
        if first is None:
            return None
        batch = [first]
        if self._gather_s:
            time.sleep(self._gather_s)
        while len(batch) < _LARGEST_BATCH:
            try:
                order = self._orders.get_nowait()
            except queue.Empty:
                break
            if order is None:
                self._orders.put(None)  # the end, again, for the next look
                break
            batch.append(order)
        return batch

    def _do(self, connection: sqlite3.Connection, batch: list[_Order], loop: asyncio.AbstractEventLoop) -> None:
        outcomes: list[tuple[object, Exception | None]] = []
        began_s = time.monotonic()
        try:
            connection.execute("BEGIN IMMEDIATE")
            for order in batch:
                outcomes.append(_one(connection, order))
            connection.execute("COMMIT")
            self.problem = ""
        except (sqlite3.Error, OSError) as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self.problem = f"{self.path}: {error}"
            outcomes = [(None, DatabaseFailed(self.problem))] * len(batch)
        self.commit_s = time.monotonic() - began_s
        self.commits += 1
        for order, (result, failure) in zip(batch, outcomes, strict=True):
            _tell(loop, order.done, result, failure)


def _one(connection: sqlite3.Connection, order: _Order) -> tuple[object, Exception | None]:
    """Run one piece. Raises what concerns the whole file: then no other piece would fare better."""
    connection.execute("SAVEPOINT piece")
    try:
        result = order.work(connection)
    except Exception as error:
        if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _OF_THE_FILE:
            raise
        connection.execute("ROLLBACK TO piece")
        connection.execute("RELEASE piece")
        return None, error
    connection.execute("RELEASE piece")
    return result, None


def _tell(loop: asyncio.AbstractEventLoop, done: asyncio.Future[object], result: object, failure: Exception | None) -> None:
    def settle() -> None:
        if done.cancelled():
            return
        if failure is not None:
            done.set_exception(failure)
        else:
            done.set_result(result)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        log.warning("the loop has ended before an answer of the database came")
