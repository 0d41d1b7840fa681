# SPDX-License-Identifier: GPL-2.0-or-later
"""What programs ask of the server: operations on their calls, functions of other modules; and what they answer."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING

from di.kernel.errors import DIError, Refused
from di.kernel.registry import Caller, Registry
from di.kernel.value import Value
from interfaces.apps.bridged_call import BridgedCall
from interfaces.apps.functions import AppFunctions
from interfaces.apps.peer import AppPeer, Message
from interfaces.apps.remote import RemoteProgram

if TYPE_CHECKING:
    from di.calls.sessions import Sessions

log = logging.getLogger(__name__)
_LONGEST_ERROR = 2000


class ProgramRequests:
    """Those of all programs."""

    def __init__(self, sessions: Sessions, registry: Registry, functions: AppFunctions) -> None:
        self._sessions, self._registry, self._functions = sessions, registry, functions

    def take(self, process: AppPeer, message: Message) -> None:
        """What a program has sent that is not about itself."""
        kind = message["k"]
        if kind == "op":
            self._operation(process, message)
        elif kind == "ready":
            self._functions.publish(process.name, message.get("functions"))
        elif kind == "di_result":
            self._functions.answered(process, message)
        elif kind == "di":
            self._sessions.spawn(self._di(process, message))

    def _operation(self, process: AppPeer, message: Message) -> None:
        """A process may steer its own calls, and no others."""
        id, op = str(message.get("call", "")), message.get("op")
        session = self._sessions.find(id) if id in process.calls or id in process.legs else None
        if session is None or not isinstance(op, int):
            return
        what, values = str(message.get("do", "")), message.get("with")

        def perform() -> None:
            if isinstance(session.app, BridgedCall):
                session.app.perform(op, what, values)

        session.run(perform)

    async def _di(self, process: AppPeer, message: Message) -> None:
        """A function of another module, on the application's behalf: it appears in the audit log as `app:NAME`."""
        answer: Message = {"k": "di_done", "n": message.get("n")}
        module, function, arguments = str(message.get("module")), str(message.get("function")), message.get("args")
        caller = _caller_of(process)
        try:
            result: Value | Awaitable[Value] = self._registry.invoke(
                module, function, list(arguments) if isinstance(arguments, (list, tuple)) else [], caller
            )
            answer["result"] = await result if isinstance(result, Awaitable) else result
            process.answer(answer)
        except BaseException as error:  # whatever a function raises: a program that asks waits for an answer without end
            if isinstance(error, Exception) and not isinstance(error, (DIError, Refused, TypeError, ValueError, OverflowError)):
                log.error("%s called %s.%s, which failed", process, module, function, exc_info=error)
            process.send({"k": "di_done", "n": message.get("n"), "error": _told(error)})
            if not isinstance(error, Exception):
                raise


def _told(error: BaseException) -> str:
    """What failed, as a text that can be sent whatever is in it."""
    return f"{type(error).__name__}: {error}"[:_LONGEST_ERROR].encode("utf-8", "replace").decode()


def _caller_of(process: AppPeer) -> Caller:
    """On whose behalf a program calls functions: its own, or, from elsewhere, with the permissions that it came in with."""
    if isinstance(process, RemoteProgram):
        theirs = process.caller
        return replace(theirs, name=f"app:{process.name}@{theirs.name}", transport="apps")
    return Caller(f"app:{process.name}", "apps")
