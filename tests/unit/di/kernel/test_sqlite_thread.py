# SPDX-License-Identifier: GPL-2.0-or-later
"""A SQLite file with its own thread: order, shared commits, whose fault costs whom, and what a full disk says."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from di.kernel.sqlite_thread import DatabaseFailed, SqliteThread

SCHEMA = "CREATE TABLE IF NOT EXISTS note(number INTEGER PRIMARY KEY, text TEXT NOT NULL)"


def add(text: str):
    return lambda connection: connection.execute("INSERT INTO note(text) VALUES (?)", (text,)).lastrowid


def texts(path: Path) -> list[str]:
    """What another process would read now."""
    with sqlite3.connect(path) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM note ORDER BY number")]


async def under_way(database: SqliteThread) -> tuple[asyncio.Future[bool], threading.Event]:
    """A piece that the thread has begun, and what lets it go on: what is ordered now comes into the next commit."""
    begun, go = threading.Event(), threading.Event()

    def wait(connection: sqlite3.Connection) -> bool:
        begun.set()
        return go.wait(60)

    first = database.run(wait)
    assert await asyncio.to_thread(begun.wait, 60)
    return first, go


async def test_what_was_waited_for_is_there_for_others(tmp_path: Path) -> None:
    database = SqliteThread(tmp_path / "below" / "notes.db", SCHEMA)
    await database.open()
    assert await database.run(add("one")) == 1
    assert texts(database.path) == ["one"]
    await database.close()
    with pytest.raises(DatabaseFailed, match="closed"):
        await database.run(add("late"))


async def test_what_gathers_during_a_commit_shares_the_next(tmp_path: Path) -> None:
    database = SqliteThread(tmp_path / "notes.db", SCHEMA)
    await database.open()
    first, go = await under_way(database)
    rest = [database.run(add(str(number))) for number in range(300)]
    go.set()
    await first
    await asyncio.gather(*rest)
    assert database.commits == 2
    await database.close()
    assert texts(database.path) == [str(number) for number in range(300)]


async def test_a_piece_that_fails_takes_back_what_it_did_and_nothing_of_others(tmp_path: Path) -> None:
    database = SqliteThread(tmp_path / "notes.db", SCHEMA)
    await database.open()
    first, go = await under_way(database)

    def half(connection: sqlite3.Connection) -> None:
        add("half")(connection)
        connection.execute("INSERT INTO nowhere VALUES (1)")

    before, failing, after = database.run(add("before")), database.run(half), database.run(add("after"))
    go.set()
    await asyncio.gather(first, before, after)
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        await failing
    await database.close()
    assert texts(database.path) == ["before", "after"]


async def test_a_full_disk_is_said_and_the_next_commit_may_succeed(tmp_path: Path) -> None:
    database = SqliteThread(tmp_path / "notes.db", SCHEMA)
    await database.open()
    await database.run(add("kept"))
    await database.run(lambda connection: connection.execute("PRAGMA max_page_count=3").fetchone())
    with pytest.raises(DatabaseFailed, match="full"):
        await database.run(add("x" * 100_000))
    assert "notes.db" in database.problem
    await database.run(lambda connection: connection.execute("PRAGMA max_page_count=1000").fetchone())
    await database.run(add("again"))
    assert database.problem == ""
    await database.close()
    assert texts(database.path) == ["kept", "again"]


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_bytes(b"this is a letter, no database, and long enough to be looked at" * 10)
    with pytest.raises(DatabaseFailed, match=r"notes\.db"):
        await SqliteThread(tmp_path / "notes.db", SCHEMA).open()


async def test_two_writers_of_one_file_wait_for_each_other(tmp_path: Path) -> None:
    one, two = SqliteThread(tmp_path / "notes.db", SCHEMA), SqliteThread(tmp_path / "notes.db", SCHEMA)
    await one.open()
    await two.open()
    await asyncio.gather(*(database.run(add(name)) for number in range(20) for database, name in ((one, "one"), (two, "two"))))
    await asyncio.gather(one.close(), two.close())
    assert sorted(texts(one.path)) == ["one"] * 20 + ["two"] * 20
