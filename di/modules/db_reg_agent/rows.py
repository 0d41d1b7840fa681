# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of the database as accounts, and what is to be written back (spec applications.md §8). Pure.

The status column: 0 inactive, 1 pending, 2 active, 3 failed, 4 removed, 5 to be removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntEnum

from di.sip.registration.pacing import NS
from di.stores.mysql_client import Result, quoted

MANDATORY = ("subscriber_id", "user", "pass", "realm", "registration_status", "expiry")
_MAX_TEXT = 255
_MAX_CONTACTS = 4000


class RowStatus(IntEnum):
    """The column registration_status."""

    INACTIVE = 0
    PENDING = 1
    ACTIVE = 2
    FAILED = 3
    REMOVED = 4
    TO_BE_REMOVED = 5


@dataclass(frozen=True, slots=True)
class SubscriberRow:
    """A row of `joined_query`. `status` None: it has no row in the table of registrations yet. Times by the database's clock."""

    id: int
    user: str
    password: str = field(repr=False)
    realm: str
    contact: str = ""
    status: RowStatus | None = None
    expiry: datetime | None = None
    last_registration: datetime | None = None

    def left_s(self, now: datetime) -> int:
        """For how long it is registered yet."""
        return max(int((self.expiry - now).total_seconds()), 0) if self.expiry is not None else 0

    def interval_s(self, now: datetime, usual_s: int) -> int:
        """For how long it was registered in all; `usual_s` when the row does not say so in a way that can be."""
        if self.expiry is not None and self.last_registration is not None and self.last_registration <= now:
            whole = int((self.expiry - self.last_registration).total_seconds())
            if whole > 0:
                return whole
        return max(usual_s, self.left_s(now))


def read_subscribers(result: Result) -> tuple[list[SubscriberRow], list[str]]:
    """All accounts, and a sentence for each row that is none. Raises ValueError that names a column that is missing."""
    missing = [name for name in MANDATORY if name not in result.columns]
    if missing:
        raise ValueError(f"joined_query gives no column {', '.join(missing)}; it gives {', '.join(result.columns) or 'none'}")
    found, problems = [], []
    for number, row in enumerate(result.rows, 1):
        texts = {
            name: None if value is None else value.decode("utf-8", "replace")
            for name, value in zip(result.columns, row, strict=True)
        }
        try:
            found.append(_subscriber(texts))
        except ValueError as error:
            problems.append(f"row {number}: {error}")
    return found, problems


def _subscriber(texts: Mapping[str, str | None]) -> SubscriberRow:
    """Raises ValueError that says what is wrong, without showing the password."""
    id_text, status_text = texts["subscriber_id"] or "", texts["registration_status"]
    if not id_text.isascii() or not id_text.isdigit() or len(id_text) > 18:
        raise ValueError(f"subscriber_id {id_text!r} is no number")
    status = None
    if status_text is not None:
        if status_text not in ("0", "1", "2", "3", "4", "5"):
            raise ValueError(f"subscriber {id_text}: registration_status {status_text!r} is none of 0 to 5")
        status = RowStatus(int(status_text))
    return SubscriberRow(
        int(id_text), texts["user"] or "", texts["pass"] or "", texts["realm"] or "", texts.get("contact") or "", status,
        read_time(texts["expiry"]), read_time(texts.get("last_registration")),
    )  # fmt: skip


def read_time(text: str | None) -> datetime | None:
    """A DATETIME; None for NULL and for days that do not exist, as 0000-00-00."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=None)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class RowChange:
    """What is to be written for a subscriber. None: the column stays. `granted_s`: last_registration is `at_ns`, and expiry so much later.

    A row that is not there is made first; `delete` removes it instead.
    """

    status: RowStatus | None = None
    code: int | None = None
    reason: str | None = None
    granted_s: int | None = None
    contacts: str | None = None
    at_ns: int = 0
    delete: bool = False

    def then(self, later: RowChange) -> RowChange:
        """Both, one after the other, as one."""
        if self.delete or later.delete:
            return later
        kept = {
            name: getattr(self, name) if getattr(later, name) is None else getattr(later, name)
            for name in ("status", "code", "reason", "granted_s", "contacts")
        }
        return replace(later, **kept, at_ns=self.at_ns if later.granted_s is None else later.at_ns)

    def statements(self, table: str, id: int, now_ns: int) -> list[str]:
        """SQL for it, written at `now_ns`."""
        if self.delete:
            return [f"DELETE FROM {table} WHERE subscriber_id={id}"]
        make = (
            f"INSERT INTO {table} (subscriber_id, registration_status) SELECT {id}, 0 FROM DUAL "
            f"WHERE NOT EXISTS (SELECT 1 FROM {table} WHERE subscriber_id={id})"
        )
        values = self._values(now_ns)
        return [make, *([f"UPDATE {table} SET {', '.join(values)} WHERE subscriber_id={id}"] if values else [])]

    def _values(self, now_ns: int) -> list[str]:
        values = []
        if self.code is not None:
            values.append(f"last_code={self.code}")
        if self.reason is not None:
            values.append(f"last_reason={quoted(self.reason[:_MAX_TEXT])}")
        if self.status is not None:
            values.append(f"registration_status={int(self.status)}")
        if self.granted_s is not None:
            then = f"TIMESTAMPADD(SECOND, -{max(now_ns - self.at_ns, 0) // NS}, NOW())"
            values += [f"last_registration={then}", f"expiry=TIMESTAMPADD(SECOND, {self.granted_s}, {then})"]
        if self.contacts is not None:
            values.append(f"contacts={quoted(self.contacts[:_MAX_CONTACTS])}")
        return values
