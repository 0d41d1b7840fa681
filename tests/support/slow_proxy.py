# SPDX-License-Identifier: GPL-2.0-or-later
"""A TCP proxy that holds back what a server says, until the test lets it go: latency without a clock."""

from __future__ import annotations

import asyncio
import contextlib


class SlowProxy:
    """async with SlowProxy(port) as proxy: connect to proxy.port; proxy.hold(); …; proxy.release()"""

    def __init__(self, target_port: int, delay_s: float = 0.0) -> None:
        self._target_port, self._delay_s = target_port, delay_s
        self._open = asyncio.Event()
        self._open.set()
        self.held = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def hold(self) -> None:
        """Keep the server's words; `held` is set as soon as there are some."""
        self.held.clear()
        self._open.clear()

    def release(self) -> None:
        """Let them through."""
        self._open.set()

    async def __aenter__(self) -> SlowProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.release()
        for writer in self._writers:
            writer.close()
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target_port)
            self._writers |= {writer, back}
            await asyncio.gather(self._pass(reader, back, False), self._pass(there, writer, True))
        except (OSError, asyncio.CancelledError):
            writer.close()
        finally:
            self._tasks.discard(task)

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, slow: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if slow:
                    if not self._open.is_set():
                        self.held.set()
                    await self._open.wait()
                    await asyncio.sleep(self._delay_s)
                target.write(data)
                await target.drain()
        target.close()
