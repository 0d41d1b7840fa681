# SPDX-License-Identifier: GPL-2.0-or-later
"""Controls hear of calls that a crash has cut, each once; refused calls have records, but not a flood of them; lines of cc_syslog_cdr."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from di.calls.application import Application
from di.calls.call_info import CallInfo, CallOut
from di.calls.control_modules import ControlUnreachable, InterruptedCall
from di.calls.limits import CallLimits
from di.calls.refusals import RefusedCall
from di.kernel.errors import Refused
from di.kernel.sqlite_thread import DatabaseFailed, SqliteThread
from di.modules.cc_syslog_cdr.control import is_marked, line
from di.modules.cc_syslog_cdr.options import parse_items
from di.stores.cdr import spool
from di.stores.cdr.book import ControlNote
from di.stores.cdr.crashes import CrashNews
from di.stores.cdr.record import CallRecord, closed, time_text
from di.stores.cdr.refused import RefusalRate
from tests.support.bare_hub import HandClock
from tests.support.playbook import Playbook


# -------------------------------------------------------------------------------------------------------------------- crashes
class Meter:
    """A control module that hears of crashes; `down`: it does not answer."""

    def __init__(self) -> None:
        self.heard: list[InterruptedCall] = []
        self.down = False

    async def interrupted(self, call: InterruptedCall) -> None:
        if self.down:
            raise ControlUnreachable("no route")
        self.heard.append(call)


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteThread]:
    database = SqliteThread(tmp_path / "spool.db", spool.SCHEMA)
    await database.open()
    yield database
    await database.close()


async def crashed(database: SqliteThread) -> None:
    """Two calls were up, one of them answered; a third was over."""

    def life(connection: object) -> None:
        for number, answer_s in ((1, 105.0), (2, 0.0), (3, 105.0)):
            record = CallRecord(
                id=f"id-{number}",
                call=f"call-{number}",
                linked="",
                start=time_text(100.0),
                answer=time_text(answer_s),
                source="10.0.0.1:5060",
            )
            spool.keep_open(connection, record, 100.0)  # type: ignore[arg-type]
            for control in ("meter", "other"):
                note = ControlNote(control, f"cc_{control}", {"uuid": "é,7"}, "acme", "9")
                spool.note_asked(connection, record.id, note.to_json())  # type: ignore[arg-type]
        spool.note_asked(connection, "id-9", "{}")  # type: ignore[arg-type]
        spool.close(connection, closed(record, 120.0), (), 120.0)  # type: ignore[arg-type]
        spool.seen(connection, ["id-1", "id-2"], 160.0)  # type: ignore[arg-type]

    await database.run(life)  # type: ignore[arg-type]
    left = await database.run(lambda connection: spool.recover(connection, lambda record: (), HandClock().epoch_s()))
    assert [record.call for record in left] == ["call-1", "call-2"]


async def test_each_control_is_told_once_however_long_it_is_away(
    database: SqliteThread, caplog: pytest.LogCaptureFixture
) -> None:
    await crashed(database)
    meter, clock = Meter(), HandClock()
    news = CrashNews(database, {"cc_meter": meter}, clock, 3600.0)  # type: ignore[dict-item]
    meter.down = True
    await news.round()
    assert news.left == 2 and not meter.heard, "that of a module which is not loaded is given up at once"
    assert "cc_other is not loaded any more" in caplog.text
    meter.down = False
    await news.round()
    assert news.left == 0
    first, second = meter.heard
    assert first == InterruptedCall("meter", "call-1", {"uuid": "é,7"}, "acme", "9", True, 55.0, source="10.0.0.1")
    assert (second.call, second.answered, second.used_s, second.key) == ("call-2", False, 0.0, "call-2/meter")
    await news.round()
    assert len(meter.heard) == 2
    assert await database.run(lambda connection: connection.execute("SELECT * FROM asked").fetchall()) == []


async def test_one_that_never_answers_is_given_up_and_said(database: SqliteThread, caplog: pytest.LogCaptureFixture) -> None:
    await crashed(database)
    meter, clock = Meter(), HandClock()
    meter.down = True
    news = CrashNews(database, {"cc_meter": meter, "cc_other": meter}, clock, 3600.0)  # type: ignore[dict-item]
    clock.advance(4000)
    await news.round()
    assert news.left == 0 and caplog.text.count("is NOT told") == 4


async def test_what_fails_otherwise_is_told_no_more(database: SqliteThread) -> None:
    await crashed(database)

    class Broken:
        def interrupted(self, call: InterruptedCall) -> None:
            raise KeyError(call.call)

    news = CrashNews(database, {"cc_meter": Broken(), "cc_other": Broken()}, HandClock(), 3600.0)  # type: ignore[dict-item]
    await news.round()
    assert news.left == 0


async def test_what_cannot_be_read_keeps_nobody_from_hearing(database: SqliteThread, caplog: pytest.LogCaptureFixture) -> None:
    await crashed(database)
    await database.run(lambda connection: connection.execute("UPDATE untold SET record = '{}' WHERE seq = 1") and None)
    await database.run(lambda connection: connection.execute("UPDATE untold SET note = '[' WHERE seq = 2") and None)
    meter = Meter()
    news = CrashNews(database, {"cc_meter": meter, "cc_other": meter}, HandClock(), 3600.0)  # type: ignore[dict-item]
    await news.run()
    assert [(call.call, call.instance) for call in meter.heard] == [("call-2", "meter"), ("call-2", "other")]
    assert caplog.text.count("cannot be read: ") == 2


async def test_a_disk_that_fails_for_a_while_ends_no_news(database: SqliteThread, caplog: pytest.LogCaptureFixture) -> None:
    await crashed(database)
    faults = [DatabaseFailed("the disk is full")] * 2

    class Full:
        async def run(self, work: Callable[[Any], object]) -> object:
            if faults:
                raise faults.pop()
            return await database.run(work)

    meter, clock = Meter(), HandClock()
    news = CrashNews(Full(), {"cc_meter": meter, "cc_other": meter}, clock, 3600.0)  # type: ignore[arg-type, dict-item]
    running = asyncio.create_task(news.run())
    async with asyncio.timeout(40):
        while not running.done():
            clock.advance(60)
            await asyncio.sleep(0.001)
    assert running.exception() is None and len(meter.heard) == 4 and caplog.text.count("the disk is full") == 2


@given(st.builds(ControlNote, st.text(), st.text(), st.dictionaries(st.text(), st.text(), max_size=3), st.text(), st.text()))
def test_notes_are_read_back(note: ControlNote) -> None:
    assert ControlNote.from_json(note.to_json()) == note


# ------------------------------------------------------------------------------------------------------------------- refusals
def refused(number: int = 1) -> Callable[[], RefusedCall]:
    return lambda: RefusedCall(CallInfo("in", f"sip:{number}@x"), "", 503, "Full", "limit", "a limit")


def test_a_flood_of_refusals_has_so_many_records_a_second(caplog: pytest.LogCaptureFixture) -> None:
    clock, kept = HandClock(), list[RefusedCall]()
    rate = RefusalRate(20, clock.now_ns, kept.append)
    for _ in range(5):
        for number in range(200):
            rate.refused(refused(number))
            clock.advance(0.005)
    assert 100 <= len(kept) <= 121 and rate.passed_over == 1000 - len(kept)
    assert caplog.text.count("the rest has no record") == 1
    clock.advance(60)
    kept.clear()
    for number in range(20):
        rate.refused(refused(number))
    assert len(kept) == 20


def test_who_is_told_of_refused_calls() -> None:
    book, told = Playbook(), list[RefusedCall]()

    def no(session: object) -> Application:
        raise Refused(486, "Busy Here")

    book.services.applications.register("no", no)
    book.services.applications.register("plain", Application)
    book.sessions.refusals.listeners.append(lambda call: told.append(call()))
    book.offer("app-no")
    book.offer("app-nothing")
    book.offer("app-plain")
    assert [(one.code, one.by, one.application) for one in told] == [(486, "app", "no"), (404, "system", "")]
    told.clear()
    book.sessions.control.limits = CallLimits(
        replace(book.services.core.session_limit, count=1), book.services.core.cps_limit, (503, "x"), 0
    )  # type: ignore[arg-type]
    book.offer("app-plain")
    book.offer("app-plain")
    assert book.sessions.dialout(CallOut("plain", "sip:bob@there", "<sip:a@b>", "<sip:bob@there>", id="mine")) == ""
    assert [(one.code, one.by, one.info.direction, one.id) for one in told] == [
        (503, "limit", "in", ""),
        (503, "limit", "out", "mine"),
    ]
    assert told[1].info.user == "bob"


# --------------------------------------------------------------------------------------------------------------------- lines
def test_lines_of_marked_calls() -> None:
    record = CallRecord(
        id="i", call="tag", linked="tag", start=time_text(100.0), answer=time_text(101.0), disposition="ANSWERED", sip_code=200
    )
    record = closed(record, 111.6)
    assert not is_marked(record)
    record = replace(record, vars={"cdr:": "line", "cdr:b": 'x"y', "cdr:a": "1\n2", "app": "echo", "cdr:disposition": "mine"})
    assert is_marked(record)
    assert line(record, (), True) == '"tag","100.000000","101.000000","111.600000","1 2","x""y","mine"'
    assert (
        line(record, ("$ltag", "b", "disposition", "invite_code", "$app", "nothing", "$bill_duration_sec"), False)
        == 'tag,"x""y",mine,200,echo,,11'
    )
    assert parse_items("$ltag, a.b") == ("$ltag", "a.b")
    with pytest.raises(ValueError, match="right are names"):
        parse_items("a,b c")
