# SPDX-License-Identifier: GPL-2.0-or-later
"""DI functions that an application publishes from its own code: they stand in the registry like all others."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping

from di.kernel.errors import CallFailed
from di.kernel.registry import Method, Parameter, Registry
from di.kernel.value import Value
from interfaces.apps.peer import AppPeer, Message

log = logging.getLogger(__name__)
_PATIENCE_S = 30.0
_NOBODY = None, None
"""Asked, and waiting: for a number that no question has."""


class AppFunctions:
    """The functions of all applications. `choose(name)` gives a process of an application; raises Refused when there is none."""

    def __init__(self, registry: Registry, choose: Callable[[str], AppPeer]) -> None:
        self._registry = registry
        self._choose = choose
        self._numbers = itertools.count(1)
        self._asked: dict[int, tuple[AppPeer, asyncio.Future[Value]]] = {}
        self._published: set[str] = set()

    def publish(self, name: str, functions: object) -> None:
        """Publish what a process says that it has. Names that are none are left out with a line in the log."""
        found: dict[str, Method] = {}
        for function, described in (functions if isinstance(functions, Mapping) else {}).items():
            if (
                isinstance(function, str)
                and function.isidentifier()
                and not function.startswith("_")
                and isinstance(described, Mapping)
            ):
                found[function] = self._method(name, function, described)
            else:
                log.error("application %s: %r is no name of a function", name, function)
        if not found and name not in self._published:
            return
        if name in self._published:
            self._registry.unregister(name)
        elif self._registry.interface(name) is not None:
            log.error("application %s: its functions are not published, for there is a module of that name", name)
            return
        self._registry.register(name, object()).methods.update(found)
        self._published.add(name)

    def _method(self, name: str, function: str, described: Mapping[object, object]) -> Method:
        listed = described.get("parameters")
        parameters = [
            Parameter(str(one.get("name")), None, bool(one.get("needed")))
            for one in (listed if isinstance(listed, list) else [])
            if isinstance(one, Mapping)
        ]

        def call(*arguments: Value) -> Awaitable[Value]:
            return self._call(name, function, [*arguments])

        doc = str(described.get("help") or f"Function of application {name}.")
        return Method(name, function, call, tuple(parameters), False, False, function, True, True, object, doc)

    async def _call(self, name: str, function: str, arguments: list[Value]) -> Value:
        number = next(self._numbers)
        done: asyncio.Future[Value] = asyncio.get_running_loop().create_future()
        process = self._choose(name)
        self._asked[number] = process, done
        try:
            process.send({"k": "di_call", "n": number, "function": function, "args": arguments})
            return await asyncio.wait_for(done, _PATIENCE_S)
        except TimeoutError as error:
            raise CallFailed(f"{name}.{function} has not answered within {_PATIENCE_S:.0f} s") from error
        finally:
            del self._asked[number]

    def answered(self, process: AppPeer, message: Message) -> None:
        """The answer of a process; what another one was asked is not its to answer."""
        number = message.get("n")
        asked, done = self._asked.get(number, _NOBODY) if isinstance(number, int) else _NOBODY
        if done is None or done.done():
            return
        if asked is not process:
            log.error("%s answers question %s, which was asked of %s: that is not taken", process, number, asked)
            return
        if "error" in message:
            done.set_exception(CallFailed(str(message["error"])))
        else:
            done.set_result(message.get("result"))  # type: ignore[arg-type]

    def gone(self, process: AppPeer, why: str) -> None:
        """A process has ended: what it was asked nobody will answer."""
        for asked, done in self._asked.values():
            if asked is process and not done.done():
                done.set_exception(CallFailed(f"application {process.name}: its process {why}"))

    def withdraw(self) -> None:
        """Withdraw all."""
        for name in self._published:
            self._registry.unregister(name)
        self._published.clear()
