# SPDX-License-Identifier: GPL-2.0-or-later
"""The process as a program sees it."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from clients.app.results import CallFailed

if TYPE_CHECKING:
    from clients.app.link import Connection, Message


class Worker:
    """The process that runs an application. `config`: its configuration file; `state` is the program's own."""

    def __init__(self, link: Connection, name: str, config: dict[str, str]) -> None:
        self.name = name
        self.config = config
        self.state: dict[str, object] = {}
        self._link = link
        self._questions = itertools.count(1)
        self._asked: dict[int, asyncio.Future[object]] = {}

    def send(self, message: Message) -> None:
        """Send a message to the server."""
        self._link.send(message)

    async def di(self, module: str, function: str, *arguments: object) -> object:
        """Call a DI function of another module. Raises CallFailed with the server's words."""
        number = next(self._questions)
        done = self._asked[number] = asyncio.get_running_loop().create_future()
        self.send({"k": "di", "n": number, "module": module, "function": function, "args": list(arguments)})
        return await done

    def answered(self, message: Message) -> None:
        """The answer to `di`."""
        number = message.get("n")
        done = self._asked.pop(number, None) if isinstance(number, int) else None
        if done is None or done.done():
            return
        if "error" in message:
            done.set_exception(CallFailed(500, str(message["error"])))
        else:
            done.set_result(message.get("result"))
