# SPDX-License-Identifier: GPL-2.0-or-later
"""The processes of one application, by generation: new calls go to the newest that is ready, old ones end with their calls.

generation 1 ═══ calls ═══════════► drains ─► ended        reload: generation 2 is started beside it; it takes over when all its
generation 2        started ─ ready ═══ new calls ═══►     processes are ready, and never when one is not
remote programs     come ═══ new calls ═══► go             they share the new calls, or take all of them (`exclusive`)
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from di.kernel.errors import Refused
from interfaces.apps.files import Reach
from interfaces.apps.options import Options
from interfaces.apps.peer import AppPeer, Message
from interfaces.apps.process import AppProcess

log = logging.getLogger(__name__)
_BUSY = Refused(503, "Service Unavailable", ("Retry-After: 5",))
_LONGEST_PAUSE_S = 30.0
_STOPPED = "the server is being stopped"


@dataclass(frozen=True)
class AppFile:
    """An application: its name, file and configuration. Without a file it has remote programs only."""

    name: str
    file: Path | None
    config: dict[str, str]
    reach: Reach
    about: Message = field(default_factory=dict)
    """Of the server: where its SIP is, its log level."""


class Fleet:
    """`take` gets the messages of its processes, `lost` each process that has ended, its calls and why."""

    def __init__(
        self,
        app: AppFile,
        options: Options,
        take: Callable[[AppPeer, Message], None],
        lost: Callable[[AppPeer, set[str], str], None],
    ) -> None:
        self.app = app
        self.generation = 0
        """The newest, which may not be ready yet, or may never be."""
        self._in_service = 0
        self._turn = asyncio.Lock()
        """One generation is started after the other: of two at once, the older one could take over from the newer."""
        self._starting: set[AppProcess] = set()
        self._options = options
        self._take, self._lost = take, lost
        self._current: list[AppProcess] = []
        self._draining: dict[AppProcess, float] = {}
        """Old ones, and since when."""
        self._remote: list[AppPeer] = []
        self._failures = 0
        self._restarts: set[asyncio.Task[None]] = set()
        self._stopped = False

    @property
    def has_processes(self) -> bool:
        """Whether some of its own are in service, or will be again."""
        return self._in_service > 0 and bool(self._current or self._restarts)

    def __iter__(self) -> Iterator[AppPeer]:
        yield from (*self._current, *self._draining, *self._remote)

    def _new(self, generation: int, number: int) -> AppProcess:
        """A process, not yet started."""
        process = AppProcess(self.app.name, generation, number, self._take, self.gone)
        process.about = dict(self.app.about)
        return process

    async def _begin(self, one: AppProcess, file: Path) -> None:
        self._starting.add(one)
        try:
            await one.start(file, self.app.config, self._options.limits)
        finally:
            self._starting.discard(one)

    # --------------------------------------------------------------------------------------------------------- generations
    async def start(self) -> str:
        """Start a generation; it takes over when it is ready. The answer is empty then, else why it is not: the old one goes on."""
        async with self._turn:
            file = self.app.file
            if file is None:
                return "it has no file here: its programs run elsewhere, and are started there"
            if self._stopped:
                return _STOPPED
            self.generation += 1
            new = [self._new(self.generation, number) for number in range(1, self._options.workers + 1)]
            taken = False
            try:
                await asyncio.gather(*(self._begin(one, file) for one in new))
                why = self._why_not(new)
                if not why:
                    self._take_over(new)
                    taken = True
            finally:
                if not taken:
                    await asyncio.gather(*(one.stop() for one in new))
            return why

    def _why_not(self, new: list[AppProcess]) -> str:
        """Why a generation cannot take over; empty when it can. One that was ready may have died while the others were not yet."""
        if self._stopped:
            return _STOPPED
        for one in new:
            if not one.ready:
                log.error("application %s: generation %d is not taken: %s", self.app.name, one.generation, one.why_broken)
                return one.why_broken
        return ""

    def _take_over(self, new: list[AppProcess]) -> None:
        self._in_service = self.generation
        old, self._current = self._current, new
        for one in old:
            self._draining[one] = time.monotonic()
        self._take(new[0], new[0].introduction)
        log.info("application %s: generation %d is in service, %d processes", self.app.name, self._in_service, len(new))

    def join(self, program: AppPeer) -> None:
        """Let a remote program stand beside the processes; it gets calls once it is ready."""
        self._remote.append(program)

    def choose(self) -> AppPeer:
        """Who takes a new call: the one with the fewest, or the newest that wants all. Raises Refused when all are full, silent or gone."""
        everybody = (*self._current, *self._remote)
        wants_all = [one for one in self._remote if one.exclusive and one.ready and not one.leaving]
        able = [one for one in (wants_all[-1:] or everybody) if one.able(self._options.max_calls)]
        if not able:
            raise _BUSY
        return min(able, key=lambda one: len(one.calls))

    def look(self) -> None:
        """Called each second: is everybody there, has somebody drained."""
        for one in list(self):
            one.look(self._options.silent_after, self._options.kill_after)
        now_s = time.monotonic()
        for old, since_s in list(self._draining.items()):
            if not old.calls or now_s - since_s > self._options.drain:
                del self._draining[old]
                self._keep(self._end(old))
        for program in self._remote:
            if program.leaving and not program.calls:
                self._keep(program.stop())

    async def _end(self, one: AppProcess) -> None:
        if one.calls:
            log.warning("%s: %d calls have not ended in time and lose their program", one, len(one.calls))
        await one.stop()

    def gone(self, process: AppPeer, why: str) -> None:
        """It has ended; a process that was in service is started again, after a pause that grows while it keeps dying."""
        calls, process.calls = process.calls, set()
        legs, process.legs = process.legs, set()
        if why:
            log.error("%s %s; %d calls had their program there", process, why, len(calls))
        self._lost(process, calls | legs, why or "was ended")
        if process in self._remote:
            self._remote.remove(process)
        if not isinstance(process, AppProcess):
            return
        self._draining.pop(process, None)
        if process in self._current:
            self._current.remove(process)
            if not self._stopped:
                self._keep(self._again(process.generation, process.number))

    async def _again(self, generation: int, number: int) -> None:
        """Start a process of that generation in a dead one's place, as long as that is in service: the next one comes with all of its own."""
        self._failures += 1
        await asyncio.sleep(min(_LONGEST_PAUSE_S, 0.2 * 2.0 ** min(self._failures, 10)))
        file = self.app.file
        if file is None or not self._serves(generation):
            return
        one = self._new(generation, number)
        await self._begin(one, file)
        if one.ready and self._serves(generation):
            self._current.append(one)
            self._take(one, one.introduction)
            self._failures = max(0, self._failures - 1)
            return
        await one.stop()
        if self._serves(generation):
            log.error("application %s: it cannot be started again: %s", self.app.name, one.why_broken)
            self._keep(self._again(generation, number))

    def _serves(self, generation: int) -> bool:
        return generation == self._in_service and not self._stopped

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._restarts.add(task)
        task.add_done_callback(self._restarts.discard)

    async def stop(self) -> None:
        """End all processes."""
        self._stopped = True
        for task in self._restarts:
            task.cancel()
        await asyncio.gather(*(one.stop() for one in (*self, *self._starting)))
