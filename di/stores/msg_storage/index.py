# SPDX-License-Identifier: GPL-2.0-or-later
"""The index of a storage in SQLite: what was seen in each box, so that a box need not be read each time, and all need not for a sweep.

The disk is the truth. A box's row says when its folder had last changed when it was read; a folder that has changed since is read anew,
whoever changed it: this process, another one, a crash between two steps, an operator. An index that is gone or broken is begun anew,
and every box is read again when it is asked for. What only the index knows is since when a message counts as read.

Used by one thread. Other processes have the file open, too: WAL, and the lock of `di.stores.msg_storage.disk` around each use.
Names are blobs: files may have names that are no text.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from di.stores.messages import GREETINGS, BoxOwner

log = logging.getLogger(__name__)
VERSION = 1
_BUSY_S = 0.5
"""How long to wait for a process that does not keep to the lock, e.g. a backup."""
_TABLES = """
CREATE TABLE box (domain BLOB, user BLOB, changed_ns INTEGER NOT NULL, PRIMARY KEY (domain, user)) WITHOUT ROWID;
CREATE TABLE message (
    domain BLOB, user BLOB, name BLOB, size_bytes INTEGER NOT NULL, change_ns INTEGER NOT NULL, read INTEGER NOT NULL,
    since_ns INTEGER NOT NULL, PRIMARY KEY (domain, user, name)) WITHOUT ROWID;
CREATE INDEX message_age ON message (read, since_ns);
"""


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A message as the index has it. `change_ns` of the file says whether it is still the same; `since_ns`: new or read since then."""

    name: str
    size_bytes: int
    change_ns: int
    read: bool
    since_ns: int


class MessageIndex:
    """Raises sqlite3.Error where the file cannot be used; `begin_anew` is what helps when it is broken."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = self._open()

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=FULL")
            (found,) = database.execute("PRAGMA user_version").fetchone()
            if found == 0:
                database.executescript(f"BEGIN IMMEDIATE;{_TABLES}PRAGMA user_version={VERSION};COMMIT")
            elif found != VERSION:
                raise sqlite3.DatabaseError(f"it is of version {found}, not {VERSION}")
            (state,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if state != "ok":
                raise sqlite3.DatabaseError(str(state))
        except sqlite3.Error:
            database.close()
            raise
        return database

    @classmethod
    def begin_anew(cls, path: Path) -> MessageIndex:
        """Put away a file that cannot be used, and begin an empty index. Raises sqlite3.Error or OSError when that cannot be done either."""
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{path}{suffix}")
        return cls(path)

    def close(self) -> None:
        """The file is complete by itself then."""
        with contextlib.suppress(sqlite3.Error):
            self._database.close()

    # ------------------------------------------------------------------------------------------------------------- transactions
    def begin(self) -> None:
        """What follows is one change."""
        self._database.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """It is on disk."""
        self._database.execute("COMMIT")

    def roll_back(self) -> None:
        """It has not been."""
        with contextlib.suppress(sqlite3.Error):
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")

    # -------------------------------------------------------------------------------------------------------------------- a box
    def seen_ns(self, owner: BoxOwner) -> int | None:
        """When the folder of a box had last changed when it was read; 0: it must be read anew; None: the box is not known."""
        row = self._database.execute("SELECT changed_ns FROM box WHERE domain=? AND user=?", _key(owner)).fetchone()
        return None if row is None else int(row[0])

    def entries(self, owner: BoxOwner) -> dict[str, IndexEntry]:
        """What is known of a box."""
        rows = self._database.execute(
            "SELECT name, size_bytes, change_ns, read, since_ns FROM message WHERE domain=? AND user=?", _key(owner)
        )
        found = (IndexEntry(os.fsdecode(name), size, change, bool(read), since) for name, size, change, read, since in rows)
        return {entry.name: entry for entry in found}

    def set_box(self, owner: BoxOwner, seen_ns: int, changed: Iterable[IndexEntry], gone: Iterable[str]) -> None:
        """A box was read: put and drop what differs."""
        self._database.execute("INSERT OR REPLACE INTO box VALUES (?, ?, ?)", (*_key(owner), seen_ns))
        for entry in changed:
            self.put(owner, entry)
        for name in gone:
            self.drop(owner, name)

    def doubt(self, owner: BoxOwner) -> None:
        """Let a box be read anew."""
        self._database.execute("INSERT OR REPLACE INTO box VALUES (?, ?, 0)", _key(owner))

    def forget_box(self, owner: BoxOwner) -> None:
        """A box is gone."""
        self._database.execute("DELETE FROM box WHERE domain=? AND user=?", _key(owner))
        self._database.execute("DELETE FROM message WHERE domain=? AND user=?", _key(owner))

    def put(self, owner: BoxOwner, entry: IndexEntry) -> None:
        """A message is there, or has changed."""
        values = (*_key(owner), os.fsencode(entry.name), entry.size_bytes, entry.change_ns, entry.read, entry.since_ns)
        self._database.execute("INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def drop(self, owner: BoxOwner, name: str) -> None:
        """A message is gone."""
        self._database.execute("DELETE FROM message WHERE domain=? AND user=? AND name=?", (*_key(owner), os.fsencode(name)))

    # ---------------------------------------------------------------------------------------------------------------- all boxes
    def owners(self) -> list[BoxOwner]:
        """Every box that is known."""
        return [_owner(*row) for row in self._database.execute("SELECT domain, user FROM box ORDER BY domain, user")]

    def aged(self, read: bool, before_ns: int, most: int, skip: int = 0) -> Iterator[tuple[BoxOwner, IndexEntry]]:
        """Messages that have been new, or read, since before a time, the oldest first. Greetings have no age."""
        rows = self._database.execute(
            "SELECT domain, user, name, size_bytes, change_ns, since_ns FROM message"
            " WHERE read=? AND since_ns<? AND substr(domain, ?)<>? ORDER BY since_ns LIMIT ? OFFSET ?",
            (read, before_ns, -len(GREETINGS), GREETINGS.encode(), most, skip),
        ).fetchall()
        for domain, user, name, size, change, since in rows:
            yield _owner(domain, user), IndexEntry(os.fsdecode(name), size, change, read, since)

    def totals(self) -> tuple[int, int, int, int]:
        """Boxes, new messages, read messages, and bytes of all."""
        (boxes,) = self._database.execute("SELECT count(*) FROM box").fetchone()
        row = self._database.execute(
            "SELECT count(*), coalesce(sum(read), 0), coalesce(sum(size_bytes), 0) FROM message"
        ).fetchone()
        return int(boxes), int(row[0]) - int(row[1]), int(row[1]), int(row[2])


def _key(owner: BoxOwner) -> tuple[bytes, bytes]:
    return os.fsencode(owner.domain), os.fsencode(owner.user)


def _owner(domain: bytes, user: bytes) -> BoxOwner:
    return BoxOwner(os.fsdecode(domain), os.fsdecode(user))
