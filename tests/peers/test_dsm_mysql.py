# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_mysql against a real MariaDB: what each action writes, what goes wrong, and that only the asking call waits (spec dsm.md §5.8)."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from di.dsm.language.event import Kind
from di.stores.mysql_client import Lease, Pools
from di.stores.mysql_target import parse_url
from tests.support.databases import DATABASE, PASSWORD, USER, MariaDb
from tests.support.dsm_calls import Call, Calls
from tests.support.slow_proxy import SlowProxy

pytestmark = pytest.mark.peers

TABLES = (
    "CREATE TABLE people (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(80), note VARCHAR(80))",
    "CREATE TABLE messages (id INT AUTO_INCREMENT PRIMARY KEY, userid VARCHAR(40))",
    "CREATE TABLE sounds (name VARCHAR(40), data LONGBLOB)",
)
VECTORS = Path(__file__).parent.parent / "vectors" / "dsm"


@pytest.fixture(scope="module")
def database() -> Iterator[MariaDb]:
    with MariaDb() as server:
        assert isinstance(server, MariaDb)
        yield server


@pytest.fixture
async def calls(database: MariaDb) -> AsyncIterator[Calls]:
    """Calls on an empty schema."""
    async with Calls() as calls:
        drops = "".join(f'mysql.execute("DROP TABLE IF EXISTS {name}"); ' for name in ("people", "messages", "sounds"))
        tables = "".join(f'mysql.execute("{sql}"); throwOnError(); ' for sql in TABLES)
        made = await calls.run("mod_mysql", f"mysql.connect($url); throwOnError(); {drops}{tables}", url=database.url())
        assert "thrown" not in made, made
        yield calls


async def sql(calls: Calls, url: str, body: str, **variables: str) -> dict[str, str]:
    """Statements of one call on a connection."""
    return await calls.run("mod_mysql", f"mysql.connect($url); throwOnError(); {body}", url=url, **variables)


async def test_every_action_and_what_it_writes(calls: Calls, database: MariaDb, tmp_path: Path) -> None:
    found = await sql(
        calls, database.url(),
        "mysql.execute(\"INSERT INTO people (name, note) VALUES ('alice', 'a'), ('bob', NULL)\"); set($rows=$db.rows); set($id=$db.insert_id);"
        "mysql.execute(SELECT 1); set($select_rows=$db.rows);"
        "mysql.query(SELECT name AS who, note FROM people ORDER BY id); set($q_rows=$db.rows); mysql.saveResult(kept);"
        "mysql.getResult(1); set($second=$who); mysql.getResult(0, who); set($first=$who); mysql.getResult(2); set($e_row=$errno);"
        "mysql.getResult(0, nope); set($e_col=$errno); mysql.getResult(x); set($e_arg=$errno);"
        'mysql.queryGetResult("SELECT COUNT(*) AS n, MAX(name) AS last FROM people"); set($e_ok=$errno);'
        "mysql.queryGetResult(SELECT 5 AS five); mysql.queryGetResult(\"SELECT name AS who FROM people ORDER BY id\", 1); set($by_row=$who);"
        "mysql.query(SELECT name FROM people WHERE id=0); if mysql.hasResult() { set($has=1) } mysql.useResult(kept);"
        "if mysql.hasResult { set($has_again=1) } if mysql.connected { set($alive=1) } mysql.getClientVersion(version);"
        "mysql.useResult(none); set($e_use=$errno); mysql.execute(SELEKT); set($e_sql=$errno); set($reason=$db.ereason);"
        "mysql.disconnect(); set($e_bye=$errno); mysql.disconnect(); set($e_again=$errno); if mysql.connected { set($still=1) }",
    )  # fmt: skip
    assert (found["rows"], found["id"], found["select_rows"], found["db.info"]) == ("2", "1", "0", "")
    assert (found["q_rows"], found["second"], found["note"], found["first"]) == ("2", "bob", "NULL", "alice")
    assert (found["e_row"], found["e_col"], found["e_arg"]) == ("result", "result", "arg")
    assert (found["e_ok"], found["n"], found["last"], found["five"], found["by_row"]) == ("", "2", "bob", "5", "bob")
    assert ("has" in found, found["has_again"], found["alive"], found["version"] != "") == (False, "1", "1", True)
    assert (found["e_use"], found["e_sql"], "SELEKT" in found["reason"]) == ("result", "query", True)
    assert (found["e_bye"], found["e_again"], "still" in found, found["errno"]) == ("", "connection", False, "connection")


@pytest.mark.parametrize(
    "evil", ["O'Neil", "x'; DROP TABLE people; -- ", '"', "\\", "\\'", "a\0b\x1ac", "ö€😀", "$name", "@user", "%_"]
)
async def test_what_callers_say_stays_a_value(calls: Calls, database: MariaDb, evil: str) -> None:
    found = await sql(
        calls, database.url(),
        "mysql.execute(INSERT INTO people (name, note) VALUES ('$name', \"$name\")); throwOnError();"
        "mysql.queryGetResult(\"SELECT name AS a, note AS b FROM people WHERE name='$name'\"); throwOnError(); set($evil=$name);"
        "mysql.escape($e=$name); mysql.queryGetResult(\"SELECT COUNT(*) AS n FROM people WHERE name='$e'\"); throwOnError()", name=evil,
    )  # fmt: skip
    assert (found["a"], found["b"], found["n"], "thrown" in found) == (evil, evil, "1", False)


async def test_one_text_holds_one_statement(calls: Calls, database: MariaDb) -> None:
    """Outside quotes nothing is escaped (spec dsm.md §2.3); a second statement is refused all the same."""
    found = await sql(
        calls, database.url(), "mysql.execute(\"DELETE FROM people WHERE id=$number\"); set($e=$errno); mysql.query(SELECT * FROM people)",
        number="0; DROP TABLE people",
    )  # fmt: skip
    assert (found["e"], found["errno"]) == ("query", "")


async def test_sql_mode_cannot_disarm_the_escapes(calls: Calls, database: MariaDb) -> None:
    await sql(calls, database.url(), "mysql.execute(\"SET sql_mode='NO_BACKSLASH_ESCAPES'\")")
    found = await sql(calls, database.url(), "mysql.queryGetResult(\"SELECT '$v' AS v\")", v="'; x")
    assert found["v"] == "'; x", "the next call has a clean connection"


async def test_sounds(calls: Calls, database: MariaDb, tmp_path: Path) -> None:
    source, copy = tmp_path / "in.wav", tmp_path / "out.wav"
    with wave.open(str(source), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(range(256)) * 40)
    (tmp_path / "empty").touch()
    (tmp_path / "root").mkdir()
    calls.settings["dsm"] = {"media_root": f"{tmp_path}/root"}
    call = calls.call(
        "import(mod_mysql); initial state A enter { mysql.connect($url); throwOnError();"
        "mysql.putFileToDB(\"INSERT INTO sounds VALUES ('x', '__FILE__')\", $in); throwOnError(); set($rows=$db.rows);"
        "mysql.getFileFromDB(\"SELECT data FROM sounds WHERE name='x'\", $out); throwOnError();"
        "mysql.playDBAudio(\"SELECT data FROM sounds\", x.wav); throwOnError(); mysql.playDBAudioFront(\"SELECT data FROM sounds\", x.wav);"
        "mysql.playDBAudioLooped(\"SELECT data FROM sounds\", x.wav); throwOnError();"
        "mysql.putFileToDB(\"INSERT INTO sounds VALUES ('x', '')\", $in); set($e_mark=$errno);"
        f"mysql.putFileToDB(\"INSERT INTO sounds VALUES ('x', '__FILE__')\", {tmp_path}/empty); set($e_empty=$errno);"
        f"mysql.getFileFromDB(\"SELECT data FROM sounds\", {tmp_path}/no/where); set($e_file=$errno);"
        "mysql.playDBAudio(\"SELECT data FROM sounds WHERE name='y'\", x.wav); set($e_row=$errno);"
        "mysql.playDBAudio(\"SELECT NULL\", x.wav); set($e_null=$errno) };", url=database.url(), **{"in": str(source), "out": str(copy)},
    )  # fmt: skip
    await call.start()
    assert copy.read_bytes() == source.read_bytes()
    codes = [call.vars[name] for name in ("rows", "e_mark", "e_empty", "e_file", "e_row", "e_null")]
    assert codes == ["0", "arg", "file", "file", "result", "result"]
    played = [line.split() for line in call.session.done]
    assert [(words[0], words[2:]) for words in played] == [("play", []), ("play", ["front"]), ("play", ["loop"])]
    paths = [Path(words[1]) for words in played]
    assert all(
        path.parent == tmp_path / "root" and path.suffix == ".wav" and path.read_bytes() == source.read_bytes() for path in paths
    )
    await call.end()
    assert not any(path.exists() for path in paths), "temporary files go with the call"


async def test_connections_are_lent_and_come_back_clean(calls: Calls, database: MariaDb) -> None:
    pools = calls.shared["mod_mysql"]
    assert isinstance(pools, Pools)
    ask = 'mysql.queryGetResult("SELECT CONNECTION_ID() AS id, @mine AS mine, @@autocommit AS auto"); '
    first = await sql(
        calls, database.url(),
        "mysql.execute(\"SET @mine=1\"); mysql.execute(\"CREATE TEMPORARY TABLE t (a INT)\"); mysql.execute(\"SET autocommit=0\");"
        f"mysql.execute(\"INSERT INTO people (name) VALUES ('undone')\"); {ask}",
    )  # fmt: skip
    look = 'mysql.query(SELECT * FROM t); set($e=$errno); mysql.queryGetResult("SELECT COUNT(*) AS n FROM people")'
    second = await sql(calls, database.url(), ask + look)
    assert (second["id"], second["mine"], second["auto"], second["e"], second["n"]) == (first["id"], "NULL", "1", "query", "0")
    one, two = (
        calls.call("import(mod_mysql); initial state A enter { mysql.connect($url); " + ask + "};", url=database.url())
        for _ in range(2)
    )
    await one.start()
    await two.start()
    assert one.vars["id"] != two.vars["id"], "each call has its own"


async def test_what_is_given_back_after_the_end_is_closed(database: MariaDb) -> None:
    """A reload drops the pools while a call's question is under way."""
    pools, target = Pools(), parse_url(database.url())
    assert target is not None
    idle, lent = [await pools.lend(target, "") for _ in range(2)]
    await idle.give_back()
    pools.close()
    late = await pools.lend(target, "")
    for lease in (lent, late):
        connection = lease._connection
        assert (await lease.execute("SELECT 1")).rows == ((b"1",),)
        await lease.give_back()
        assert connection.closed
    assert not any(pools._idle.values())


async def test_what_connect_refuses(calls: Calls, database: MariaDb) -> None:
    wrong = f"mysql://{USER}:wrong-secret@127.0.0.1:{database.port}/{DATABASE}"
    found = await calls.run("mod_mysql", "mysql.connect($url)", url=wrong)
    assert (found["errno"], found["db.errno"]) == ("connection", "1045")
    assert not [value for name, value in found.items() if name != "url" and "wrong-secret" in value], (
        "the password is told nowhere"
    )
    for url, errno in (
        ("mysql://u@h:99999/d", "arg"),
        ("mysql://h", "arg"),
        ("http://u:p@h/d", "arg"),
        (database.url() + "x", "connection"),
    ):
        assert (await calls.run("mod_mysql", "mysql.connect($url)", url=url))["errno"] == errno
    from_settings = await calls.run("mod_mysql", "mysql.connect(); set($e=$errno)", **{"config.db_url": database.url()})
    assert (from_settings["e"], PASSWORD in from_settings["config.db_url"]) == ("", True)
    plain = await calls.run("mod_mysql", "mysql.connect($u)", u=database.url(), **{"config.mysql_ca_cert": "/no/such/file"})
    assert plain["errno"] == "", "a certificate that is no readable file means no TLS, and a warning (spec dsm.md §5.8)"


async def test_selects_in_sql_and_user_variables(calls: Calls, database: MariaDb) -> None:
    call = calls.call(
        "import(mod_mysql); initial state A enter { mysql.connect($url); mysql.queryGetResult(SELECT @user AS a); set($e=$errno);"
        "mysql.queryGetResult(\"SELECT '@user' AS b\"); mysql.resolveQueryParams(SELECT @user);"
        'mysql.execute("SET @domain := 7"); mysql.queryGetResult(SELECT @domain AS c); };', url=database.url(),
    )  # fmt: skip
    call.session.selects.update(user="o'neil$url", domain="d.example")
    await call.start()
    assert (call.vars["a"], call.vars["b"], call.vars["c"]) == ("o'neil$url", "@user", "7")
    assert call.vars["db.qstr"] == "SELECT 'o\\'neil$url'"


# ---------------------------------------------------------------------------------------------------------- the presentation
@pytest.mark.parametrize(("messages", "state", "played"), [
    (23, "PLAY_MESSAGES", ["play hello.wav", "play you_have.wav", "play 20.wav", "play x3.wav", "play messages.wav"]),
    (0, "PLAY_AND_BYE", ["play hello.wav", "play no_messages"]),
])  # fmt: skip
async def test_the_demo_of_the_presentation(
    calls: Calls, database: MariaDb, messages: int, state: str, played: list[str]
) -> None:
    """As it stands in the slides; only the database's address is put in."""
    rows = ",".join(["('stefan')"] * messages + ["('somebody')"])
    await sql(calls, database.url(), f'mysql.execute("INSERT INTO messages (userid) VALUES {rows}"); throwOnError()')
    text = (VECTORS / "presentation_mysql.dsm").read_text()
    assert "mysql://user:pwd@domain/db" in text
    call = calls.call(text.replace("mysql://user:pwd@domain/db", f'"{database.url()}"'))
    call.session.selects["user"] = "stefan"
    await call.start()
    assert (call.state, call.vars["new_messages"]) == (state, str(messages))
    assert call.session.done == played


# ------------------------------------------------------------------------------------------------------ latency and failures
ASKING = (
    "import(mod_mysql); initial state A enter { mysql.connect($url); };"
    'state B enter { mysql.queryGetResult("SELECT 1 AS one"); }; transition t A - key -> B;'
)
COUNTING = "initial state A; transition t A - key / inc($n) -> A;"


async def _asks(call: Call) -> asyncio.Task[None]:
    return asyncio.create_task(call.event(Kind.KEY, key="1"))


async def test_others_do_not_wait_for_a_slow_database(calls: Calls, database: MariaDb) -> None:
    """While twenty calls wait for the database, another one handles a thousand events; then the twenty get their answers."""
    async with SlowProxy(database.port) as proxy:
        asking = [calls.call(ASKING, url=database.url(proxy.port)) for _ in range(20)]
        await asyncio.gather(*(call.start() for call in asking))
        proxy.hold()
        waiting = [await _asks(call) for call in asking]
        await proxy.held.wait()
        other = calls.call(COUNTING)
        await other.start()
        for _ in range(1000):
            await other.event(Kind.KEY, key="1")
        assert other.vars["n"] == "1000"
        assert not any(task.done() for task in waiting)
        proxy.release()
        await asyncio.gather(*waiting)
    assert [call.vars["one"] for call in asking] == ["1"] * 20


async def test_a_call_that_ends_in_mid_query_leaves_nothing_behind(calls: Calls, database: MariaDb) -> None:
    """Its answer must not reach the next call."""
    async with SlowProxy(database.port) as proxy:
        url = database.url(proxy.port)
        call = calls.call(ASKING.replace("SELECT 1", "SELECT 4711"), url=url)
        await call.start()
        proxy.hold()
        task = await _asks(call)
        await proxy.held.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await call.end()
        proxy.release()
        found = await sql(calls, url, 'mysql.queryGetResult("SELECT 1 AS one")')
    assert (found["one"], found["errno"]) == ("1", "")


async def test_the_server_dies_in_mid_query(calls: Calls, database: MariaDb) -> None:
    """The script gets `connection`, goes on, and can connect again when the server is back."""
    script = (
        "import(mod_mysql); initial state A enter { mysql.connect($url); }; state B; state C; state D;"
        "transition ask A - key / mysql.query(SELECT SLEEP(600)); throwOnError() -> C;"
        "transition lost A - exception; test(#type == connection) / {"
        "  if mysql.connected { set($alive=1) } mysql.query(SELECT 1); set($e=$errno); } -> B;"
        'transition again B - key / { mysql.connect($url); throwOnError(); mysql.queryGetResult("SELECT 2 AS two"); } -> D;'
    )
    call = calls.call(script, url=database.url())
    await call.start()
    connection = call.machine.avars["db.con"]
    assert isinstance(connection, Lease)
    task = await _asks(call)
    watcher = calls.call(ASKING, url=database.url())
    await watcher.start()
    running = False
    while not running:  # until the query is in the server
        await watcher.event(Kind.TIMER, id="1")
        asks = "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE info LIKE '%SLEEP(600)'"
        found = await sql(calls, database.url(), f'mysql.queryGetResult("{asks}")')
        running = found["n"] == "1"
    database.kill()
    await task
    assert (call.state, "alive" in call.vars, call.vars["e"]) == ("B", False, "connection")
    assert call.vars["db.ereason"] != ""
    refused = await calls.run("mod_mysql", "mysql.connect($url)", url=database.url())
    assert refused["errno"] == "connection"
    await asyncio.to_thread(database.start)
    await call.event(Kind.KEY, key="1")
    assert (call.state, call.vars["two"]) == ("D", "2")
