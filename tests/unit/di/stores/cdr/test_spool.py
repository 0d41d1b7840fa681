# SPDX-License-Identifier: GPL-2.0-or-later
"""The spool: a record is complete once, each way out gets each record in order, and a cut between any two steps loses nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from di.stores.cdr import spool
from di.stores.cdr.record import CallRecord, time_text

SINKS = ("jsonl", "webhook")


def record(number: int, answer_s: float = 0) -> CallRecord:
    return CallRecord(
        id=f"id-{number}",
        call=f"call-{number}",
        linked=f"call-{number}",
        start=time_text(100 + number),
        answer=time_text(answer_s),
    )


def of_all(record: CallRecord) -> tuple[str, ...]:
    return SINKS


@pytest.fixture
def file() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(spool.SCHEMA)
    yield connection
    connection.close()


def due(file: sqlite3.Connection, sink: str, limit: int = 100) -> list[str]:
    return [entry.record.id for entry in spool.next_due(file, sink, limit)]


def test_a_record_is_closed_once_and_gone_when_all_have_it(file: sqlite3.Connection) -> None:
    spool.keep_open(file, record(1), 100)
    assert spool.close(file, record(1), SINKS, 110)
    assert not spool.close(file, record(1), SINKS, 111)
    assert due(file, "jsonl") == due(file, "webhook") == ["id-1"]
    assert spool.recover(file, of_all, 120) == []
    seqs = [entry.seq for entry in spool.next_due(file, "jsonl", 10)]
    spool.delivered(file, "jsonl", seqs)
    assert due(file, "jsonl") == [] and due(file, "webhook") == ["id-1"]
    assert spool.backlog(file, "webhook") == spool.Backlog(1, 110, 0)
    spool.delivered(file, "webhook", seqs)
    assert file.execute("SELECT count(*) FROM closed").fetchone() == (0,)


def test_after_a_crash_open_records_end_when_last_seen(file: sqlite3.Connection) -> None:
    spool.keep_open(file, record(1, answer_s=105), 105)
    spool.keep_open(file, record(2), 101)
    spool.seen(file, ["id-1"], 160)
    left = spool.recover(file, of_all, 500)
    assert [(one.id, one.disposition, one.billable_ms) for one in left] == [
        ("id-1", "INTERRUPTED", 55_000),
        ("id-2", "INTERRUPTED", 0),
    ]
    assert due(file, "jsonl") == ["id-1", "id-2"]
    assert spool.recover(file, of_all, 501) == []


def test_what_was_refused_for_good_keeps_nobody_up_and_can_be_tried_again(file: sqlite3.Connection) -> None:
    for number in (1, 2):
        spool.close(file, record(number), SINKS, 110)
    first, second = spool.next_due(file, "webhook", 10)
    spool.bury(file, "webhook", first.seq, "answered 422", 120)
    assert due(file, "webhook") == ["id-2"]
    spool.delivered(file, "jsonl", [first.seq, second.seq])
    assert spool.dead_letters(file, "webhook", 10) == [("id-1", 120, "answered 422")]
    assert spool.revive(file, "webhook") == 1
    assert due(file, "webhook") == ["id-1", "id-2"]


def test_a_way_out_that_is_configured_no_more_lets_go(file: sqlite3.Connection) -> None:
    spool.close(file, record(1), SINKS, 110)
    assert spool.forget_unknown(file, ("jsonl",)) == [("webhook", 1)]
    assert due(file, "webhook") == [] and due(file, "jsonl") == ["id-1"]
    assert spool.forget_unknown(file, ("jsonl",)) == []


class AnyOrder(RuleBasedStateMachine):
    """Calls begin, are answered, end; ways out take some; the server dies between any two. Each record reaches each way out, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.file = sqlite3.connect(":memory:", isolation_level=None)
        self.file.executescript(spool.SCHEMA)
        self.open: list[int] = []
        self.ended: list[str] = []
        self.got: dict[str, list[str]] = {sink: [] for sink in SINKS}
        self.count = 0

    @rule()
    def begins(self) -> None:
        self.count += 1
        self.open.append(self.count)
        spool.keep_open(self.file, record(self.count), self.count)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def ends(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self.open))
        self.open.remove(number)
        spool.close(self.file, record(number), SINKS, self.count)
        self.ended.append(f"id-{number}")

    @rule()
    def dies_and_is_started_again(self) -> None:
        left = spool.recover(self.file, of_all, self.count)
        assert {one.id for one in left} == {f"id-{number}" for number in self.open}
        self.ended += [one.id for one in left]
        self.open.clear()

    @rule(sink=st.sampled_from(SINKS), limit=st.integers(1, 3), told=st.booleans())
    def is_taken(self, sink: str, limit: int, told: bool) -> None:
        """`told` False: the receiver had it and the server died before it noted that."""
        entries = spool.next_due(self.file, sink, limit)
        self.got[sink] += [entry.record.id for entry in entries if entry.record.id not in self.got[sink]]
        if told:
            spool.delivered(self.file, sink, [entry.seq for entry in entries])

    @invariant()
    def nothing_is_lost(self) -> None:
        for sink in SINKS:
            assert self.got[sink] == self.ended[: len(self.got[sink])]
            waiting = due(self.file, sink, 10_000)
            assert waiting == self.ended[len(self.ended) - len(waiting) :]
            assert len(self.got[sink]) + len(waiting) >= len(self.ended)

    def teardown(self) -> None:
        self.file.close()


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
