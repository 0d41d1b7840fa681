# SPDX-License-Identifier: GPL-2.0-or-later
"""A connection of which somebody sees what passes: the arrows of `cordboard app run`, the record of a test."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from clients.app.arrows import Arrows
from clients.app.link import Connection, Message


class SeenLink:
    """`told` sees what the server says, before the program; `said` what the program says."""

    def __init__(self, link: Connection, told: Callable[[Message], None], said: Callable[[Message], None]) -> None:
        self._link, self._told, self._said = link, told, said

    async def receive(self) -> Message | None:
        """As `Connection.receive`."""
        message = await self._link.receive()
        if message is not None:
            self._told(message)
        return message

    def send(self, message: Message) -> None:
        """As `Connection.send`."""
        self._said(message)
        self._link.send(message)

    def close(self) -> None:
        """As `Connection.close`."""
        self._link.close()


class Shown:
    """Prints what passes, and tells whoever started the process whether the program can take calls."""

    def __init__(self, arrows: bool, ready_fd: int) -> None:
        self._arrows = Arrows() if arrows else None
        self._ready_fd = ready_fd
        self._is_said = False
        """That we are ready, and no answer has come yet."""

    def around(self, link: Connection) -> Connection:
        """A connection that is shown."""
        return SeenLink(link, self._told, self._said)

    def _told(self, message: Message) -> None:
        if self._is_said and message["k"] == "ping":
            self._tell(True)  # the server has taken it: it asks whether we are there
        if self._arrows is not None:
            self._print(self._arrows.told(message, time.monotonic()), str(message.get("call", "")))
            if message["k"] == "ended":
                self._arrows.forget(str(message.get("call", "")))

    def _said(self, message: Message) -> None:
        self._is_said = self._is_said or message["k"] == "ready"
        if message["k"] == "broken":
            self._tell(False)
        if self._arrows is not None:
            self._print(self._arrows.said(message, time.monotonic()), str(message.get("call", "")))

    def _tell(self, ready: bool) -> None:
        self._is_said = False
        if self._arrows is not None and ready:
            print("attached: it takes all new calls", flush=True)
        if self._ready_fd >= 0:
            os.write(self._ready_fd, b"1" if ready else b"0")
            os.close(self._ready_fd)
            self._ready_fd = -1

    @staticmethod
    def _print(line: str, call: str) -> None:
        if line:
            print(f"{call[-8:]:8} {line}", flush=True)
