# SPDX-License-Identifier: GPL-2.0-or-later
"""The ways out of the spool against what stands at their ends: files, a syslog socket, a web server that verifies, MariaDB, SQLite."""

from __future__ import annotations

import asyncio
import base64
import csv
import json
import os
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import aiomysql
import asyncpg
import pytest
from aiohttp import web
from standardwebhooks import Webhook as Verifier

from di.kernel.sqlite_thread import SqliteThread
from di.kernel.webhooks import parse_secret
from di.stores.cdr import record as cdr
from di.stores.cdr import spool
from di.stores.cdr.delivery import Delivery, pause_s
from di.stores.cdr.options import Options
from di.stores.cdr.record import CallRecord
from di.stores.cdr.sinks.files import LineFile, append
from di.stores.cdr.sinks.sink import EntryRefused, Sink, SinkDown
from di.stores.cdr.sinks.sql import MysqlTable, SqliteTable
from di.stores.cdr.sinks.webhook import Webhook
from di.stores.cdr.start import make_sink
from tests.support.bare_hub import HandClock, bare_services
from tests.support.databases import DATABASE, PASSWORD, USER, MariaDb, Postgres
from tests.support.ports import free_port
from tests.support.server import wait_until

pytestmark = pytest.mark.peers

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
START_S = 1_796_000_000.0


def entry(number: int, **more: object) -> spool.DueRecord:
    """A finished record on its way."""
    record = CallRecord(
        id=f"01900000-0000-7000-8000-{number:012d}", call=f"call-{number}", linked=f"call-{number}", direction="in",
        start=cdr.time_text(START_S + number), answer=cdr.time_text(START_S + number + 1), disposition="ANSWERED", hangup_by="caller",
        from_='"Ömer; \'Bob\'" <sip:bob@example>', vars={"shop": "a,b"},
    )  # fmt: skip
    record = replace(cdr.closed(record, START_S + number + 61), **more)  # type: ignore[arg-type]
    return spool.DueRecord(number, START_S, record, cdr.to_json(record))


# --------------------------------------------------------------------------------------------------------------------- files
async def test_lines_are_whole_whatever_an_interrupted_write_left(tmp_path: Path) -> None:
    sink = LineFile("jsonl", str(tmp_path / "below" / "cdr-%Y.jsonl"), lambda one: one.text)
    await sink.deliver([entry(1)])
    path = tmp_path / "below" / "cdr-2026.jsonl"
    path.write_bytes(path.read_bytes() + entry(2).text.encode()[:40])
    await sink.deliver([entry(2), entry(3)])
    assert [json.loads(line)["call"] for line in path.read_text().splitlines()] == ["call-1", "call-2", "call-3"]
    assert path.stat().st_mode & 0o777 == 0o640


async def test_csv_has_one_header_a_file_and_the_columns_of_the_configuration(tmp_path: Path) -> None:
    options = Options(csv_path=str(tmp_path / "cdr-%d.csv"), csv_columns=("call", "billable_ms", "from", "vars.shop"))
    sink = make_sink("csv", options, bare_services()[1])
    await sink.deliver([entry(1), entry(2)])
    await sink.deliver([entry(3), entry(86_500)])
    with (tmp_path / "cdr-30.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["call", "billable_ms", "from", "vars.shop"] and len(rows) == 4
    assert rows[1] == ["call-1", "60000", "\"Ömer; 'Bob'\" <sip:bob@example>", "a,b"]
    assert (tmp_path / "cdr-01.csv").read_text().count("\n") == 2


async def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkDown, match="file"):
        await LineFile("jsonl", str(tmp_path / "file" / "x.jsonl"), lambda one: one.text).deliver([entry(1)])


def test_a_line_longer_than_what_is_looked_back_at_is_taken_away_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"one\n" + b"x" * 100)
    append(path, ["two"])
    assert path.read_text() == "one\ntwo\n"


# -------------------------------------------------------------------------------------------------------------------- syslog
async def test_syslog_gets_a_line_as_sems_wrote_it(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(tmp_path / "log"))
    listener.settimeout(30)
    sink = make_sink("syslog", Options(syslog_address=(str(tmp_path / "log"), 0), loglevel=4), bare_services()[1])
    await sink.deliver([entry(1)])
    text = listener.recv(4096).decode()
    assert text.startswith("<133>") and " cordboard: CDR: " in text
    line = next(csv.reader([text.partition("CDR: ")[2]]))
    assert line[0] == "call-1" and line[1] == f"{START_S + 1:.6f}" and line[4] == "ANSWERED" and line[-1] == "caller"
    listener.close()
    with pytest.raises(SinkDown, match="syslog"):
        await sink.deliver([entry(2)])
    await sink.close()


# ------------------------------------------------------------------------------------------------------------------- webhook
class Receiver:
    """A web server that verifies each POST by the specification's own library. `answers`: status of the next ones, then 204."""

    def __init__(self) -> None:
        self.got: list[dict[str, object]] = []
        self.answers: list[int] = []

    async def take(self, request: web.Request) -> web.Response:
        body = await request.text()
        verified = Verifier(SECRET).verify(body, dict(request.headers))
        assert isinstance(verified, dict) and verified["data"]["id"] == request.headers["webhook-id"]
        status = self.answers.pop(0) if self.answers else 204
        if status == 204:
            self.got.append(verified)
        return web.Response(status=status)

    @asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncIterator[str]:
        application = web.Application()
        application.router.add_post("/cdr", self.take)
        runner = web.AppRunner(application)
        await runner.setup()
        port = port or free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{port}/cdr"
        await runner.cleanup()


def webhook(url: str) -> Webhook:
    return Webhook(url, parse_secret(SECRET), 30, time.time)


async def test_webhooks_are_verified_by_the_specifications_library() -> None:
    receiver = Receiver()
    async with receiver.serve() as url:
        sink = webhook(url)
        await sink.deliver([entry(1), entry(2)])
        assert [one["data"]["call"] for one in receiver.got] == ["call-1", "call-2"]  # type: ignore[index]
        assert receiver.got[0]["type"] == "call.ended" and receiver.got[0]["timestamp"] == entry(1).record.end
        receiver.answers = [204, 422]
        with pytest.raises(EntryRefused) as refused:
            await sink.deliver([entry(3), entry(4)])
        assert refused.value.taken == 1
        receiver.answers = [503]
        with pytest.raises(SinkDown, match="503"):
            await sink.deliver([entry(5)])
        await sink.close()
    with pytest.raises(SinkDown):
        await sink.deliver([entry(6)])
    await sink.close()


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_AAAA", "whsec_!!!!", "geheim"])
def test_a_weak_or_broken_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError):
        parse_secret(secret)


# ----------------------------------------------------------------------------------------------------------------------- SQL
@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDb]:
    with MariaDb() as running:
        assert isinstance(running, MariaDb)
        yield running


async def test_mariadb_has_each_record_once_however_often_it_comes(mariadb: MariaDb) -> None:
    sink = MysqlTable("127.0.0.1", mariadb.port, USER, PASSWORD, DATABASE, "cdr")
    long_name = entry(3, sip_reason="x" * 300)
    await sink.deliver([entry(1), entry(2)])
    await sink.deliver([entry(2), long_name])
    await sink.close()
    await sink.deliver([entry(4)])
    connection = await aiomysql.connect(host="127.0.0.1", port=mariadb.port, user=USER, password=PASSWORD, db=DATABASE)
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT `call`, billable_ms, `from`, JSON_VALUE(vars, '$.shop') FROM cdr ORDER BY id")
        rows = await cursor.fetchall()
    connection.close()
    await sink.close()
    assert [row[0] for row in rows] == ["call-1", "call-2", "call-3", "call-4"]
    assert rows[0] == ("call-1", 60_000, "\"Ömer; 'Bob'\" <sip:bob@example>", "a,b")


async def test_a_table_that_is_locked_is_waited_for_so_long_and_tried_again(mariadb: MariaDb) -> None:
    patient, sink = (
        MysqlTable("127.0.0.1", mariadb.port, USER, PASSWORD, DATABASE, "locked", patience_s=patience_s)
        for patience_s in (30.0, 1.0)
    )
    await patient.deliver([entry(1)])
    connection = await aiomysql.connect(host="127.0.0.1", port=mariadb.port, user=USER, password=PASSWORD, db=DATABASE)
    async with connection.cursor() as cursor:
        await cursor.execute("LOCK TABLES locked WRITE")
        with pytest.raises(SinkDown, match="no answer for 1 s"):
            await sink.deliver([entry(2)])
        await cursor.execute("UNLOCK TABLES")
        await patient.deliver([entry(2)])
        await cursor.execute("SELECT `call` FROM locked ORDER BY id")
        assert [call for (call,) in await cursor.fetchall()] == ["call-1", "call-2"]
    connection.close()
    await patient.close()


async def test_a_wrong_password_is_said_without_telling_it(mariadb: MariaDb) -> None:
    sink = MysqlTable("127.0.0.1", mariadb.port, USER, "quite-wrong", DATABASE, "cdr")
    with pytest.raises(SinkDown) as down:
        await sink.deliver([entry(1)])
    assert f"{USER}@127.0.0.1:{mariadb.port}/{DATABASE}" in str(down.value) and "quite-wrong" not in str(down.value)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as running:
        assert isinstance(running, Postgres)
        yield running


def postgres_sink(port: int, password: str = PASSWORD) -> Sink:
    options = Options(
        postgresql_port=port,
        postgresql_user=USER,
        postgresql_password=password,
        postgresql_database="postgres",
        postgresql_table="calls",
    )
    return make_sink("postgresql", options, bare_services()[1])


async def test_postgresql_has_each_record_once_whatever_a_caller_writes(postgres: Postgres) -> None:
    sink = postgres_sink(postgres.port)
    await sink.deliver([entry(1), entry(2)])
    hostile = entry(3, from_="\0'; DROP TABLE calls; --\U0001f600", vars={"a\0": "b\0", "é": '"'}, answer="")
    await sink.deliver([entry(2), hostile])
    await sink.close()
    postgres.kill()
    with pytest.raises(SinkDown, match=f"{USER}@127.0.0.1:{postgres.port}/postgres"):
        await sink.deliver([entry(4)])
    await asyncio.to_thread(postgres.start)
    await sink.deliver([entry(4)])
    await sink.close()
    connection = await asyncpg.connect(host="127.0.0.1", port=postgres.port, user=USER, password=PASSWORD, database="postgres")
    rows = await connection.fetch(
        """SELECT "call", "billable_ms", "from", "vars"->>'shop' AS shop, "end" - "answer" AS took FROM calls ORDER BY id"""
    )
    third = await connection.fetchrow(
        """SELECT "from", "vars"->>'a' AS a, "answer", "start" FROM calls WHERE "call" = 'call-3'"""
    )
    await connection.close()
    assert [one["call"] for one in rows] == ["call-1", "call-2", "call-3", "call-4"]
    assert (rows[0]["billable_ms"], rows[0]["from"], rows[0]["shop"]) == (60_000, "\"Ömer; 'Bob'\" <sip:bob@example>", "a,b")
    assert rows[0]["took"].total_seconds() == 60
    assert (third["from"], third["a"], third["answer"]) == ("'; DROP TABLE calls; --\U0001f600", "b", None)
    assert third["start"].timestamp() == START_S + 3


async def test_a_wrong_password_of_postgresql_is_said_without_telling_it(postgres: Postgres) -> None:
    with pytest.raises(SinkDown, match="password authentication failed") as down:
        await postgres_sink(postgres.port, "quite-wrong").deliver([entry(1)])
    assert "quite-wrong" not in str(down.value)


async def test_an_sqlite_file_has_each_record_once(tmp_path: Path) -> None:
    sink = SqliteTable(tmp_path / "cdr.sqlite")
    await sink.deliver([entry(1), entry(2)])
    await sink.deliver([entry(2), entry(3)])
    await sink.close()
    with sqlite3.connect(tmp_path / "cdr.sqlite") as connection:
        assert connection.execute('SELECT "call", billable_ms FROM cdr ORDER BY id').fetchall() == [
            ("call-1", 60_000), ("call-2", 60_000), ("call-3", 60_000),
        ]  # fmt: skip


# ------------------------------------------------------------------------------------------------------------------ delivery
def test_pauses_grow_to_five_minutes_and_differ() -> None:
    random = bare_services()[1].random
    assert all(0.5 <= pause_s(0, random) <= 1 for _ in range(20))
    assert all(150 <= pause_s(50, random) <= 300 for _ in range(20))


async def spooled(folder: Path, sink: Sink, count: int) -> tuple[SqliteThread, Delivery]:
    """A spool with records for one way out."""
    database = SqliteThread(folder / "spool.db", spool.SCHEMA)
    await database.open()
    for number in range(1, count + 1):
        await database.run(partial(spool.close, record=entry(number).record, sinks=(sink.name,), now_s=START_S))
    clock = bare_services()[1]
    delivery = Delivery(sink, database, clock, give_up_s=3600)
    return database, delivery


async def until(condition: object, what: str) -> None:
    await asyncio.to_thread(wait_until, condition, what)


async def test_a_receiver_that_was_down_gets_all_in_order_and_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    receiver, port = Receiver(), free_port()
    database, delivery = await spooled(tmp_path, webhook(f"http://127.0.0.1:{port}/cdr"), 120)
    delivery.start()
    await until(lambda: delivery.problem, "the receiver is missed")
    assert (await delivery.backlog()).pending == 120
    async with receiver.serve(port):
        delivery.hurry()
        await until(lambda: len(receiver.got) >= 120, "all records")
        await delivery.finish()
    assert [one["data"]["call"] for one in receiver.got] == [f"call-{number}" for number in range(1, 121)]  # type: ignore[index]
    assert (await delivery.backlog()).pending == 0 and delivery.problem == ""
    assert [record.message for record in caplog.records if "again" in record.message][-1:] == [
        "call records are delivered to webhook again"
    ]
    await database.close()


async def test_a_receiver_that_is_down_for_an_hour_gets_what_gathered_in_order(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A call each ten seconds of an hour that the clock jumps through; the receiver is really not there, and then it is."""
    receiver, port = Receiver(), free_port()
    database = SqliteThread(tmp_path / "spool.db", spool.SCHEMA)
    await database.open()
    clock = HandClock()
    sink = webhook(f"http://127.0.0.1:{port}/cdr")
    delivery = Delivery(sink, database, clock, give_up_s=86_400)
    delivery.start()
    for number in range(1, 361):
        at_s = clock.epoch_s()
        await database.run(partial(spool.close, record=entry(number).record, sinks=(sink.name,), now_s=at_s))
        delivery.wake()
        await until(lambda: clock.waited_for, "the pause after a try")
        clock.advance(10)
    assert (await delivery.backlog()).pending == 360 and delivery.delivered == 0
    tries = delivery.tries
    assert 12 <= tries <= 40, "pauses grow to five minutes"
    async with receiver.serve(port):
        while delivery.delivered < 360:
            await until(lambda: clock.waited_for or delivery.delivered == 360, "a try")
            clock.advance(10)
        await delivery.finish()
    assert [one["data"]["call"] for one in receiver.got] == [f"call-{number}" for number in range(1, 361)]  # type: ignore[index]
    assert (await delivery.backlog()).pending == 0 and delivery.problem == ""
    assert sum("call records wait" in one.message for one in caplog.records) == 1
    await database.close()


async def test_what_is_refused_for_good_is_laid_aside_and_the_rest_arrives(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.answers = [204, 422]
    async with receiver.serve() as url:
        database, delivery = await spooled(tmp_path, webhook(url), 4)
        delivery.start()
        await until(lambda: len(receiver.got) == 3, "the others")
        await delivery.finish()
    assert [one["data"]["call"] for one in receiver.got] == ["call-1", "call-3", "call-4"]  # type: ignore[index]
    letters = await database.run(lambda file: spool.dead_letters(file, "webhook", 10))
    assert [id for id, _, _ in letters] == [entry(2).record.id] and "422" in letters[0][2]
    await database.close()


async def test_a_full_disk_is_waited_out(tmp_path: Path) -> None:
    """Everything is root's in some test environments, so the file lies where no file can be: below another one, until that is gone."""
    (tmp_path / "out").write_text("")
    sink = LineFile("jsonl", str(tmp_path / "out" / "cdr.jsonl"), lambda one: one.text)
    database, delivery = await spooled(tmp_path, sink, 3)
    delivery.start()
    await until(lambda: delivery.problem, "the file is missed")
    os.unlink(tmp_path / "out")
    delivery.hurry()
    await until(lambda: (tmp_path / "out" / "cdr.jsonl").exists() and delivery.delivered == 3, "the file")
    await delivery.close()
    await database.close()
    assert len((tmp_path / "out" / "cdr.jsonl").read_text().splitlines()) == 3
