# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's FreeRADIUS with users, credit and accounting in SQLite: own folder, free ports, stopped by PID.

with FreeRadius() as radius:
    radius.give("anna", 30)             # 30 s of credit; Session-Timeout is what accounting has left of it
    radius.used("anna")                 # seconds by Stop and Interim-Update
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from tests.support.databases import program
from tests.support.ports import free_ports

SECRET, PASSWORD = "testing-secret", "letmein"
_START_S = 30
_RADDB = Path("/etc/freeradius/3.0")
_CONFIG = """
name = radiusd
prefix = /usr
confdir = {folder}
raddbdir = {folder}
modconfdir = {raddb}/mods-config
run_dir = {folder}
logdir = {folder}
libdir = {libraries}
pidfile = {folder}/radiusd.pid
max_request_time = 30
cleanup_delay = 2
max_requests = 32768
log {{ destination = stdout }}
security {{ max_attributes = 200, reject_delay = 0, status_server = yes }}
proxy_requests = no
client local {{ ipaddr = 127.0.0.1, secret = {secret} }}
thread pool {{ start_servers = 4, max_servers = 8, min_spare_servers = 2, max_spare_servers = 4, max_requests_per_server = 0 }}
modules {{
    $INCLUDE {raddb}/mods-available/expr
    $INCLUDE {raddb}/mods-available/pap
    sql {{
        driver = "rlm_sql_sqlite"
        dialect = "sqlite"
        sqlite {{ filename = "{folder}/radius.db", busy_timeout = 5000 }}
        radius_db = "radius"
        acct_table1 = "radacct"
        acct_table2 = "radacct"
        postauth_table = "radpostauth"
        authcheck_table = "radcheck"
        authreply_table = "radreply"
        groupcheck_table = "radgroupcheck"
        groupreply_table = "radgroupreply"
        usergroup_table = "radusergroup"
        read_groups = no
        client_table = "nas"
        group_attribute = "SQL-Group"
        pool {{ start = 1, min = 1, max = 1, spare = 0, uses = 0, lifetime = 0, idle_timeout = 0, retry_delay = 1 }}
        $INCLUDE {raddb}/mods-config/sql/main/sqlite/queries.conf
    }}
    sqlcounter credit {{
        sql_module_instance = sql
        dialect = "sqlite"
        counter_name = Max-All-Session-Time
        check_name = Max-All-Session
        reply_name = Session-Timeout
        key = User-Name
        reset = never
        query = "SELECT IFNULL(SUM(acctsessiontime),0) FROM radacct WHERE username = '%{{${{key}}}}'"
    }}
}}
server default {{
    listen {{ type = auth, ipaddr = 127.0.0.1, port = {auth} }}
    listen {{ type = acct, ipaddr = 127.0.0.1, port = {acct} }}
    authorize {{
        sql
        credit
        pap
        update reply {{
            Class := "%{{User-Name}}-class"
            Message-Authenticator := 0x00
        }}
    }}
    authenticate {{
        Auth-Type PAP {{
            pap
        }}
    }}
    post-auth {{
        Post-Auth-Type REJECT {{
            update reply {{
                Message-Authenticator := 0x00
            }}
        }}
    }}
    preacct {{
        update request {{
            &Connect-Info := "%{{string:Class}}"
            &Acct-Unique-Session-Id := "%{{md5:%{{Acct-Session-Id}}}}"
        }}
    }}
    accounting {{
        sql
    }}
}}
"""


class FreeRadius:
    """Use as a context manager. `auth_port` and `acct_port` follow each other."""

    def __init__(self) -> None:
        self._program = program("freeradius", "freeradius")
        self._folder = tempfile.TemporaryDirectory(prefix="cordboard-radius-")
        self.folder = Path(self._folder.name)
        self.auth_port = free_ports(2)
        self.acct_port = self.auth_port + 1
        self._process: subprocess.Popen[bytes] | None = None
        text = _CONFIG.format(
            folder=self.folder,
            raddb=_RADDB,
            libraries="/usr/lib/freeradius",
            secret=SECRET,
            auth=self.auth_port,
            acct=self.acct_port,
        )
        (self.folder / "radiusd.conf").write_text(text)
        (self.folder / "secret").write_text(SECRET)
        with self._database() as database:
            database.executescript((_RADDB / "mods-config/sql/main/sqlite/schema.sql").read_text())

    def _database(self) -> sqlite3.Connection:
        return sqlite3.connect(self.folder / "radius.db", timeout=20, isolation_level=None)

    # ------------------------------------------------------------------------------------------------------------------ users
    def give(self, user: str, seconds: int, *replies: tuple[str, str]) -> None:
        """A user with so much credit, and further attributes that are answered."""
        database = self._database()
        rows = [(user, "Cleartext-Password", ":=", PASSWORD), (user, "Max-All-Session", ":=", str(seconds))]
        database.execute("BEGIN")
        database.executemany("INSERT INTO radcheck(username, attribute, op, value) VALUES (?, ?, ?, ?)", rows)
        lines = [(user, name, ":=", value) for name, value in replies]
        database.executemany("INSERT INTO radreply(username, attribute, op, value) VALUES (?, ?, ?, ?)", lines)
        database.execute("COMMIT")
        database.close()

    def sessions(self, user: str) -> list[dict[str, object]]:
        """Its rows of the accounting table, oldest first."""
        database = self._database()
        database.row_factory = sqlite3.Row
        rows = database.execute("SELECT * FROM radacct WHERE username = ? ORDER BY radacctid", (user,)).fetchall()
        database.close()
        return [dict(row) for row in rows]

    def used(self, user: str) -> int:
        """Seconds that accounting has of it."""
        return sum(int(str(row["acctsessiontime"] or 0)) for row in self.sessions(user))

    def closed(self, user: str) -> int:
        """How many of its sessions have stopped."""
        return sum(1 for row in self.sessions(user) if row["acctstoptime"])

    # ---------------------------------------------------------------------------------------------------------------- running
    @property
    def log(self) -> str:
        """What it has written."""
        return (self.folder / "out").read_text(errors="replace")

    def start(self) -> None:
        """Start it, and wait until it answers a Status-Server (RFC 5997)."""
        with (self.folder / "out").open("ab") as out:
            self._process = subprocess.Popen(
                [self._program, "-f", "-n", "radiusd", "-d", str(self.folder), "-D", "/usr/share/freeradius"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip
        end = time.monotonic() + _START_S
        while not self._answers():
            assert self._process.poll() is None, self.log[-3000:]
            assert time.monotonic() < end, self.log[-3000:]

    def _answers(self) -> bool:
        from pyrad.packet import AuthPacket, StatusServer

        request = AuthPacket(code=StatusServer, secret=SECRET.encode())
        request.add_message_authenticator()
        request.authenticator = request.CreateAuthenticator()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.2)
            sock.connect(("127.0.0.1", self.auth_port))
            try:
                sock.send(request.RequestPacket())
                return bool(sock.recv(4096))
            except OSError:
                time.sleep(0.05)
                return False

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
        self._process = None

    def __enter__(self) -> FreeRadius:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()
        self._folder.cleanup()
