# SPDX-License-Identifier: GPL-2.0-or-later
"""Steps of a mail between its states, in a real table; random steps never lose a mail or send one that is in the server's hands."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from di.modules.mail import table
from di.modules.mail.message import KeptFile, kept, to_content
from di.modules.mail.table import MailState
from di.stores.mailing import Mail, Mailbox822
from tests.support.sizes import size


def content(key: str) -> str:
    mail = Mail(key, (Mailbox822("a@b.example"),), "s", "b")
    return to_content(kept(mail, "vm@b.example", 0, (KeptFile(f"{key}-0.wav", "m.wav"),)))


@pytest.fixture
def queue() -> sqlite3.Connection:
    return fresh()


def fresh() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(table.SCHEMA)
    return connection


def add(queue: sqlite3.Connection, key: str, now_s: float = 100.0) -> bool:
    return table.add(queue, key, content(key), ["a@b.example"], now_s)


def test_a_key_is_queued_once_also_after_it_was_accepted(queue: sqlite3.Connection) -> None:
    assert add(queue, "k") and not add(queue, "k") and table.knows(queue, "k")
    mail = table.claim(queue, 100)
    assert mail is not None and table.claim(queue, 100) is None
    assert table.handing(queue, mail.id) and not table.handing(queue, mail.id)
    table.accepted(queue, mail.id, 101)
    assert not add(queue, "k") and table.claim(queue, 1e9) is None
    assert table.forget(queue, 101) == 0 and table.forget(queue, 102) == 1
    assert add(queue, "k")


def test_the_mail_that_was_due_first_comes_first(queue: sqlite3.Connection) -> None:
    for key, now_s in (("late", 30.0), ("early", 10.0), ("later", 40.0)):
        add(queue, key, now_s)
    assert table.next_due_s(queue) == 10
    assert [mail.key for _ in range(3) if (mail := table.claim(queue, 30))] == ["early", "late"]


def test_after_a_crash_only_what_was_being_handed_over_is_in_doubt(queue: sqlite3.Connection) -> None:
    for key in ("waits", "claimed", "handed"):
        add(queue, key, {"waits": 300.0}.get(key, 100.0))
    table.claim(queue, 100)
    handed = table.claim(queue, 100)
    assert handed is not None and table.handing(queue, handed.id)
    assert [mail.key for mail in table.recover(queue, 200)] == ["handed"]
    again = {mail.key: mail for mail in table.listed(queue, [MailState.WAITING], 9)}
    assert {key: mail.doubts for key, mail in again.items()} == {"waits": 0, "claimed": 0, "handed": 1}
    assert again["waits"].next_s == 300 and table.recover(queue, 300) == []


def test_an_operator_retries_and_drops_what_nobody_sends(queue: sqlite3.Connection) -> None:
    add(queue, "k")
    mail = table.claim(queue, 100)
    assert mail is not None
    assert not table.retry(queue, mail.id, 200) and table.drop(queue, mail.id) is None
    table.give_up(queue, mail.id, ["a@b.example"], 300, "550 no")
    assert table.claim(queue, 1e9) is None and table.files_needed(queue) == {"k-0.wav"}
    assert table.retry(queue, mail.id, 400)
    again = table.claim(queue, 400)
    assert again is not None and (again.queued_s, again.failures) == (400, 0)
    table.later(queue, mail.id, ["a@b.example"], 500, "451 busy", True, False)
    dropped = table.drop(queue, mail.id)
    assert dropped is not None and dropped.key == "k" and not table.counts(queue)["waiting"]


STEPS = st.lists(
    st.tuples(st.sampled_from("add claim handing accept later give_up retry drop crash".split()), st.integers(0, 4)), max_size=40
)


@settings(max_examples=size(100, 20_000), deadline=None)
@given(STEPS)
def test_any_order_of_steps_keeps_each_mail_until_it_is_accepted_or_dropped(steps: list[tuple[str, int]]) -> None:
    queue, owed, now_s = fresh(), set(), 100.0
    held: dict[int, str] = {}  # who is sending it: id → key
    for step, number in steps:
        now_s += 1
        ids = sorted(held)
        id = ids[number % len(ids)] if ids else 0
        match step:
            case "add" if add(queue, f"k{number}", now_s):
                owed.add(f"k{number}")
            case "claim" if (mail := table.claim(queue, now_s + 1e6)) is not None:
                assert mail.id not in held, "two send it"
                held[mail.id] = mail.key
            case "handing" if id:
                table.handing(queue, id)
            case "accept" if id:
                table.accepted(queue, id, now_s)
                owed.discard(held.pop(id))
            case "later" if id:
                table.later(queue, id, ["a@b.example"], now_s, "e", True, False)
                del held[id]
            case "give_up" if id:
                table.give_up(queue, id, ["a@b.example"], now_s, "e")
                del held[id]
            case "retry":
                table.retry(queue, number, now_s)
            case "drop" if (gone := table.drop(queue, number)) is not None:
                assert gone.id not in held, "dropped while it is sent"
                owed.discard(gone.key)
            case "crash":
                held.clear()
                table.recover(queue, now_s)
        states = [state for state in MailState if state is not MailState.ACCEPTED]
        assert {mail.key for mail in table.listed(queue, states, 99)} == owed
        assert table.files_needed(queue) == {f"{key}-0.wav" for key in owed}
