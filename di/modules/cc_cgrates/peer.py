# SPDX-License-Identifier: GPL-2.0-or-later
"""The connection to CGRateS: kept up, both sides' calls on it. A shell around `di.modules.cc_cgrates.wire`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from random import Random

from di.calls.control_modules import ControlUnreachable
from di.kernel.errors import Refused
from di.modules.cc_cgrates.events import read_error
from di.modules.cc_cgrates.wire import Json, PeerAnswered, PeerAsked, Splitter, WireError, answer, read, request

log = logging.getLogger(__name__)
_CONNECT_S = 3.0
_PING_S = 20.0
_PING_PATIENCE_S = 5.0
_LONGEST_PAUSE_S = 10.0
_MOST_UNSENT_BYTES = 1 << 20


class CgratesPeer:
    """`serve` answers what CGRateS asks: result and error."""

    def __init__(
        self, servers: tuple[tuple[str, int], ...], serve: Callable[[PeerAsked], tuple[Json, str]], random: Random
    ) -> None:
        self._servers = servers
        self._serve = serve
        self._random = random
        self._up = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self._last_id = 0
        self._task: asyncio.Task[None] | None = None
        self.problem = "not connected yet"
        """Why there is no connection; empty while there is one."""

    def start(self) -> None:
        """Begin to connect."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="cgrates")

    async def call(self, method: str, argument: Json) -> Json:
        """Call a method. Waits for a connection and the answer without end: give it a time limit. Raises Refused, ControlUnreachable."""
        try:
            await self._up.wait()
        except asyncio.CancelledError:
            log.debug("cgrates: %s was not sent: %s", method, self.problem)
            raise
        writer = self._writer
        if writer is None or writer.transport.get_write_buffer_size() > _MOST_UNSENT_BYTES:
            raise ControlUnreachable(self.problem or "CGRateS does not read what is sent")
        self._last_id += 1
        id = self._last_id
        done: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[id] = done
        writer.write(request(id, method, argument))
        try:
            return await done
        finally:
            self._waiting.pop(id, None)

    # --------------------------------------------------------------------------------------------------------- the connection
    async def _run(self) -> None:
        failures = 0
        while True:
            for host, port in self._servers:
                where = f"{host}:{port}"
                if await self._connected(host, port, where):
                    failures = 0
                    break
            pause_s = min(_LONGEST_PAUSE_S, 0.25 * 2.0**failures)
            failures = min(failures + 1, 10)
            await asyncio.sleep(self._random.uniform(0.5, 1.0) * pause_s)

    async def _connected(self, host: str, port: int, where: str) -> bool:
        """Be connected for as long as it lasts. False: it was not possible."""
        try:
            async with asyncio.timeout(_CONNECT_S):
                reader, self._writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError) as error:
            self._lost(f"{where}: {str(error) or 'no connection in time'}")
            return False
        log.info("cgrates: connected to %s", where)
        self.problem = ""
        self._up.set()
        pinging = asyncio.ensure_future(self._ping(self._writer))
        why = "the connection was closed"
        try:
            await self._read(reader)
        except (OSError, WireError) as error:
            why = str(error)
        finally:
            pinging.cancel()
            self._up.clear()
            writer, self._writer = self._writer, None
            writer.transport.abort()
            self._lost(f"{where}: {why}")
        return True

    def _lost(self, why: str) -> None:
        if not self.problem:
            log.error("cgrates: %s; it is tried again", why)
        self.problem = why
        for done in self._waiting.values():
            if not done.done():
                done.set_exception(ControlUnreachable(why))
        self._waiting.clear()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        splitter = Splitter()
        while data := await reader.read(1 << 16):
            for text in splitter.feed(data):
                self._handle(read(text))

    def _handle(self, message: PeerAsked | PeerAnswered) -> None:
        if isinstance(message, PeerAsked):
            result, error = self._serve(message)
            log.debug("cgrates: %s: %s", message.method, error or "done")
            if self._writer is not None:
                self._writer.write(answer(message.id, result, error))
            return
        done = self._waiting.get(message.id)
        if done is None or done.done():
            return  # nobody waits any more
        if message.error:
            done.set_exception(read_error(message.error))
        else:
            done.set_result(message.result)

    async def _ping(self, writer: asyncio.StreamWriter) -> None:
        """A connection over which nothing comes back is none."""
        while True:
            await asyncio.sleep(_PING_S)
            try:
                async with asyncio.timeout(_PING_PATIENCE_S):
                    await self.call("SessionSv1.Ping", {})
            except TimeoutError:
                log.error("cgrates: no answer to a ping: the connection is given up")
                writer.transport.abort()
                return
            except (ControlUnreachable, Refused):
                continue  # an error is an answer

    async def close(self) -> None:
        """Give the connection back."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
