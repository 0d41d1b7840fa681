# SPDX-License-Identifier: GPL-2.0-or-later
"""Recordings that are not handed over yet, in a table, so that a start finds what a crash left. Functions of a connection.

begin ─► (recording) ─► hand over to the mail queue: mailed ─► to the box: boxed ─► done: the row goes
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from di.apps.voicemail.order import VoicemailOrder

SCHEMA = """
CREATE TABLE IF NOT EXISTS recordings (
    id TEXT PRIMARY KEY,
    file TEXT NOT NULL,
    wanted TEXT NOT NULL,
    mailed INTEGER NOT NULL DEFAULT 0,
    boxed INTEGER NOT NULL DEFAULT 0,
    length_ms INTEGER NOT NULL DEFAULT -1
);
"""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A row. `id`: the call's; `file`: a name in the spool; `mailed`, `boxed`: handed over there already; `length_ms` -1: not known."""

    id: str
    file: str
    order: VoicemailOrder
    mailed: bool = False
    boxed: bool = False
    length_ms: int = -1

    @property
    def complete(self) -> bool:
        """Whether it is everywhere where it was to go."""
        return (self.mailed or not self.order.mode.mails) and (self.boxed or not self.order.mode.boxes)


def begin(connection: sqlite3.Connection, entry: JournalEntry) -> None:
    """A recording is about to begin."""
    connection.execute("INSERT INTO recordings (id, file, wanted) VALUES (?,?,?)", (entry.id, entry.file, entry.order.to_json()))


def note(connection: sqlite3.Connection, entry: JournalEntry) -> None:
    """How far it is."""
    values = int(entry.mailed), int(entry.boxed), entry.length_ms, entry.id
    connection.execute("UPDATE recordings SET mailed=?, boxed=?, length_ms=? WHERE id=?", values)


def done(connection: sqlite3.Connection, id: str) -> None:
    """It needs nothing any more."""
    connection.execute("DELETE FROM recordings WHERE id=?", (id,))


def left(connection: sqlite3.Connection) -> tuple[list[JournalEntry], list[str]]:
    """All rows, and the ids of those that cannot be read."""
    entries, unreadable = [], []
    rows = connection.execute("SELECT id, file, wanted, mailed, boxed, length_ms FROM recordings")
    for id, file, wanted, mailed, boxed, length_ms in rows:
        try:
            entries.append(JournalEntry(id, file, VoicemailOrder.from_json(wanted), bool(mailed), bool(boxed), int(length_ms)))
        except (ValueError, KeyError, TypeError):
            unreadable.append(id)
    return entries, unreadable
