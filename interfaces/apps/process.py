# SPDX-License-Identifier: GPL-2.0-or-later
"""One process of an application that the server starts and ends itself.

spawn ─► hello ─► ready, or broken ─► calls …     no pong for silent_after ─► its stacks go to the log, no new calls
                                                  no pong for kill_after ─► SIGKILL       it ends ─► on_gone(why), once
"""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from interfaces.apps.options import ProgramLimits
from interfaces.apps.peer import SETUP_S, AppPeer, Message

log = logging.getLogger(__name__)
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
"""Of the server's environment; the rest may hold passwords."""
_LIMITS = ("memory-mb", "open-files", "file-mb", "nice")
"""Which the process puts on itself before it imports anything of the program's."""
_LINE = 1 << 16
_MOST_LINES = 500
"""In the log, of one process in a second."""
_GRACE_S = 3.0


async def _some(reader: asyncio.StreamReader) -> bytes:
    """What has come; nothing when the connection has ended, in whichever way."""
    try:
        return await reader.read(1 << 16)
    except OSError:
        return b""


def _identity(user: str) -> list[str]:
    """Another user, in his own group and no other; nothing for the server's own. Raises KeyError when he is gone."""
    if not user:
        return []
    entry = pwd.getpwnam(user)
    return [f"--uid={entry.pw_uid}", f"--gid={entry.pw_gid}"]


class AppProcess(AppPeer):
    """A child of the hub."""

    def __init__(
        self,
        name: str,
        generation: int,
        number: int,
        take: Callable[[AppPeer, Message], None],
        on_gone: Callable[[AppPeer, str], None],
    ) -> None:
        super().__init__(name, generation, number, take, on_gone)
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._ending = self._killed = False
        self.introduction: Message = {"k": "ready"}
        """What it said when it was ready: that counts from when it is taken into service."""

    def __str__(self) -> str:
        return f"application {self.name} (generation {self.generation}, process {self.number}, pid {self.pid})"

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

    @property
    def there(self) -> bool:
        return bool(self.pid)

    # -------------------------------------------------------------------------------------------------------------- life
    async def start(self, file: Path, config: dict[str, str], limits: ProgramLimits) -> bool:
        """Start it and wait until it is ready; False when its file cannot be imported, it dies or takes too long: `why_broken` says which."""
        try:
            identity = _identity(limits.user)
        except KeyError:
            self.why_broken = f"there is no user {limits.user!r} any more"
            return False
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            self.why_broken = f"it cannot be started: {error.strerror}"
            return False
        command = [
            sys.executable,
            "-m",
            "clients.app.worker",
            "--fd",
            str(theirs.fileno()),
            *(f"--{name}={getattr(limits, name.replace('-', '_'))}" for name in _LIMITS),
            *identity,
            str(file),
        ]
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        root = str(Path(__file__).parents[2])
        environment["MALLOC_ARENA_MAX"] = "2"  # a thread a call: address space for each would use up memory_mb
        environment["PYTHONPATH"] = os.pathsep.join(part for part in (root, environment.get("PYTHONPATH", "")) if part)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command, pass_fds=(theirs.fileno(),), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT, start_new_session=True, env=environment, cwd=file.parent, limit=_LINE,
            )  # fmt: skip
        except OSError as error:
            ours.close()
            self.why_broken = f"it cannot be started: {error.strerror}"
            return False
        finally:
            theirs.close()
        reader, self._writer = await asyncio.open_unix_connection(sock=ours)
        self._tasks = [asyncio.ensure_future(work) for work in (self._read(reader), self._print(), self._ended())]
        self.send({"k": "hello", "version": 1, "app": self.name, "config": config, **self.about})
        try:
            await asyncio.wait_for(self._settled, SETUP_S)
        except TimeoutError:  # a server that starts would wait for it with all other applications
            self._where_it_stands()
            self.why_broken = (
                f"it was not ready within {SETUP_S:.0f} s: its import and its @app.setup may take no longer (see the log)"
            )
        return self.ready

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while data := await _some(reader):
            if not await self._feed(data):
                return

    async def _print(self) -> None:
        """What it prints goes into the log, a line each, as many as somebody may read."""
        assert self._process is not None and self._process.stdout is not None
        loop, second_s, count = asyncio.get_running_loop(), 0.0, 0
        while True:
            try:
                line = await self._process.stdout.readline()
            except ValueError:
                continue  # a line longer than what is kept: its rest follows
            if not line:
                return
            if loop.time() - second_s >= 1:
                if count > _MOST_LINES:
                    log.warning("%s: %d more lines were printed within a second", self.name, count - _MOST_LINES)
                second_s, count = loop.time(), 0
            count += 1
            if count <= _MOST_LINES:
                log.info("%s: %s", self.name, line.decode("utf-8", "replace").rstrip()[:2000])
            elif count % _MOST_LINES == 0:
                await asyncio.sleep(0.01)

    async def _ended(self) -> None:
        assert self._process is not None
        status = await self._process.wait()
        why = f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        self.why_broken = self.why_broken or why
        if self._writer is not None:
            self._writer.close()
        self._end("" if self._ending else why)

    # --------------------------------------------------------------------------------------------------------------- talk
    def _introduced(self, message: Message) -> None:
        self.introduction = message

    def _write(self, data: bytes) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(data)

    def _unread_bytes(self) -> int:
        return self._writer.transport.get_write_buffer_size() if self._writer is not None else 0

    def _where_it_stands(self) -> str:
        self._signal(signal.SIGUSR1)
        return "; where it stands follows"

    def kill(self, why: str) -> None:
        if not self._killed:
            self._killed = True
            log.error("%s: %s: it is killed", self, why)
        self._signal(signal.SIGKILL)

    async def stop(self) -> None:
        """It hears the end of the connection, has a moment, and is killed."""
        self._ending = True
        if self._writer is not None:
            self._writer.close()
        if self._process is not None and self._process.returncode is None:
            try:
                await asyncio.wait_for(self._process.wait(), _GRACE_S)
            except TimeoutError:
                self._signal(signal.SIGKILL)
                await self._process.wait()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_GRACE_S)
        for task in self._tasks:
            task.cancel()

    def _signal(self, number: signal.Signals) -> None:
        if self.pid:
            os.kill(self.pid, number)
