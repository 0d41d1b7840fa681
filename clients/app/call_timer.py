# SPDX-License-Identifier: GPL-2.0-or-later
"""Timers of a program's call: they run in the program and end with the call."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

from clients.app.known_call import KnownCall
from clients.app.results import Event


class CallTimer:
    """A timer of a call: an event `timer` with its name, and whoever awaits it goes on."""

    def __init__(self, call: KnownCall, seconds: float, name: str) -> None:
        self._call, self.name = call, name
        self._over: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._handle = asyncio.get_running_loop().call_later(max(0.0, seconds), self._due)

    def _due(self) -> None:
        if not self._over.done():
            self._over.set_result(True)
            if self._call.over is None:
                self._call.happened(Event("timer", {"name": self.name}))

    def stop(self) -> None:
        """It will not run out; who awaits it gets False."""
        self._handle.cancel()
        if not self._over.done():
            self._over.set_result(False)

    def __await__(self) -> Generator[object, None, bool]:
        return self._wait().__await__()

    async def _wait(self) -> bool:
        await asyncio.wait((self._over, self._call.end_of_call), return_when=asyncio.FIRST_COMPLETED)
        if self._call.over is not None:
            raise self._call.over
        return self._over.result()
