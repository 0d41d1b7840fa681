# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's FreeRADIUS with users, credit and accounting in SQLite: own folder, free ports, stopped by PID.

with FreeRadius() as radius:
    radius.give("anna", 30)             # 30 s of credit; Session-Timeout is what accounting has left of it
    radius.used("anna")                 # seconds by Stop and Interim-Update
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Awaitable
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
thread pool {{ start_servers = 4, max_servers = 4, min_spare_servers = 1, max_spare_servers = 4, max_requests_per_server = 0 }}
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
        pool {{ start = 5, min = 5, max = 8, spare = 2, uses = 0, lifetime = 0, idle_timeout = 0, retry_delay = 1 }}
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
        memory = Path("/dev/shm")  # its SQLite commits each packet: a disk would be what the tests measure
        self._folder = tempfile.TemporaryDirectory(prefix="cordboard-radius-", dir=memory if memory.is_dir() else None)
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
            database.execute("PRAGMA journal_mode=WAL")  # each of its threads has a connection
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

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._process is not None

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


class RadiusPurse:
    """A `tests.support.credit.Purse`. Slow and lying answers are made by `Meddler`, which stands between."""

    def __init__(self, radius: FreeRadius, meddler: Meddler) -> None:
        self._radius = radius
        self._meddler = meddler
        self._credit: dict[str, int] = {}

    def give(self, account: str, seconds: int) -> None:
        self._credit[account] = seconds
        self._radius.give(account, seconds)

    def left(self, account: str) -> float:
        return self._credit[account] - self._radius.used(account) if self._radius.closed(account) else self._credit[account] + 99

    def granted(self, account: str) -> float | None:
        """It knows what it said, not what was taken for an answer."""
        return None

    def trouble(self, kind: str) -> Awaitable[None]:
        def turn() -> None:
            self._meddler.trouble = kind
            if kind == "dead":
                self._radius.kill()
            elif not kind and not self._radius.running:
                self._radius.start()

        return asyncio.to_thread(turn)


class Meddler:
    """Datagrams to a server and back: in order, late, or with an octet of the answer changed. In a thread; two ports in a row."""

    def __init__(self, radius: FreeRadius) -> None:
        self.trouble = ""
        self.port = free_ports(2)
        self._closing = False
        self._pairs: dict[socket.socket, tuple[socket.socket, tuple[str, int]]] = {}
        self._asked: dict[tuple[int, tuple[str, int]], socket.socket] = {}
        self._fronts = {self._bound(self.port): radius.auth_port, self._bound(self.port + 1): radius.acct_port}
        self._late: list[tuple[float, socket.socket, bytes, tuple[str, int]]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _bound(self, port: int) -> socket.socket:
        front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        front.setblocking(False)
        front.bind(("127.0.0.1", port))
        return front

    def _run(self) -> None:
        while not self._closing:
            readable, _, _ = select.select([*self._fronts, *self._pairs], [], [], 0.02)
            for one in readable:
                try:
                    data, address = one.recvfrom(8192)
                except OSError:
                    continue  # ICMP: nobody there, or nothing any more
                if one in self._fronts:
                    self._to_server(one, data, address)
                else:
                    self._to_client(one, data)
            now_s = time.monotonic()
            for due_s, front, data, address in self._late:
                if due_s <= now_s:
                    front.sendto(data, address)
            self._late = [entry for entry in self._late if entry[0] > now_s]

    def _to_server(self, front: socket.socket, data: bytes, address: tuple[str, int]) -> None:
        port = self._fronts[front]
        back = self._asked.get((port, address))
        if back is None:
            back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            back.setblocking(False)  # what select has seen may be an error that a send has taken since
            back.connect(("127.0.0.1", port))
            self._asked[port, address] = back
            self._pairs[back] = (front, address)
        with contextlib.suppress(OSError):
            back.send(data)

    def _to_client(self, back: socket.socket, data: bytes) -> None:
        front, address = self._pairs[back]
        if self.trouble == "lie":
            data = data[:-1] + bytes((data[-1] ^ 0x55,))
        if self.trouble == "slow":
            self._late.append((time.monotonic() + 3, front, data, address))
        else:
            front.sendto(data, address)

    def close(self) -> None:
        """End."""
        self._closing = True
        self._thread.join(5)
        for one in (*self._fronts, *self._pairs):
            one.close()
