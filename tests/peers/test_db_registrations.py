# SPDX-License-Identifier: GPL-2.0-or-later
"""db_reg_agent with a real database and a real registrar: every status, every function, our restart and the database's."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.support.databases import MariaDb, program
from tests.support.registrar import SmallRegistrar
from tests.support.server import Server, wait_until

pytestmark = pytest.mark.peers

PLUGINS = "monitoring;db_reg_agent;xmlrpc2di;web"
QUERY = (
    "SELECT s.subscriber_id, s.user, s.pass, s.realm, s.contact, r.registration_status, r.expiry, r.last_registration "
    "FROM subscribers s LEFT JOIN registrations r ON r.subscriber_id = s.subscriber_id"
)
SCHEMA = (
    "CREATE TABLE subscribers (subscriber_id INT PRIMARY KEY, user VARCHAR(64), pass VARCHAR(64), realm VARCHAR(64), contact VARCHAR(128))",
    "CREATE TABLE registrations (subscriber_id INT PRIMARY KEY, registration_status TINYINT NOT NULL DEFAULT 0, last_registration "
    "DATETIME, expiry DATETIME, last_code SMALLINT, last_reason VARCHAR(256), contacts VARCHAR(512))",
)


def rows(database: MariaDb, columns: str, where: str = "1") -> list[list[str]]:
    """Rows of the table of registrations, as texts."""
    done = subprocess.run(
        [program("mariadb", "mariadb-client-core"), "--no-defaults", f"--socket={database.folder / 'sock'}", "-uroot", "-N", "-B", database.database],
        input=f"SELECT {columns} FROM registrations WHERE {where} ORDER BY subscriber_id", text=True, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return [line.split("\t") for line in done.stdout.splitlines()]


def status(database: MariaDb, id: int) -> str:
    found = rows(database, "registration_status", f"subscriber_id={id}")
    return found[0][0] if found else ""


def all_settled(database: MariaDb) -> bool:
    """Whether each of the nine is where its row leads."""
    return [status(database, id) for id in range(1, 10)] == ["2", "2", "2", "2", "2", "3", "4", "", "3"]


def configuration(database: MariaDb, more: str = "") -> str:
    return (
        f'mysql_server={database.ip}:{database.port}\nmysql_user={database.user}\nmysql_passwd="{database.password}"\n'
        f'mysql_db={database.database}\njoined_query="{QUERY}"\nminimum_reregister_interval=0.7\nreregister_interval=0.8\nerror_retry_interval=2\n'
        f"contact_hostport=192.0.2.9:5070\ndb_read_contact=yes\n{more}"
    )


@pytest.fixture(scope="module")
def registrar() -> Iterator[SmallRegistrar]:
    with SmallRegistrar(grants_s=300) as running:
        yield running


@pytest.fixture(scope="module")
def database(registrar: SmallRegistrar) -> Iterator[MariaDb]:
    """Nine subscribers, one in each state that a row can have."""
    here = f"127.0.0.1:{registrar.port}"
    with MariaDb() as running:
        assert isinstance(running, MariaDb)
        users = [
            (1, "plain-new", "x"), (2, "plain-inactive", "x"), (3, "plain-pending", "x"), (4, "digest-active", "active"),
            (5, "digest-late", "late"), (6, "wrong-failed", "x"), (7, "plain-removed", "x"), (8, "plain-leaving", "x"),
            (9, "bad user", "x"),
        ]  # fmt: skip
        running.execute(
            *SCHEMA,
            *(f"INSERT INTO subscribers VALUES ({id}, '{user}', '{password}', '{here}', '')" for id, user, password in users),
            "UPDATE subscribers SET contact='sip:own@192.0.2.3' WHERE subscriber_id=2",
            "INSERT INTO registrations (subscriber_id, registration_status) VALUES (2,0), (3,1), (6,3), (7,4), (8,5), (9,0)",
            "INSERT INTO registrations (subscriber_id, registration_status, last_registration, expiry) VALUES "
            "(4, 2, NOW() - INTERVAL 10 SECOND, NOW() + INTERVAL 290 SECOND), (5, 2, NOW() - INTERVAL 400 SECOND, NOW() - INTERVAL 100 SECOND)",
        )
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, database: MariaDb) -> Iterator[Server]:
    files = {"db_reg_agent.conf": configuration(database)}
    with Server(tmp_path_factory.mktemp("server"), files, plugins=PLUGINS) as running:
        yield running
        running.end()
    assert "Traceback" not in running.log and database.password not in running.log, running.log


def test_each_row_by_its_status(server: Server, database: MariaDb, registrar: SmallRegistrar) -> None:
    wait_until(lambda: all_settled(database), "all rows are written")
    # 5 and 6 begin where they end; each is asked twice, for the password, while others are done already
    wait_until(lambda: [seen.good for seen in registrar.of("digest-late")] == [False, True], "the late one")
    wait_until(lambda: rows(database, "last_code", "subscriber_id=6") == [["401"]], "the failed one is tried, and fails")
    contact = "<sip:plain-new@192.0.2.9:5070>;expires=300"
    expected = [["200", "OK", contact, "300"]]
    assert (
        rows(database, "last_code, last_reason, contacts, TIMESTAMPDIFF(SECOND, last_registration, expiry)", "subscriber_id=1")
        == expected
    )
    assert "<sip:own@192.0.2.3>" in registrar.of("plain-inactive")[0].text
    assert registrar.of("digest-active") == [], "it stands for a while"
    assert registrar.of("plain-removed") == [] and [seen.expires for seen in registrar.of("plain-leaving")] == [0]
    assert rows(database, "last_code", "subscriber_id=9") == [["480"]]
    assert "subscriber 9 cannot be registered: user 'bad user'" in server.log


def test_functions(server: Server, database: MariaDb, registrar: SmallRegistrar) -> None:
    here = f"127.0.0.1:{registrar.port}"

    def call(method: str, *args: object) -> None:
        assert server.xml.di("db_reg_agent", method, *args) == [200, "OK"]

    call("createRegistration", 20, "digest-x'); DROP TABLE registrations; --", "wrong", here)
    call("createRegistration", 21, "digest-secret", "wrong", here)
    wait_until(lambda: status(database, 21) == "3", "a wrong password")
    call("updateRegistration", 21, "digest-secret", "secret", here)
    wait_until(lambda: status(database, 21) == "2", "the right one")
    count = len(registrar.of("digest-secret"))
    call("updateRegistration", 21, "digest-secret", "secret", here)
    call("refreshRegistration", 21)
    wait_until(lambda: len(registrar.of("digest-secret")) > count, "refreshed")
    call("updateRegistration", 22, "plain-22", "", here, "sip:own@192.0.2.4")
    wait_until(lambda: status(database, 22) == "2", "unknown to update: it is new")
    assert "<sip:own@192.0.2.4>" in registrar.of("plain-22")[0].text
    call("removeRegistration", 21), call("removeRegistration", 999), call("refreshRegistration", 999)
    wait_until(lambda: status(database, 21) == "", "its row is deleted")
    wait_until(lambda: registrar.of("digest-secret")[-1].expires == 0, "it is taken back")
    asked = [seen for seen in registrar.of("digest-secret")[count:] if seen.expires]
    assert len(asked) == 1, "refreshed once: an update that changes nothing asks nothing"


def test_while_the_database_is_away(server: Server, database: MariaDb, registrar: SmallRegistrar) -> None:
    wait_until(lambda: status(database, 1) == "2", "registered")
    database.kill()
    count = len(registrar.of("plain-new"))
    server.xml.di("db_reg_agent", "refreshRegistration", 1)
    server.xml.di("db_reg_agent", "createRegistration", 30, "plain-30", "", f"127.0.0.1:{registrar.port}")
    wait_until(lambda: len(registrar.of("plain-new")) > count and registrar.of("plain-30"), "registrations go on")
    wait_until(lambda: "changes wait" in server.log, "a line says so")
    database.start()
    wait_until(lambda: status(database, 30) == "2", "what waited is written")
    wait_until(lambda: "the database is back" in server.log, "a line says so")


def test_our_restart_goes_on_where_it_was(server: Server, database: MariaDb, registrar: SmallRegistrar) -> None:
    """Who is registered for another while is not asked for again."""
    wait_until(lambda: all_settled(database), "all rows are written")
    server.end()
    server.forget_log()
    before = len(registrar.seen)
    server.start()
    wait_until(lambda: "accounts read" in server.log, "the accounts are read")
    wait_until(
        lambda: len(registrar.of("wrong-failed")) and any(s.user == "wrong-failed" for s in registrar.seen[before:]),
        "failed ones are tried",
    )
    users = {seen.user for seen in registrar.seen[before:]}
    assert users <= {"wrong-failed", "plain-leaving"}, users  # the latter's row is gone, so it is new again

    def states() -> set[object]:
        records = [server.xml.get(id)[0] for id in server.xml.list()]
        return {record["reg_state"] for record in records if "plain-" in record["registration"]}

    wait_until(lambda: states() == {"active"}, "all of them are active")
