# SPDX-License-Identifier: GPL-2.0-or-later
"""An application: which function takes a call, what is set up first, which functions others may call."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from clients.app.call import Call
from clients.app.results import CallFailed

if TYPE_CHECKING:
    from clients.app.dialog import Dialog
    from clients.app.link import Link, Message

Handler = Callable[[Call], Awaitable[None]]
F = TypeVar("F", bound=Callable[..., object])
H = TypeVar("H", bound=Handler)


class App:
    """The one object that a file of an application has at its top level.

    `@app.call` takes the calls, `@app.setup` runs before the first, `@app.di_method` publishes a function under the application's name.
    """

    def __init__(self) -> None:
        self.handler: Handler | None = None
        self.dialog: type[Dialog] | None = None
        self.setups: list[Callable[[Worker], Awaitable[None]]] = []
        self.functions: dict[str, Callable[..., object]] = {}

    def call(self, handler: H) -> H:
        """Let a coroutine function take every call. Returning ends the call, and so does an exception, with 500 before the answer."""
        self.handler = handler
        return handler

    def setup(self, function: Callable[[Worker], Awaitable[None]]) -> Callable[[Worker], Awaitable[None]]:
        """Run it once a process, before the first call. If it raises, this process takes none."""
        self.setups.append(function)
        return function

    def di_method(self, function: F) -> F:
        """Publish a function, by its own name: plain values in, plain values out, plain or `async`."""
        self.functions[function.__name__] = function
        return function

    def register(self, dialog: type[Dialog]) -> None:
        """Let objects of a class in the manner of 2009 take the calls."""
        self.dialog = dialog


class Worker:
    """The process that runs an application. `config`: its configuration file; `state` is the program's own."""

    def __init__(self, link: Link, name: str, config: dict[str, str]) -> None:
        self.name = name
        self.config = config
        self.state: dict[str, object] = {}
        self.calls: dict[str, Call] = {}
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


async def outcome(function: Callable[..., object], *arguments: object) -> object:
    """Call a function, plain or `async`."""
    result = function(*arguments)
    return await result if inspect.isawaitable(result) else result
