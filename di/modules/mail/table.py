# SPDX-License-Identifier: GPL-2.0-or-later
"""The queue's table: every state of a mail and every step between two, each one transaction of `di.kernel.sqlite_thread`.

    add ─► WAITING ─► claim: CLAIMED ─► handing: HANDING (DATA follows) ─► accepted: ACCEPTED, remembered for a while
              ▲            └───────── later ◄──────────┘ └─► give_up: GIVEN_UP, kept until retried or dropped
              └── recover, at a start: CLAIMED as it was; HANDING is in doubt: the server may have it, it is sent again

Functions of a connection and of times; no thread, no clock, no file here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import orjson

from di.modules.mail.message import Content, from_content

SCHEMA = """
CREATE TABLE IF NOT EXISTS mails (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    content TEXT NOT NULL,
    recipients TEXT NOT NULL,
    queued_s REAL NOT NULL,
    next_s REAL NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    doubts INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS mails_due ON mails (state, next_s);
"""


class MailState(Enum):
    """Where a mail stands."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    """Somebody is about to send it; the server has nothing of it."""
    HANDING = "handing"
    """DATA has been or is about to be sent: whether the server has it is known only when it has answered."""
    ACCEPTED = "accepted"
    GIVEN_UP = "given_up"


UNSENT = (MailState.WAITING, MailState.CLAIMED, MailState.HANDING)


@dataclass(frozen=True, slots=True)
class QueuedMail:
    """A row. `recipients`: those who have not got it; `failures`: attempts that failed; `doubts`: answers that never came."""

    id: int
    key: str
    state: MailState
    content: Content
    recipients: tuple[str, ...]
    queued_s: float
    next_s: float
    failures: int
    doubts: int
    error: str


_COLUMNS = "id, key, state, content, recipients, queued_s, next_s, failures, doubts, error"


def _mail(row: sqlite3.Row | tuple[object, ...]) -> QueuedMail:
    id, key, state, content, recipients, queued_s, next_s, failures, doubts, error = row
    addresses = tuple(orjson.loads(str(recipients)))
    return QueuedMail(
        int(str(id)), str(key), MailState(state), str(content), addresses, float(str(queued_s)), float(str(next_s)),
        int(str(failures)), int(str(doubts)), str(error),
    )  # fmt: skip


def _json(recipients: Sequence[str]) -> str:
    return orjson.dumps(list(recipients)).decode()


# ----------------------------------------------------------------------------------------------------------- into the queue
def knows(connection: sqlite3.Connection, key: str) -> bool:
    """Whether a mail with this key was queued before."""
    return connection.execute("SELECT 1 FROM mails WHERE key=?", (key,)).fetchone() is not None


def add(connection: sqlite3.Connection, key: str, content: Content, recipients: Sequence[str], now_s: float) -> bool:
    """Queue a mail. False, and nothing changes, for a key that is known."""
    cursor = connection.execute(
        "INSERT INTO mails (key, state, content, recipients, queued_s, next_s) VALUES (?,?,?,?,?,?) ON CONFLICT (key) DO NOTHING",
        (key, MailState.WAITING.value, content, _json(recipients), now_s, now_s),
    )
    return cursor.rowcount == 1


def recover(connection: sqlite3.Connection, now_s: float) -> list[QueuedMail]:
    """After a start: what was being sent waits again. Returns the mails in doubt, which their server may have."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM mails WHERE state=?", (MailState.HANDING.value,)).fetchall()
    connection.execute("UPDATE mails SET doubts=doubts+1 WHERE state=?", (MailState.HANDING.value,))
    connection.execute(
        "UPDATE mails SET state=?, next_s=? WHERE state IN (?,?)",
        (MailState.WAITING.value, now_s, MailState.CLAIMED.value, MailState.HANDING.value),
    )
    return [_mail(row) for row in rows]


# ------------------------------------------------------------------------------------------------------------------ sending
def claim(connection: sqlite3.Connection, now_s: float) -> QueuedMail | None:
    """Take the mail that has been due longest; None while none is."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM mails WHERE state=? AND next_s<=? ORDER BY next_s, id LIMIT 1", (MailState.WAITING.value, now_s)
    ).fetchone()
    if row is None:
        return None
    mail = _mail(row)
    _set_state(connection, mail.id, MailState.CLAIMED)
    return mail


def next_due_s(connection: sqlite3.Connection) -> float | None:
    """When the next mail is due; None while none waits."""
    row = connection.execute("SELECT min(next_s) FROM mails WHERE state=?", (MailState.WAITING.value,)).fetchone()
    return None if row[0] is None else float(row[0])


def handing(connection: sqlite3.Connection, id: int) -> bool:
    """DATA follows. False: it was dropped meanwhile, so nothing is to be sent."""
    cursor = connection.execute(
        "UPDATE mails SET state=? WHERE id=? AND state=?", (MailState.HANDING.value, id, MailState.CLAIMED.value)
    )
    return cursor.rowcount == 1


def accepted(connection: sqlite3.Connection, id: int, now_s: float) -> None:
    """Every recipient has it, or has refused it for good."""
    connection.execute("UPDATE mails SET state=?, next_s=?, error='' WHERE id=?", (MailState.ACCEPTED.value, now_s, id))


def later(
    connection: sqlite3.Connection, id: int, recipients: Sequence[str], next_s: float, error: str, failed: bool, doubt: bool
) -> None:
    """Try again then, for these recipients. `failed`: the attempt counts; `doubt`: the server may have it."""
    connection.execute(
        "UPDATE mails SET state=?, recipients=?, next_s=?, error=?, failures=failures+?, doubts=doubts+? WHERE id=?",
        (MailState.WAITING.value, _json(recipients), next_s, error, int(failed), int(doubt), id),
    )


def give_up(connection: sqlite3.Connection, id: int, recipients: Sequence[str], now_s: float, error: str) -> None:
    """Not tried any more; kept."""
    connection.execute(
        "UPDATE mails SET state=?, recipients=?, next_s=?, error=?, failures=failures+1 WHERE id=?",
        (MailState.GIVEN_UP.value, _json(recipients), now_s, error, id),
    )


def _set_state(connection: sqlite3.Connection, id: int, state: MailState) -> None:
    connection.execute("UPDATE mails SET state=? WHERE id=?", (state.value, id))


# ------------------------------------------------------------------------------------------------------- looking and tending
def listed(connection: sqlite3.Connection, states: Sequence[MailState], most: int) -> list[QueuedMail]:
    """Mails in those states, oldest first."""
    marks = ",".join("?" * len(states))
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM mails WHERE state IN ({marks}) ORDER BY id LIMIT ?", (*(state.value for state in states), most)
    )
    return [_mail(row) for row in rows]


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """How many mails are in each state."""
    found = dict.fromkeys((state.value for state in MailState), 0)
    found |= {str(state): int(count) for state, count in connection.execute("SELECT state, count(*) FROM mails GROUP BY state")}
    return found


def oldest_s(connection: sqlite3.Connection) -> float | None:
    """When the mail was queued that has waited longest; None while none waits."""
    row = connection.execute(
        "SELECT min(queued_s) FROM mails WHERE state IN (?,?,?)", tuple(state.value for state in UNSENT)
    ).fetchone()
    return None if row[0] is None else float(row[0])


def retry(connection: sqlite3.Connection, id: int, now_s: float) -> bool:
    """Try a mail that waits or was given up now, with its whole time again. False: there is none of that number."""
    cursor = connection.execute(
        "UPDATE mails SET state=?, next_s=?, queued_s=CASE state WHEN ? THEN ? ELSE queued_s END, failures=0 WHERE id=? AND state IN (?,?)",
        (
            MailState.WAITING.value, now_s, MailState.GIVEN_UP.value, now_s, id,
            MailState.WAITING.value, MailState.GIVEN_UP.value,
        ),
    )  # fmt: skip
    return cursor.rowcount == 1


def drop(connection: sqlite3.Connection, id: int) -> QueuedMail | None:
    """Remove a mail that nobody is sending. Returns it; None: there is none, or its server may be taking it just now."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM mails WHERE id=? AND state IN (?,?)", (id, MailState.WAITING.value, MailState.GIVEN_UP.value)
    ).fetchone()
    if row is None:
        return None
    connection.execute("DELETE FROM mails WHERE id=?", (id,))
    return _mail(row)


def forget(connection: sqlite3.Connection, before_s: float) -> int:
    """Forget mails that were accepted before a time; returns how many."""
    return connection.execute("DELETE FROM mails WHERE state=? AND next_s<?", (MailState.ACCEPTED.value, before_s)).rowcount


def files_needed(connection: sqlite3.Connection) -> set[str]:
    """Names of the attachments of all mails that are not accepted."""
    rows = connection.execute("SELECT content FROM mails WHERE state<>?", (MailState.ACCEPTED.value,))
    return {file.file for (content,) in rows for file in from_content(str(content)).files}
