# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands in the spool's file, and each step that changes it, over a connection. Pure: transactions and time come from outside.

open     the record of a call that lasts, and when it was last seen
closed   a record that is complete, until every way out has it
due      which way out still has to deliver which record, in order
dead     what a way out has refused for good, for a person to look at
asked    controls that let an open call begin · untold: those that are still to hear that a crash has cut it
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from di.stores.cdr.record import CallRecord, from_json, interrupted, to_json

SCHEMA = """
CREATE TABLE IF NOT EXISTS open(id TEXT PRIMARY KEY, seen_s REAL NOT NULL, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS closed(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, closed_s REAL NOT NULL,
                                  record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS due(sink TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY(sink, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead(sink TEXT NOT NULL, seq INTEGER NOT NULL, at_s REAL NOT NULL, why TEXT NOT NULL,
                                PRIMARY KEY(sink, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS asked(id TEXT NOT NULL, note TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS untold(seq INTEGER PRIMARY KEY AUTOINCREMENT, note TEXT NOT NULL, record TEXT NOT NULL, since_s REAL NOT NULL);
CREATE INDEX IF NOT EXISTS asked_of_record ON asked(id);
CREATE INDEX IF NOT EXISTS due_of_record ON due(seq);
CREATE INDEX IF NOT EXISTS dead_of_record ON dead(seq);
"""


@dataclass(frozen=True, slots=True)
class DueRecord:
    """A record on its way out. `text`: its line of JSON."""

    seq: int
    closed_s: float
    record: CallRecord
    text: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much a way out still has to deliver. `oldest_s`: when the oldest of it was closed, 0 without any."""

    pending: int
    oldest_s: float
    dead: int


def keep_open(connection: sqlite3.Connection, record: CallRecord, now_s: float) -> None:
    """Write the record of a call that lasts, or what has changed in it."""
    connection.execute("INSERT OR REPLACE INTO open VALUES (?, ?, ?)", (record.id, now_s, to_json(record)))


def seen(connection: sqlite3.Connection, ids: Sequence[str], now_s: float) -> None:
    """These calls still last."""
    connection.executemany("UPDATE open SET seen_s = ? WHERE id = ?", [(now_s, id) for id in ids])


def close(connection: sqlite3.Connection, record: CallRecord, sinks: Sequence[str], now_s: float) -> bool:
    """Complete a record and put it before every way out, all or nothing. False: it was closed already, and nothing changed."""
    added = connection.execute(
        "INSERT OR IGNORE INTO closed(id, closed_s, record) VALUES (?, ?, ?)", (record.id, now_s, to_json(record))
    )
    if not added.rowcount:
        return False
    connection.executemany("INSERT INTO due VALUES (?, ?)", [(sink, added.lastrowid) for sink in sinks])
    connection.execute("DELETE FROM open WHERE id = ?", (record.id,))
    connection.execute("DELETE FROM asked WHERE id = ?", (record.id,))
    return True


def note_asked(connection: sqlite3.Connection, id: str, note: str) -> None:
    """A control has let the call of a record begin."""
    connection.execute("INSERT INTO asked SELECT ?, ? WHERE EXISTS (SELECT 1 FROM open WHERE id = ?)", (id, note, id))


def recover(connection: sqlite3.Connection, sinks_of: Callable[[CallRecord], Sequence[str]], now_s: float) -> list[CallRecord]:
    """Close what an earlier life of the server left open; returns those records. Run before any call begins.

    In the same step the controls of those calls become `untold`. `sinks_of`: which ways out a record is for.
    """
    left = []
    for seen_s, text in connection.execute("SELECT seen_s, record FROM open ORDER BY id").fetchall():
        record = interrupted(from_json(text), seen_s)
        notes = connection.execute("SELECT note FROM asked WHERE id = ? ORDER BY rowid", (record.id,)).fetchall()
        if close(connection, record, sinks_of(record), now_s):
            rows = [(note, to_json(record), now_s) for (note,) in notes]
            connection.executemany("INSERT INTO untold(note, record, since_s) VALUES (?, ?, ?)", rows)
        left.append(record)
    return left


def untold(connection: sqlite3.Connection) -> list[tuple[int, str, str, float]]:
    """Number, note, record and since when, of each control that must still be told of a crash, oldest first; the two as they were written."""
    return connection.execute("SELECT seq, note, record, since_s FROM untold ORDER BY seq").fetchall()


def told(connection: sqlite3.Connection, seqs: Sequence[int]) -> None:
    """These have been told."""
    connection.executemany("DELETE FROM untold WHERE seq = ?", [(seq,) for seq in seqs])


def forget_unknown(connection: sqlite3.Connection, sinks: Sequence[str]) -> list[tuple[str, int]]:
    """Let go what is due at ways out that are configured no more; returns each with how many records it had not got."""
    marks = ",".join("?" * len(sinks))
    gone = connection.execute(f"SELECT sink, count(*) FROM due WHERE sink NOT IN ({marks}) GROUP BY sink", sinks).fetchall()
    connection.execute(f"DELETE FROM due WHERE sink NOT IN ({marks})", sinks)
    _sweep(connection)
    return [(str(sink), int(count)) for sink, count in gone]


def next_due(connection: sqlite3.Connection, sink: str, limit: int) -> list[DueRecord]:
    """What is to be delivered next, oldest first."""
    rows = connection.execute(
        "SELECT seq, closed_s, record FROM due JOIN closed USING (seq) WHERE sink = ? ORDER BY seq LIMIT ?", (sink, limit)
    )
    return [DueRecord(seq, closed_s, from_json(text), text) for seq, closed_s, text in rows]


def delivered(connection: sqlite3.Connection, sink: str, seqs: Sequence[int]) -> None:
    """A way out has these; what all have is forgotten."""
    connection.executemany("DELETE FROM due WHERE sink = ? AND seq = ?", [(sink, seq) for seq in seqs])
    _sweep(connection, seqs)


def bury(connection: sqlite3.Connection, sink: str, seq: int, why: str, now_s: float) -> None:
    """A way out will never take this one; the others of it may go on."""
    connection.execute("INSERT OR REPLACE INTO dead VALUES (?, ?, ?, ?)", (sink, seq, now_s, why))
    connection.execute("DELETE FROM due WHERE sink = ? AND seq = ?", (sink, seq))


def revive(connection: sqlite3.Connection, sink: str) -> int:
    """Try again what a way out had refused; returns how many."""
    connection.execute("INSERT OR IGNORE INTO due SELECT sink, seq FROM dead WHERE sink = ?", (sink,))
    return connection.execute("DELETE FROM dead WHERE sink = ?", (sink,)).rowcount


def backlog(connection: sqlite3.Connection, sink: str) -> Backlog:
    """How a way out stands."""
    pending, first = connection.execute("SELECT count(*), min(seq) FROM due WHERE sink = ?", (sink,)).fetchone()
    oldest = connection.execute("SELECT closed_s FROM closed WHERE seq = ?", (first,)).fetchone() if pending else None
    (dead,) = connection.execute("SELECT count(*) FROM dead WHERE sink = ?", (sink,)).fetchone()
    return Backlog(pending, oldest[0] if oldest else 0.0, dead)


def dead_letters(connection: sqlite3.Connection, sink: str, limit: int) -> list[tuple[str, float, str]]:
    """Id, time and cause of what a way out has refused, oldest first."""
    rows = connection.execute(
        "SELECT id, at_s, why FROM dead JOIN closed USING (seq) WHERE sink = ? ORDER BY seq LIMIT ?", (sink, limit)
    )
    return [(str(id), float(at_s), str(why)) for id, at_s, why in rows]


def _sweep(connection: sqlite3.Connection, seqs: Sequence[int] | None = None) -> None:
    """Forget records, all or these, that nobody is to have any more."""
    unwanted = "NOT EXISTS (SELECT 1 FROM due WHERE due.seq = closed.seq) AND NOT EXISTS (SELECT 1 FROM dead WHERE dead.seq = closed.seq)"
    if seqs is None:
        connection.execute(f"DELETE FROM closed WHERE {unwanted}")
    else:
        connection.executemany(f"DELETE FROM closed WHERE seq = ? AND {unwanted}", [(seq,) for seq in seqs])
