# SPDX-License-Identifier: GPL-2.0-or-later
"""Start and stop of the call records: the spool, its recorder in the chain of controls, and a delivery for each way out."""

from __future__ import annotations

import asyncio
import fcntl
import importlib.util
import json
import logging
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily

from di.kernel.errors import ConfigError
from di.kernel.sqlite_thread import DatabaseFailed, SqliteThread
from di.server.metrics import gauge
from di.stores.cdr import spool
from di.stores.cdr.book import CALL_RECORDS, ControlNote
from di.stores.cdr.crashes import CrashNews
from di.stores.cdr.delivery import Delivery
from di.stores.cdr.interface import CallRecords
from di.stores.cdr.options import Options
from di.stores.cdr.record import CallRecord
from di.stores.cdr.recorder import Recorder, RecordRules
from di.stores.cdr.refused import RefusalRate
from di.stores.cdr.sinks.files import LineFile
from di.stores.cdr.sinks.lines import csv_line
from di.stores.cdr.sinks.sink import Sink
from di.stores.cdr.sinks.sql import MysqlTable, SqliteTable
from di.stores.cdr.sinks.syslog import Syslog
from di.stores.cdr.sinks.webhook import Webhook

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from di.kernel.ports import Clock
    from di.server.plugin import Closer
    from di.server.services import Services

log = logging.getLogger(__name__)
GATHER_S = 0.005
"""How long a change waits for others to share its commit: at 300 calls a second five do."""
_LOOK_S = 5
"""How often the disk is looked at, and what it would not take is tried again."""


async def start(services: Services, options: Options) -> Closer:
    """Open the spool, close what an earlier life left open, and stand first in the chain of controls."""
    file = str(services.conf_dir / "cdr.conf")
    _check(options, file)
    if services.trial:
        return None
    plant = _Plant(services, options, file)
    await plant.open()
    return plant.close


def _check(options: Options, file: str) -> None:
    if "webhook" in options.sinks:
        for key, value in (("webhook_url", options.webhook_url), ("webhook_secret_file", options.webhook_secret_file)):
            if not value:
                raise ConfigError(file, 0, key, "the sink webhook needs it")
    if "postgresql" in options.sinks and importlib.util.find_spec("asyncpg") is None:
        raise ConfigError(file, 0, "sinks", "the sink postgresql needs the Python package asyncpg: .venv/bin/pip install asyncpg")


def make_sink(name: str, options: Options, clock: Clock) -> Sink:
    """The way out of that name."""
    if name == "jsonl":
        return LineFile(name, options.jsonl_path, lambda entry: entry.text)
    if name == "csv":
        header = ",".join(json.dumps(column) for column in options.csv_columns)
        return LineFile(name, options.csv_path, lambda entry: csv_line(entry.record, options.csv_columns), header)
    if name == "syslog":
        quote = options.quoting_enabled

        def line(entry: spool.DueRecord) -> str:
            return options.cdr_prefix + csv_line(entry.record, options.cdr_format, quote)

        return Syslog(options.syslog_address, line, options.loglevel)
    if name == "webhook":
        return Webhook(options.webhook_url, options.webhook_secret_file, options.webhook_timeout, clock.epoch_s)
    if name == "mysql":
        return MysqlTable(
            options.mysql_host, options.mysql_port, options.mysql_user, options.mysql_password,
            options.mysql_database, options.mysql_table,
        )  # fmt: skip
    if name == "postgresql":
        from di.stores.cdr.sinks.postgresql import PostgresTable

        return PostgresTable(
            options.postgresql_host, options.postgresql_port, options.postgresql_user, options.postgresql_password,
            options.postgresql_database, options.postgresql_table, options.postgresql_tls,
        )  # fmt: skip
    return SqliteTable(options.sqlite_path)


class _Plant:
    """What runs while the plug-in is loaded."""

    def __init__(self, services: Services, options: Options, file: str) -> None:
        self._services = services
        self._options = options
        self._file = file
        clock = services.clock
        self._disk_problem = ""
        self._database = SqliteThread(options.spool, spool.SCHEMA, GATHER_S)
        give_up_s = options.give_up_after_days * 86400.0
        self._deliveries: list[Delivery] = []
        self._wanted: dict[str, Callable[[CallRecord], bool]] = {}
        self._vars = list(options.vars)
        self._give_up_s = give_up_s
        for name in options.sinks:
            self.add_sink(make_sink(name, options, clock), lambda record: True)
        rules = RecordRules(
            options.node or socket.gethostname(), self._sinks_of, lambda: self._vars, options.refuse_without_record
        )
        self._recorder = Recorder(self._database, clock, rules, self._problem, self._wake)
        self._refusals = RefusalRate(options.refusals_per_second, clock.now_ns, self._recorder.refused)
        self._news = CrashNews(self._database, services.control_modules, clock, give_up_s)
        self._telling: asyncio.Task[None] | None = None
        self._withdraw: Callable[[], None] | None = None
        self._lock: int | None = None
        self._ticker: asyncio.Task[None] | None = None

    def _problem(self) -> str:
        return self._database.problem or self._disk_problem

    def _problems(self) -> Mapping[str, str]:
        problem = self._problem()
        return {"cdr": f"no room for call records: {problem}"} if problem and self._options.refuse_without_record else {}

    def _wake(self) -> None:
        for delivery in self._deliveries:
            delivery.wake()

    # --------------------------------------------------------------------------------------------------------- RecordBook
    def add_sink(self, sink: Sink, wanted: Callable[[CallRecord], bool], vars: tuple[str, ...] = ()) -> None:
        """See `di.stores.cdr.book.RecordBook`."""
        if sink.name in self._wanted:
            raise ValueError(f"there is a way out for call records named {sink.name} already")
        self._wanted[sink.name] = wanted
        self._vars += [name for name in vars if name not in self._vars]
        self._deliveries.append(Delivery(sink, self._database, self._services.clock, self._give_up_s))

    def note(self, call: str, note: ControlNote) -> None:
        """See `di.stores.cdr.book.RecordBook`."""
        self._recorder.note(call, note.to_json())

    def _sinks_of(self, record: CallRecord) -> list[str]:
        return [name for name, wanted in self._wanted.items() if wanted(record)]

    # -------------------------------------------------------------------------------------------------------------- start
    async def open(self) -> None:
        """Raises ConfigError when the spool cannot be opened, or another server has it."""
        services = self._services
        try:
            self._lock = _lock(self._options.spool)
            await self._database.open()
        except (DatabaseFailed, OSError) as error:
            raise ConfigError(self._file, 0, "spool", f"{self._options.spool} cannot be used: {error}") from error
        services.sessions.control.controls.insert(0, self._recorder)
        services.sessions.end_lines.listeners.append(self._recorder.over)
        if self._options.refusals_per_second:
            services.sessions.refusals.listeners.append(self._refusals.refused)
        services.problem_sources.append(self._problems)
        services.metric_sources.append(self._metrics)
        services.registry.register("cdr", CallRecords(self._recorder, self._deliveries, self._database))
        self._withdraw = services.capabilities.provide(CALL_RECORDS, self)
        services.when_loaded.append(self._recover)

    async def _recover(self) -> None:
        """Every way out and every control is known, and no call has begun: settle what an earlier life has left."""
        now_s, sinks = self._services.clock.epoch_s(), list(self._wanted)
        try:
            gone = await self._database.run(lambda connection: spool.forget_unknown(connection, sinks))
            left = await self._database.run(lambda connection: spool.recover(connection, self._sinks_of, now_s))
        except DatabaseFailed as error:
            raise ConfigError(self._file, 0, "spool", f"{self._options.spool} cannot be used: {error}") from error
        for sink, count in gone:
            log.error(
                "%d call records were not delivered to %s, which is configured no more: they are dropped for it", count, sink
            )
        if left:
            log.warning("%d calls were up when the server stopped: their records are closed as INTERRUPTED", len(left))
        for delivery in self._deliveries:
            delivery.start()
        loop = asyncio.get_running_loop()
        self._telling = loop.create_task(self._news.run(), name="cdr crash news")
        self._ticker = loop.create_task(self._tick(), name="cdr ticker")

    async def _tick(self) -> None:
        touched_s = self._services.clock.epoch_s()
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                self._disk_problem = await asyncio.to_thread(_room, self._options.spool, self._options.disk_floor_mb)
                now_s = self._services.clock.epoch_s()
                if self._database.problem:  # a commit clears it when there is room again
                    await self._database.run(
                        lambda connection: connection.execute("CREATE TABLE IF NOT EXISTS probe(x)") and None
                    )
                    await self._database.run(lambda connection: connection.execute("DROP TABLE probe") and None)
                self._recorder.retry()
                for delivery in self._deliveries:
                    await delivery.look()
                if now_s - touched_s >= self._options.touch_interval:
                    touched_s = now_s
                    ids = list(self._recorder.open_ids())
                    await self._database.run(lambda connection, ids=ids, now_s=now_s: spool.seen(connection, ids, now_s))  # type: ignore[misc]
            except DatabaseFailed as error:
                log.error("call records: %s", error)

    # --------------------------------------------------------------------------------------------------------------- stop
    async def close(self) -> None:
        """Close every record, deliver what can be delivered at once, and give everything back."""
        services = self._services
        services.registry.unregister("cdr")
        services.sessions.control.controls.remove(self._recorder)
        services.sessions.end_lines.listeners.remove(self._recorder.over)
        if self._refusals.refused in services.sessions.refusals.listeners:
            services.sessions.refusals.listeners.remove(self._refusals.refused)
        services.problem_sources.remove(self._problems)
        services.metric_sources.remove(self._metrics)
        if self._withdraw is not None:
            self._withdraw()
        for task in (self._ticker, self._telling):
            if task is not None:
                task.cancel()
        self._recorder.cut()
        for delivery in self._deliveries:
            await delivery.finish()
        await self._database.close()
        if self._lock is not None:
            os.close(self._lock)

    # ------------------------------------------------------------------------------------------------------------ metrics
    def _metrics(self) -> Iterator[Metric]:
        yield gauge("cordboard_cdr_open", "Call records whose call lasts.", len(self._recorder.open_ids()))
        yield gauge("cordboard_cdr_waiting_for_disk", "Complete records that the disk has not taken.", self._recorder.waiting)
        yield gauge("cordboard_cdr_crash_news", "Controls that are still to hear of calls that a crash has cut.", self._news.left)
        yield gauge(
            "cordboard_cdr_refusals_passed_over", "Refused calls without a record: too many a second.", self._refusals.passed_over
        )
        yield gauge("cordboard_cdr_commit_seconds", "How long the last commit of the spool took.", self._database.commit_s)
        pending = GaugeMetricFamily("cordboard_cdr_pending", "Call records that a sink has not taken yet.", labels=["sink"])
        dead = GaugeMetricFamily("cordboard_cdr_dead", "Call records that a sink has refused for good.", labels=["sink"])
        for delivery in self._deliveries:
            pending.add_metric([delivery.sink.name], delivery.last_look.pending)
            dead.add_metric([delivery.sink.name], delivery.last_look.dead)
        yield pending
        yield dead


def _lock(path: Path) -> int:
    """Two servers on one spool would close each other's calls. Raises OSError that says so."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise OSError("another server uses it; each needs a spool of its own") from error
    return lock


def _room(path: Path, floor_mb: int) -> str:
    free_mb = shutil.disk_usage(path.parent).free >> 20
    return "" if free_mb >= floor_mb else f"{free_mb} MB are free at {path.parent}, disk_floor_mb is {floor_mb}"
