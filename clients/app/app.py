# SPDX-License-Identifier: GPL-2.0-or-later
"""An application: which function takes a call, what is set up first, which functions others may call."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from clients.app.call import Call
from clients.app.home import Worker

if TYPE_CHECKING:
    from clients.app.dialog import Dialog

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


async def outcome(function: Callable[..., object], *arguments: object) -> object:
    """Call a function, plain or `async`."""
    result = function(*arguments)
    return await result if inspect.isawaitable(result) else result
