# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_mysql: a MySQL or MariaDB server (spec dsm.md §5.8). Only the asking call waits; connections are lent from a pool a database.

Values in quoted SQL texts are escaped (`di.dsm.mods.sql_template`). A connection belongs to one call from `mysql.connect` to
`mysql.disconnect` or its end, so that transactions and LAST_INSERT_ID mean what they say.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
from collections.abc import Awaitable
from pathlib import Path

from di.dsm.language.errors import DsmException
from di.dsm.language.library import Lit, Res, Var, action, condition, hook
from di.dsm.language.numbers import unsigned
from di.dsm.mods.sql_template import assigned_names, escape, escape_bytes, substitute_sql
from di.dsm.run.engine import Run
from di.stores.mysql_client import DbError, DbLost, Lease, Pools, Result, client_version
from di.stores.mysql_target import parse_url

log = logging.getLogger(__name__)

NULL = "NULL"
"""What a variable gets for a NULL, as SEMS' client library has it."""


def _lease(run: Run) -> Lease | None:
    found = run.avars.get("db.con")
    if isinstance(found, Lease):
        return found
    run.fail("connection", "there is no database connection")
    return None


def _fill(run: Run, sql: str) -> str:
    escaped, assigned = run.avars.get("db.escaped"), run.avars.setdefault("db.assigned", set())
    assert isinstance(assigned, set)
    if "@" in sql:
        assigned |= assigned_names(sql)
    return substitute_sql(sql, run, escaped if isinstance(escaped, set) else (), assigned=assigned)


def _failed(run: Run, error: Exception) -> None:
    run.vars["db.ereason"] = str(error)
    run.fail("connection" if isinstance(error, DbLost) else "query", str(error))


async def _ask(run: Run, sql: str | bytes) -> Result | None:
    lease = _lease(run)
    if lease is None:
        return None
    try:
        return await lease.execute(sql)
    except DbError as error:
        _failed(run, error)
        return None


@action("mysql.connect")
async def connect(run: Run, url: Res) -> None:
    """Borrow a connection to `mysql://user:pwd@host/db`, default `$config.db_url`."""
    text = url or run.vars.get("config.db_url", "")
    if not text:
        run.fail("config", "mysql.connect needs a URL, or db_url in the configuration")
        return
    target = parse_url(text)
    if target is None:
        run.fail("arg", "the URL must be mysql://user:password@host[:port]/database")
        return
    await disconnect_quietly(run)
    certificate = run.vars.get("config.mysql_ca_cert", "")
    if certificate and not os.access(certificate, os.R_OK):
        log.warning("%s: mysql_ca_cert=%s cannot be read; the database is spoken to without TLS", run.session.id, certificate)
        certificate = ""
    try:
        run.avars["db.con"] = await run.session.hub.shared("mod_mysql", Pools).lend(target, certificate)
    except DbError as error:
        run.vars["db.errno"] = str(error.number)
        run.vars["db.ereason"] = str(error)
        run.fail("connection", str(error))
        return
    run.ok()


async def disconnect_quietly(run: Run) -> None:
    """Give the connection back."""
    lease = run.avars.pop("db.con", None)
    if isinstance(lease, Lease):
        await lease.give_back()


@action("mysql.disconnect")
async def disconnect(run: Run) -> None:
    """Give the connection back."""
    if _lease(run) is not None:
        await disconnect_quietly(run)
        run.ok()


@action("mysql.execute")
async def execute(run: Run, sql: Lit) -> None:
    """Run a statement; a SELECT has 0 rows here."""
    result = await _ask(run, _fill(run, sql))
    if result is not None:
        run.vars["db.rows"] = "0" if result.columns else str(result.affected)
        run.vars["db.info"], run.vars["db.insert_id"] = "", str(result.insert_id)
        run.ok()


@action("mysql.query")
async def query(run: Run, sql: Lit) -> None:
    """Run a query and keep its result."""
    result = await _ask(run, _fill(run, sql))
    if result is not None:
        run.avars["db.res"] = result
        run.vars["db.rows"] = str(len(result.rows))
        run.ok()


def _copy(run: Run, result: Result, row_text: str, column: str = "") -> None:
    row = unsigned(row_text)
    if row is None:
        run.fail("arg", f"row {row_text!r} must be a number")
        return
    if row >= len(result.rows) or (column and column not in result.columns):
        run.fail("result", f"the result has no row {row}" if row >= len(result.rows) else f"the result has no column {column}")
        return
    for name, value in zip(result.columns, result.rows[row], strict=True):
        if not column or name == column:
            run.vars[name] = NULL if value is None else value.decode("utf-8", "surrogateescape")
    run.ok()


@action("mysql.queryGetResult")
async def query_get_result(run: Run, sql: Lit, row: Res = "") -> None:
    """Run a query and copy the columns of a row into variables of their names."""
    result = await _ask(run, _fill(run, sql))
    if result is not None:
        run.vars["db.rows"] = str(len(result.rows))
        _copy(run, result, row)


def _kept(run: Run) -> Result | None:
    found = run.avars.get("db.res")
    if isinstance(found, Result):
        return found
    run.fail("result", "no result is kept; run mysql.query first")
    return None


@action("mysql.getResult")
def get_result(run: Run, row: Res, column: Res = "") -> None:
    """Copy a row of the kept result."""
    result = _kept(run)
    if result is not None:
        _copy(run, result, row, column)


@action("mysql.getClientVersion")
def get_client_version(run: Run, target: Res) -> None:
    """Version of the client library."""
    if _lease(run) is not None:
        run.vars[target] = client_version()
        run.ok()


@action("mysql.resolveQueryParams")
def resolve_query_params(run: Run, text: Lit) -> None:
    """The filled-in query, in `$db.qstr`."""
    run.vars["db.qstr"] = _fill(run, text)


@action("mysql.saveResult")
def save_result(run: Run, name: Res) -> None:
    """Remember the kept result."""
    result = _kept(run)
    if result is not None:
        run.avars[name] = result
        run.ok()


@action("mysql.useResult")
def use_result(run: Run, name: Res) -> None:
    """Take a remembered result."""
    found = run.avars.get(name)
    if isinstance(found, Result):
        run.avars["db.res"] = found
        run.ok()
    else:
        run.fail("result", f"no result was saved as {name!r}")


async def _first_value(run: Run, sql: str) -> bytes | None:
    result = await _ask(run, _fill(run, sql))
    if result is None:
        return None
    if not result.rows or not result.columns:
        run.fail("result", "the query has no row")
    elif result.rows[0][0] is None:
        run.fail("result", "the first column is NULL")
    else:
        return result.rows[0][0]
    return None


def _keep(data: bytes, suffix: str, folder: str | None) -> str:
    """Write a temporary file, its name. Raises OSError."""
    handle, path = tempfile.mkstemp(suffix=suffix if suffix[1:].isalnum() else ".wav", prefix="cordboard_db_", dir=folder)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    return path


async def _play(run: Run, sql: str, name: str, front: bool, loop: bool) -> None:
    data = await _first_value(run, sql)
    if data is None:
        return
    root = run.session.hub.settings("dsm").get("media_root", "")  # where scripts may play from, when it is restricted
    try:
        path = await asyncio.to_thread(_keep, data, Path(name).suffix, root if Path(root).is_absolute() else None)
        files = run.avars.setdefault("db.files", [])
        if isinstance(files, list):
            files.append(path)
        run.session.media.play_file(path, front=front, loop=loop)
    except (OSError, DsmException) as error:
        run.fail("file", f"the audio cannot be played: {error}")
        return
    run.ok()


@action("mysql.playDBAudio")
def play_db_audio(run: Run, sql: Lit, name: Lit) -> Awaitable[None]:
    """Queue audio from a column; the name's suffix is its format."""
    return _play(run, sql, name, False, False)


@action("mysql.playDBAudioFront")
def play_db_audio_front(run: Run, sql: Lit, name: Lit) -> Awaitable[None]:
    """Play it now."""
    return _play(run, sql, name, True, False)


@action("mysql.playDBAudioLooped")
def play_db_audio_looped(run: Run, sql: Lit, name: Lit) -> Awaitable[None]:
    """Queue it endlessly."""
    return _play(run, sql, name, False, True)


@action("mysql.getFileFromDB")
async def get_file_from_db(run: Run, sql: Lit, path: Res) -> None:
    """Write a column into a file."""
    data = await _first_value(run, sql)
    if data is None:
        return
    try:
        await asyncio.to_thread(Path(path).write_bytes, data)
    except (OSError, ValueError) as error:
        run.fail("file", str(error))
        return
    run.ok()


@action("mysql.putFileToDB")
async def put_file_to_db(run: Run, sql: Lit, path: Res) -> None:
    """Run a statement with `__FILE__` replaced by a file's contents."""
    try:
        data = await asyncio.to_thread(Path(path).read_bytes)
    except (OSError, ValueError) as error:
        run.fail("file", str(error))
        return
    if not data:
        run.fail("file", f"{path} is empty")
        return
    if "__FILE__" not in sql:
        run.fail("arg", "the statement has no __FILE__")
        return
    statement = _fill(run, sql).encode("utf-8", "surrogateescape").replace(b"__FILE__", escape_bytes(data))
    result = await _ask(run, statement)
    if result is not None:
        run.vars["db.rows"], run.vars["db.info"], run.vars["db.insert_id"] = "0", "", str(result.insert_id)
        run.ok()


@action("mysql.escape", separator="=")
def escape_(run: Run, target: Var, text: Res) -> None:
    """Escape text for SQL."""
    if _lease(run) is None:
        return
    escaped = run.avars.setdefault("db.escaped", set())
    run.vars[target] = escape(text)
    if isinstance(escaped, set):
        escaped.add(run.vars[target])


@condition("mysql.hasResult")
def has_result(run: Run) -> bool:
    """A kept result with a row."""
    result = _kept(run)
    return result is not None and bool(result.rows)


@condition("mysql.connected")
async def connected(run: Run) -> bool:
    """The connection is alive."""
    lease = _lease(run)
    return lease is not None and await lease.alive()


@hook("on_destroy")
async def release(run: Run) -> None:
    """The call is over: its connection goes back, its temporary files go."""
    await disconnect_quietly(run)
    files = run.avars.pop("db.files", None)
    for path in files if isinstance(files, list) else ():
        with contextlib.suppress(OSError):
            os.unlink(path)
