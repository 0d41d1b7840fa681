# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows as accounts, and changes as statements."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.modules.db_reg_agent.rows import MANDATORY, RowChange, RowStatus, SubscriberRow, read_subscribers, read_time
from di.sip.registration.pacing import NS
from di.stores.mysql_client import Result

COLUMNS = (*MANDATORY, "last_registration", "contact")
NOW = datetime(2030, 1, 2, 3, 4, 5)


def row(*values: str | None) -> tuple[bytes | None, ...]:
    return tuple(value.encode() if value is not None else None for value in values)


def test_rows() -> None:
    rows = (
        row("7", "anna", "pw", "example.net", "2", "2030-01-02 03:14:05", "2030-01-02 02:14:05.5", "sip:a@b"),
        row("8", "ben", None, "example.net", None, None, "0000-00-00 00:00:00", None),
        row("x", "c", "secret", "r", "2", None, None, None),
        row("9", "c", "secret", "r", "9", None, None, None),
    )
    found, problems = read_subscribers(Result(COLUMNS, rows))
    assert [(one.id, one.user, one.password, one.status, one.contact) for one in found] == [
        (7, "anna", "pw", RowStatus.ACTIVE, "sip:a@b"), (8, "ben", "", None, ""),
    ]  # fmt: skip
    assert [one.left_s(NOW) for one in found] == [600, 0] and found[0].interval_s(NOW, 7200) == 3599
    assert problems == ["row 3: subscriber_id 'x' is no number", "row 4: subscriber 9: registration_status '9' is none of 0 to 5"]
    assert "secret" not in "".join(problems) and "pw" not in repr(found)


def test_columns_that_are_missing_are_named() -> None:
    with pytest.raises(ValueError, match="no column pass, expiry; it gives subscriber_id, user, realm"):
        read_subscribers(Result(("subscriber_id", "user", "realm", "registration_status"), ()))


def test_times_that_make_no_sense() -> None:
    assert read_time("2030-02-31 00:00:00") is None and read_time("") is None and read_time(None) is None
    late = SubscriberRow(1, "u", "p", "r", expiry=NOW.replace(year=2031), last_registration=NOW.replace(year=2032))
    assert late.interval_s(NOW, 60) == late.left_s(NOW) == 365 * 86400


def test_statements() -> None:
    change = RowChange(RowStatus.ACTIVE, 200, "O'K\\", 600, "<sip:a@b>", at_ns=NS)
    make, update = change.statements("registrations", 7, 4 * NS)
    assert make.startswith(
        "INSERT INTO registrations (subscriber_id, registration_status) SELECT 7, 0 FROM DUAL WHERE NOT EXISTS"
    )
    assert update == (
        "UPDATE registrations SET last_code=200, last_reason='O\\'K\\\\', registration_status=2, "
        "last_registration=TIMESTAMPADD(SECOND, -3, NOW()), expiry=TIMESTAMPADD(SECOND, 600, TIMESTAMPADD(SECOND, -3, NOW())), "
        "contacts='<sip:a@b>' WHERE subscriber_id=7"
    )
    assert len(RowChange().statements("t", 1, 0)) == 1
    assert RowChange(delete=True).statements("t", 1, 0) == ["DELETE FROM t WHERE subscriber_id=1"]


def test_changes_that_wait_become_one() -> None:
    bound = RowChange(RowStatus.ACTIVE, 200, "OK", 600, "c", at_ns=5)
    later = bound.then(RowChange(None, 503, "Busy", at_ns=9))
    assert later == RowChange(RowStatus.ACTIVE, 503, "Busy", 600, "c", at_ns=5)
    assert later.then(RowChange(delete=True)).delete and RowChange(delete=True).then(bound) == bound


@given(st.text(max_size=300), st.integers(0, 999), st.integers(1, 10**6))
def test_no_text_of_a_registrar_ends_its_quotes(text: str, code: int, id: int) -> None:
    _, update = RowChange(RowStatus.FAILED, code, text).statements("t", id, 0)
    inside = update.partition("last_reason='")[2]
    at = 0
    while inside[at] != "'":
        at += 2 if inside[at] == "\\" else 1
    assert inside[at:] == f"', registration_status=3 WHERE subscriber_id={id}"
