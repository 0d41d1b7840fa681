# SPDX-License-Identifier: GPL-2.0-or-later
"""MariaDB and Redis for a test: own folder, free loopback port, stopped by PID. Missing programs skip, or fail under CI."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import pytest

from tests.support.ports import free_port

START_S = 60
USER, PASSWORD, DATABASE = "caller", "p@ss/word:1", "calls"
_INIT = (
    "CREATE DATABASE IF NOT EXISTS {database} CHARACTER SET utf8mb4;\n"
    "CREATE USER IF NOT EXISTS '{user}'@'%' IDENTIFIED BY '{password}';\n"
    "GRANT ALL ON {database}.* TO '{user}'@'%';\nFLUSH PRIVILEGES;\n"
)


def program(name: str, package: str) -> str:
    """Where a program is; without it skips, or fails under CI."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        text = f"{name} is missing (Debian package {package})"
        if os.environ.get("CI"):
            pytest.fail(text)
        pytest.skip(text)
    return found


class Daemon:
    """A server in a folder of its own. Use as a context manager."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="cordboard-db-")
        self.folder = Path(self._folder.name)
        self.ip, self.port = "127.0.0.1", free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """What to run."""
        raise NotImplementedError

    def executable(self) -> str:
        """The program's file."""
        return self.command()[0]

    def ready(self) -> bool:
        """Whether it answers; a TCP connection is enough."""
        try:
            with socket.create_connection((self.ip, self.port), 1) as peer:
                return self.greeted(peer)
        except OSError:
            return False

    def greeted(self, peer: socket.socket) -> bool:
        """Whether a new connection is served."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.folder / "out.log").open("ab") as out:
            self.process = subprocess.Popen(
                self.command(), executable=self.executable(), stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        self._wait(self.ready)

    def _wait(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + START_S
        while not condition():
            assert self.process is not None
            text = (self.folder / "out.log").read_text(errors="replace")[-2000:]
            assert self.process.poll() is None, f"it ended:\n{text}"
            assert time.monotonic() < end, f"it does not answer:\n{text}"
            time.sleep(0.05)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def _end(self, sign: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(sign)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)

    def __enter__(self) -> Daemon:
        try:
            self.start()
        except BaseException:  # nobody else ends it
            self.kill()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()
        self._folder.cleanup()


class MariaDb(Daemon):
    """A MariaDB with one database and one user, whose password has every character that is hard in a URL.

    `ip` and `port`: where it listens; other than its defaults only where a test's text names the place.
    """

    def __init__(
        self, ip: str = "127.0.0.1", port: int = 0, *, user: str = USER, password: str = PASSWORD, database: str = DATABASE
    ) -> None:
        super().__init__()
        self.ip, self.port = ip, port or self.port
        self.user, self.password, self.database = user, password, database
        self._program = program("mariadbd", "mariadb-server-core")
        self._owner = ["--user=root"] if os.geteuid() == 0 else []
        # A MariaDB that starts removes all temporary tables of its temporary folder: in a common one those of a neighbour, whose
        # installation or query then fails ("Unknown table").
        self._own = [f"--datadir={self.folder / 'data'}", f"--tmpdir={self.folder}"]
        (self.folder / "init.sql").write_text(_INIT.format(user=user, password=password, database=database))
        made = subprocess.run(
            [
                program("mariadb-install-db", "mariadb-server-core"), "--no-defaults", *self._own, *self._owner,
                "--skip-test-db", "--auth-root-authentication-method=normal", "--innodb-log-file-size=4M",
            ],
            check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=START_S,
        )  # fmt: skip
        assert made.returncode == 0, f"mariadb-install-db ended with {made.returncode}:\n{made.stdout}"

    def command(self) -> list[str]:
        return [
            self._program, "--no-defaults", *self._own, f"--socket={self.folder / 'sock'}", f"--port={self.port}",
            f"--bind-address={self.ip}", f"--pid-file={self.folder / 'pid'}", f"--init-file={self.folder / 'init.sql'}", *self._owner,
            "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=4M", "--skip-name-resolve", "--max-connections=60",
        ]  # fmt: skip

    def greeted(self, peer: socket.socket) -> bool:
        return b"MariaDB" in peer.recv(200)

    def url(self, port: int = 0) -> str:
        """What `mysql.connect` takes; `port` is a proxy's."""
        return f"mysql://{self.user}:{self.password}@{self.ip}:{port or self.port}/{self.database}"

    def execute(self, *statements: str) -> None:
        """Run statements as the administrator."""
        subprocess.run(
            [program("mariadb", "mariadb-client-core"), "--no-defaults", f"--socket={self.folder / 'sock'}", "-uroot", self.database],
            input=";\n".join(statements), text=True, check=True, capture_output=True, timeout=START_S,
        )  # fmt: skip


class Redis(Daemon):
    """A Redis without files."""

    def __init__(self) -> None:
        super().__init__()
        self._program = shutil.which("redis-server")
        if (
            self._program is None
        ):  # Debian's package of that name starts a service; the same program goes by other names in redis-tools
            self._program = str(self.folder / "redis-server")
            Path(self._program).symlink_to(program("redis-check-rdb", "redis-tools"))

    def command(self) -> list[str]:
        assert self._program is not None
        return [
            self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
            "--unixsocket", str(self.folder / "sock"), "--dir", str(self.folder),
        ]  # fmt: skip

    def greeted(self, peer: socket.socket) -> bool:
        peer.sendall(b"PING\r\n")
        return peer.recv(100).startswith(b"+PONG")

    def url(self, port: int = 0) -> str:
        """What `redis.connect` takes."""
        return f"redis://tcp:127.0.0.1;port={port or self.port};connect_timeout=5000"


class Postgres(Daemon):
    """A PostgreSQL with one database and one user. It does not run as root, so a test that does gives it the user `postgres`."""

    def __init__(self) -> None:
        super().__init__()
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        on_path = shutil.which("postgres")
        self._bin = (
            found[-1].parent if found else Path(on_path).parent if on_path else Path(program("postgres", "postgresql")).parent
        )
        self._data = self.folder / "data"
        self._as_other = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []

    def command(self) -> list[str]:
        return [
            *self._as_other, str(self._bin / "postgres"), "-D", str(self._data), "-p", str(self.port), "-h", "127.0.0.1",
            "-k", str(self.folder), "-c", "fsync=off",
        ]  # fmt: skip

    def executable(self) -> str:
        return shutil.which(self.command()[0]) or self.command()[0]

    def greeted(self, peer: socket.socket) -> bool:
        """It answers a request for encryption: N for no, S for yes."""
        peer.sendall(bytes((0, 0, 0, 8, 4, 210, 22, 47)))
        if peer.recv(1) not in (b"N", b"S"):
            return False
        with socket.create_connection((self.ip, self.port), 1) as other:  # while it starts up it refuses whoever logs in
            text = b"user\0postgres\0\0"
            other.sendall((len(text) + 8).to_bytes(4) + (3 << 16).to_bytes(4) + text)
            return other.recv(1) == b"R"  # it asks for the password

    def start(self) -> None:
        if not self._data.exists():
            password = self.folder / "password"
            password.write_text(PASSWORD)
            for path in (self.folder, password):
                if self._as_other:
                    shutil.chown(path, "postgres", "postgres")
            subprocess.run(
                [*self._as_other, str(self._bin / "initdb"), "-D", str(self._data), "-U", USER, "--pwfile", str(password),
                 "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"],
                check=True, capture_output=True, timeout=START_S,
            )  # fmt: skip
        end = time.monotonic() + START_S
        while True:
            try:
                return super().start()
            except AssertionError as error:  # its children outlive a killed server by a moment and keep the memory they share
                if "shared memory block" not in str(error) or time.monotonic() > end:
                    raise
                time.sleep(0.1)
