# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON-RPC method names → DI calls, and DI errors → error objects: one table for netstring, HTTP and WebSocket (spec di.md §4.4)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from dataclasses import dataclass

from di.kernel.errors import CallFailed, Forbidden, NoSuchModule, NotImplementedInDI, OutOfBounds, TypeMismatch
from di.kernel.registry import Caller, Registry
from di.kernel.value import Value
from interfaces.gateway import waits

log = logging.getLogger(__name__)

NO_DOT = "use module.method as rpc method name"
_WRAPPED = frozenset(("calls", "get_loglevel"))
"""Functions of `core` whose bare number SEMS's gateway puts into an array."""


@dataclass(frozen=True, slots=True)
class RpcFailure:
    """The content of an error object; `data` says more about the case."""

    code: int
    message: str
    data: str


class JsonRpcError(Exception):
    """Ends a call with a given error object."""

    def __init__(self, code: int, message: str, data: str) -> None:
        super().__init__(f"{code} {message}: {data}")
        self.failure = RpcFailure(code, message, data)


def failure_of(error: Exception, module: str = "") -> RpcFailure:
    """What a failed call answers (spec di.md §2.2, §4.4)."""
    match error:
        case JsonRpcError():
            return error.failure
        case NotImplementedInDI():
            return RpcFailure(-32601, "Method not found", f"function unknown in {'core' if module == 'core' else 'module'}")
        case NoSuchModule():
            return RpcFailure(-32601, "Method not found", "module not loaded")
        case OutOfBounds():
            return RpcFailure(-32602, "Invalid params", "out of bounds in function call")
        case TypeMismatch():
            return RpcFailure(-32602, "Invalid params", "parameters type mismatch in function call")
        case Forbidden():
            return RpcFailure(-32001, "Forbidden", error.what)
        case CallFailed():
            log.info("a call of %s gave up: %s", module or "a function", error)
        case _:
            log.error("a call of %s failed", module or "a function", exc_info=error)
    return RpcFailure(-32000, "Server error", "unexpected Exception")


def execute(registry: Registry, name: str, params: Value, caller: Caller) -> Value | Awaitable[Value]:
    """Run `module.function`; `params` None means that the request had none. Raises what `failure_of` translates."""
    module, dot, function = name.partition(".")
    if not dot:
        raise JsonRpcError(-32601, "Method not found", NO_DOT)
    answer = registry.invoke(module, function, params if params is not None or module != "core" else [], caller)
    if module == "core":
        if function in _WRAPPED:
            return _in_array(answer) if waits(answer) else [answer]
        if function == "set_loglevel":
            return _nothing(answer) if waits(answer) else None
    return answer


async def _in_array(answer: Awaitable[Value]) -> Value:
    return [await answer]


async def _nothing(answer: Awaitable[Value]) -> Value:
    await answer
    return None
