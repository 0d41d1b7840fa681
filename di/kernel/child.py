# SPDX-License-Identifier: GPL-2.0-or-later
"""One child process of the hub: started with an inherited socket, known by its Hello, watched, started again when it dies.

    start() → spawn `python -m <module> --fd N` → Hello both ways → on_up(link) … records …
    it dies → on_lost(why) → wait (longer each time it dies early) → spawn again
    it does not answer for 2 s → on_silent(why) → it answers → on_silent("") · or, after `replace_s`, it is killed → on_lost …
    stop(last) → the last command → wait → SIGTERM → SIGKILL

It sits in a session of its own so that Ctrl-C reaches only the hub, and it leaves by itself when its end of the socket closes;
`setpriv --pdeathsig`, where there is one, covers a child that hangs.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

from di.kernel import logs
from di.kernel.errors import ConfigError
from di.kernel.watchdog import ASK_S, Liveness, Watchdog
from media.control.link import RecordLink
from media.control.turn import Turn
from media.control.wire import VERSION, Hello, LogLevel, Ping

log = logging.getLogger(__name__)

_HELLO_TIMEOUT_S = 180.0
"""A media process without compiled kernels (a fresh checkout without `make setup`, a cache that cannot be written) compiles them first."""
_HELLO_NOTICE_S = 10.0
_UNFINISHED_S = 0.5
"""A process that is not in service yet has nothing to end in order."""
_EARLY_S = 10.0
_MAX_PAUSE_S = 5.0


C = TypeVar("C")
E = TypeVar("E")


class StartFailed(Exception):
    """A child process could not be brought up; the text says which and why."""


@dataclass(frozen=True)
class ChildKind(Generic[E]):
    """What to start: `role` as in its Hello, the module, its arguments, the records it sends, further descriptors that it inherits."""

    role: str
    module: str
    arguments: tuple[str, ...]
    events: Sequence[type[E]]
    descriptors: tuple[int, ...] = ()


class Child(Generic[C, E]):
    """Keeps one process running that takes commands `C` and sends events `E`."""

    def __init__(
        self,
        kind: ChildKind[E],
        on_record: Callable[[E], None],
        on_up: Callable[[RecordLink[C, E]], Awaitable[None]],
        on_lost: Callable[[str], None],
        on_silent: Callable[[str], None] = lambda why: None,
        replace_s: float = 0.0,
        turn: Turn | None = None,
    ) -> None:
        """`on_up` brings a fresh process into service (and may raise StartFailed); `on_lost` gets the cause of its death.

        `on_silent` gets what is wrong with a process that does not answer, and an empty text when it does again or is lost. One that has
        not answered for `replace_s` is replaced; 0: never. `turn`: as in `RecordLink`.
        """
        self.kind = kind
        self.restarts = 0
        self._up_since_s: float | None = None
        self._on_record, self._on_up, self._on_lost = on_record, on_up, on_lost
        self._on_silent, self._replace_s, self._turn = on_silent, replace_s, turn
        self._guard: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._link: RecordLink[C, E] | None = None
        self._hello: asyncio.Future[Hello] | None = None
        self._lost = asyncio.Event()
        self._stopping = False
        self._watcher: asyncio.Task[None] | None = None
        self._pause_s = 0.0

    @property
    def pid(self) -> int:
        """Process id, 0 while it is down."""
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

    @property
    def uptime_s(self) -> float:
        """How long the process has been in service, 0 while it is not."""
        if self._up_since_s is None or not self.pid:
            return 0.0
        return asyncio.get_running_loop().time() - self._up_since_s

    async def spawn(self) -> None:
        """Start the process without waiting for it. Raises StartFailed."""
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise StartFailed(self._cannot_start(error)) from error
        try:
            self._lost = asyncio.Event()
            self._hello = asyncio.get_running_loop().create_future()
            self._process = await asyncio.create_subprocess_exec(
                *_command(self.kind, theirs.fileno()),
                pass_fds=(theirs.fileno(), *self.kind.descriptors),
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                env=_environment(),
            )
        except OSError as error:
            ours.close()
            raise StartFailed(self._cannot_start(error)) from error
        finally:
            theirs.close()
        try:
            self._link = await RecordLink.open(ours, self.kind.events, self._record, self._lost.set, self._turn)
        except OSError as error:
            ours.close()
            raise StartFailed(self._cannot_start(error)) from error
        self._link.send(Hello(VERSION, "hub", os.getpid()))

    def _cannot_start(self, error: OSError) -> str:
        hint = "; raise the limit of open files (LimitNOFILE, ulimit -n)" if error.errno in (errno.EMFILE, errno.ENFILE) else ""
        return f"the {self.kind.role} process cannot be started: {error.strerror}{hint}"

    async def ready(self) -> None:
        """Wait until the process of `spawn` is in service, then keep it running. Raises StartFailed."""
        await self._greet()
        self._watcher = asyncio.create_task(self._watch(), name=f"watch {self.kind.role}")
        self._guard = asyncio.create_task(self._ask(), name=f"ask {self.kind.role}")

    async def _greet(self) -> None:
        assert self._hello is not None and self._link is not None
        lost = asyncio.ensure_future(self._lost.wait())
        either: set[asyncio.Future[Hello] | asyncio.Future[Literal[True]]] = {self._hello, lost}
        try:
            for _ in range(int(_HELLO_TIMEOUT_S / _HELLO_NOTICE_S)):
                done, _pending = await asyncio.wait(either, timeout=_HELLO_NOTICE_S, return_when=asyncio.FIRST_COMPLETED)
                if done:
                    break
                log.warning(
                    "still waiting for the %s process; `make setup` does beforehand what it may be doing now", self.kind.role
                )
            if not self._hello.done():
                raise StartFailed(f"the {self.kind.role} process did not come up: {await self._cause()}")
            hello = self._hello.result()
            if hello.version != VERSION:
                raise StartFailed(
                    f"the {self.kind.role} process speaks version {hello.version}, the hub {VERSION}: run make setup"
                )
            await self._on_up(self._link)
            self._up_since_s = asyncio.get_running_loop().time()
        finally:
            lost.cancel()

    def _record(self, record: E | Hello) -> None:
        if isinstance(record, Hello):
            if self._hello is not None and not self._hello.done():
                self._hello.set_result(record)
            return
        self._on_record(record)

    async def _watch(self) -> None:
        """Notice the end of the process, tell, start it again."""
        loop = asyncio.get_running_loop()
        while not self._stopping:
            began = loop.time()
            await self._lost.wait()
            if self._stopping:
                return
            pid, cause = self.pid, await self._cause()
            log.error("the %s process is lost (%s): its calls end, it is started again", self.kind.role, cause or f"pid {pid}")
            self._up_since_s = None
            self._on_silent("")
            self._on_lost(f"{self.kind.role} process lost")
            self._pause_s = 0.0 if loop.time() - began > _EARLY_S else min(max(self._pause_s * 2, 0.1), _MAX_PAUSE_S)
            await self._again()

    async def _again(self) -> None:
        while not self._stopping:
            await asyncio.sleep(self._pause_s)
            try:
                await self.spawn()
                await self._greet()
            except Exception as error:
                if not isinstance(error, (StartFailed, ConfigError)):
                    log.exception("the %s process could not be started", self.kind.role)
                log.error("%s; next try in %.1f s", error, min(max(self._pause_s * 2, 0.1), _MAX_PAUSE_S))
                await self._cause()
                self._pause_s = min(max(self._pause_s * 2, 0.1), _MAX_PAUSE_S)
                continue
            self.restarts += 1
            log.warning("the %s process is up again, pid %d", self.kind.role, self.pid)
            return

    async def _ask(self) -> None:
        """Notice a process that does not answer, say so, replace it after a while; tell it the log level when that has changed."""
        loop = asyncio.get_running_loop()
        link: RecordLink[C, E] | None = None
        number, watchdog, level = 0, Watchdog(0.0, 0.0), ""
        while not self._stopping:
            if self._up_since_s is None or self._link is None:
                link = None
            elif self._link is not link:
                link, number, watchdog, level = self._link, 0, Watchdog(self._replace_s, loop.time()), ""
            else:
                self._judge(watchdog, watchdog.turn(link.answered >= number, loop.time()))
            if link is not None:
                number = link.answered + 1
                link.send(Ping(number))
                if level != logs.child_level():
                    level = logs.child_level()
                    link.send(LogLevel(level))
            await asyncio.sleep(ASK_S)

    def _judge(self, watchdog: Watchdog, verdict: Liveness) -> None:
        role, pid = self.kind.role, self.pid
        silent_s = watchdog.silent_s(asyncio.get_running_loop().time())
        if verdict is Liveness.SILENT:
            log.error("the %s process (pid %d) has not answered for %.0f s: new calls are refused with 503", role, pid, silent_s)
            self._on_silent(f"the {role} process does not answer")
        elif verdict is Liveness.ANSWERS:
            log.warning("the %s process (pid %d) answers again", role, pid)
            self._on_silent("")
        elif verdict is Liveness.REPLACE and self._process is not None and pid:
            log.error("the %s process (pid %d) has not answered for %.0f s: it is replaced", role, pid, silent_s)
            _signal(self._process.kill)

    async def _cause(self) -> str:
        """Make sure that the process is gone and say how it went."""
        process = self._process
        if process is None:
            return "never started"
        if self._link is not None:
            self._link.close()
        code = await _wait(process, 1.0)
        if code is None:
            _signal(process.kill)
            await process.wait()
            return f"pid {process.pid} did not answer and was killed"
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        return f"pid {process.pid}, {how}"

    async def stop(self, last: C, grace_s: float) -> None:
        """End the process for good: send a last command, wait, then insist."""
        self._stopping = True
        for task in (self._watcher, self._guard):
            if task is not None:
                task.cancel()
        process, link = self._process, self._link
        if process is None or link is None:
            return
        link.send(last)
        if await _wait(process, grace_s if self._up_since_s is not None else _UNFINISHED_S) is None:
            log.warning("the %s process (pid %d) does not leave: SIGTERM", self.kind.role, process.pid)
            _signal(process.terminate)
            if await _wait(process, 1.0) is None:
                _signal(process.kill)
                await process.wait()
        link.close()

    def kill(self) -> None:
        """End the process at once (forced stop)."""
        self._stopping = True
        if self._process is not None and self._process.returncode is None:
            _signal(self._process.kill)


async def _wait(process: asyncio.subprocess.Process, seconds: float) -> int | None:
    try:
        return await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        return None


def _signal(send: Callable[[], None]) -> None:
    """`kill` or `terminate` of a process; one that has left meanwhile needs neither, which asyncio says by an error without words."""
    with contextlib.suppress(ProcessLookupError):
        send()


def _command(kind: ChildKind[E], fd: int) -> list[str]:
    command = [sys.executable, "-m", kind.module, "--fd", str(fd), *logs.child_arguments(), *kind.arguments]
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", *command] if setpriv else command


def _environment() -> dict[str, str]:
    """The child finds the packages where the hub found them, wherever it is started."""
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *(p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p and p != root)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
