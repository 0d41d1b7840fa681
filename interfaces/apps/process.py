# SPDX-License-Identifier: GPL-2.0-or-later
"""One process of an application: started, asked each second whether it is there, and ended.

spawn ─► hello ─► ready, or broken ─► calls …     no pong for silent_after ─► its stacks go to the log, no new calls
                                                  no pong for kill_after ─► SIGKILL       it ends ─► on_gone(why), once
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import msgpack

log = logging.getLogger(__name__)
Message: TypeAlias = "dict[str, object]"
_LONGEST = 16 << 20
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
"""Of the server's environment; the rest may hold passwords."""
_LINE = 1 << 16
_GRACE_S = 3.0


async def _some(reader: asyncio.StreamReader) -> bytes:
    """What has come; nothing when the connection has ended, in whichever way."""
    try:
        return await reader.read(1 << 16)
    except OSError:
        return b""


class AppProcess:
    """`name`, `generation`, `number` name it in the log; `take` gets its messages, `on_gone` why it ended."""

    def __init__(
        self,
        name: str,
        generation: int,
        number: int,
        take: Callable[[AppProcess, Message], None],
        on_gone: Callable[[AppProcess, str], None],
    ) -> None:
        self.name, self.generation, self.number = name, generation, number
        self.calls: set[str] = set()
        self.ready = False
        self.silent = False
        self.why_broken = ""
        self._take, self._on_gone = take, on_gone
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[None]] = []
        self._unanswered = 0
        """Questions since its last answer."""
        self._ending = False

    def __str__(self) -> str:
        return f"application {self.name} (generation {self.generation}, process {self.number}, pid {self.pid})"

    @property
    def pid(self) -> int:
        """Process id; 0 when it is not there."""
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

    # -------------------------------------------------------------------------------------------------------------- life
    async def start(self, file: Path, config: dict[str, str], memory_mb: int) -> bool:
        """Start it and wait until it is ready; False when its file cannot be imported or it dies, with the cause in `why_broken`."""
        ours, theirs = socket.socketpair()
        command = [
            sys.executable,
            "-m",
            "clients.app.worker",
            "--fd",
            str(theirs.fileno()),
            "--memory-mb",
            str(memory_mb),
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
        self.send({"k": "hello", "version": 1, "app": self.name, "config": config})
        await self._settled
        return self.ready

    async def _read(self, reader: asyncio.StreamReader) -> None:
        unpacker = msgpack.Unpacker(raw=False, strict_map_key=True, max_buffer_size=_LONGEST, unicode_errors="surrogateescape")
        while data := await _some(reader):
            try:
                unpacker.feed(data)
                for message in unpacker:
                    self._got(message)
            except (ValueError, msgpack.UnpackException, msgpack.BufferFull) as error:
                log.error("%s sends what is no message (%s): it is killed", self, error)
                self.kill()
                return

    def _got(self, message: object) -> None:
        if not isinstance(message, dict) or not isinstance(message.get("k"), str):
            raise ValueError("no message")
        kind = message["k"]
        if kind == "pong":
            self._unanswered = 0
            if self.silent:
                self.silent = False
                log.warning("%s answers again", self)
        elif kind in ("ready", "broken"):
            self.ready = kind == "ready"
            self.why_broken = str(message.get("why", ""))
            self._take(self, message)
            if not self._settled.done():
                self._settled.set_result(None)
        else:
            self._take(self, message)

    async def _print(self) -> None:
        """What it prints goes into the log, a line each."""
        assert self._process is not None and self._process.stdout is not None
        while True:
            try:
                line = await self._process.stdout.readline()
            except ValueError:
                continue  # a line longer than what is kept: its rest follows
            if not line:
                return
            log.info("%s: %s", self.name, line.decode("utf-8", "replace").rstrip()[:2000])

    async def _ended(self) -> None:
        assert self._process is not None
        status = await self._process.wait()
        self.ready = False
        why = f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        self.why_broken = self.why_broken or why
        if not self._settled.done():
            self._settled.set_result(None)
        if self._writer is not None:
            self._writer.close()
        self._on_gone(self, "" if self._ending else why)

    # --------------------------------------------------------------------------------------------------------------- talk
    def send(self, message: Message) -> None:
        """Queue a message; without effect when it has ended. One that reads nothing any more is killed before it fills the memory."""
        writer = self._writer
        if writer is None or writer.is_closing():
            return
        writer.write(msgpack.packb(message, use_bin_type=True, unicode_errors="surrogateescape"))
        if writer.transport.get_write_buffer_size() > _LONGEST:
            log.error("%s reads nothing any more: it is killed", self)
            self.kill()

    def look(self, silent_after: int, kill_after: int) -> None:
        """Ask whether it is there; called each second. What counts is how often it has not answered: a hub that stood still proves nothing."""
        if not self.pid or not self.ready:
            return
        if self._unanswered > kill_after:
            log.error("%s has not answered for %d s: it is killed", self, self._unanswered)
            self.kill()
            return
        if self._unanswered > silent_after and not self.silent:
            self.silent = True
            log.error("%s has not answered for %d s: new calls go elsewhere; where it stands follows", self, self._unanswered)
            self._signal(signal.SIGUSR1)
        self._unanswered += 1
        self.send({"k": "ping", "n": 0})

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    async def stop(self) -> None:
        """End it: it hears the end of the connection, has a moment, and is killed."""
        self._ending = True
        if self._writer is not None:
            self._writer.close()
        if self._process is not None and self._process.returncode is None:
            try:
                await asyncio.wait_for(self._process.wait(), _GRACE_S)
            except TimeoutError:
                self.kill()
                await self._process.wait()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_GRACE_S)
        for task in self._tasks:
            task.cancel()

    def _signal(self, number: signal.Signals) -> None:
        if self.pid:
            os.kill(self.pid, number)
