# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON-RPC 2.0 for HTTP and WebSocket: request text in, answer text out. No socket, no framework.

jsonrpcserver takes the message apart and puts the answer together (batches, ids, notifications); reading is strict
(`strict.loads`) and binding is the registry's. jsonrpcserver's schema validator costs more than everything else and fails a
batch as a whole, so every entry is judged here and an invalid one becomes a call of `_Entry` that answers -32600, as the
specification of JSON-RPC has it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from jsonrpcserver import Error, Success
from jsonrpcserver.dispatcher import dispatch_to_response_pure
from jsonrpcserver.response import to_serializable_one

from di.kernel.errors import CallFailed
from di.kernel.registry import Caller, Registry
from di.kernel.value import Value
from interfaces.gateway import waits
from interfaces.jsonrpc.methods import JsonRpcError, execute, failure_of
from interfaces.jsonrpc.strict import dumps, loads
from interfaces.large import is_large, json_result

MAX_BATCH = 1000

Special = Callable[[Value, "Context"], "Value | Awaitable[Value]"]
"""A method of the gateway itself: gets `params` as they came (None when absent)."""


@dataclass(slots=True)
class Context:
    """One message on its way: who sent it, the gateway's own methods there, and the calls in it that wait."""

    caller: Caller
    registry: Registry
    specials: dict[str, Special]
    waiting: list[tuple[_Later, Awaitable[Value]]] = field(default_factory=list)


@dataclass(slots=True)
class _Later:
    """Stands for a result that is not there yet."""

    result: Value = None
    error: dict[str, Value] | None = None


_BOUND = inspect.BoundArguments(inspect.Signature(), OrderedDict())


_Answer: TypeAlias = "dict[str, Value | _Later]"
_Answers: TypeAlias = "list[_Answer] | _Answer | None"
"""What jsonrpcserver makes of a message: response objects as JSON has them."""
_dispatch = cast("Callable[..., _Answers]", dispatch_to_response_pure)
"""Its own types are those of a text that jsonrpcserver reads and checks by itself."""


class _AnyArguments(inspect.Signature):
    """A signature that everything fits: jsonrpcserver tries the arguments on it, and here they always are the same three."""

    def bind(self, *args: object, **kwargs: object) -> inspect.BoundArguments:
        return _BOUND


class _Entry:
    """The one callable that jsonrpcserver sees. `params` is always [reason, method, params] here; see `_normalised`."""

    __signature__ = _AnyArguments()

    def __call__(self, context: Context, reason: str, method: str, params: Value, /) -> object:
        if reason:
            return Error(-32600, "Invalid Request", reason)
        try:
            special = context.specials.get(method)
            answer = special(params, context) if special else execute(context.registry, method, params, context.caller)
        except Exception as error:  # noqa: BLE001 - every failure of a call is an error object
            return Error(*_failure(error, method))
        if waits(answer):
            later = _Later()
            context.waiting.append((later, _fill(later, answer, method)))
            return Success(later)
        return Success(answer)


_ENTRY = _Entry()


class _Methods(dict[str, _Entry]):
    """Every name is a method: the registry decides which exist."""

    def __getitem__(self, name: str) -> _Entry:
        return _ENTRY


_METHODS = _Methods()


def _failure(error: Exception, method: str) -> tuple[int, str, Value]:
    failure = failure_of(error, method.partition(".")[0])
    if isinstance(error, CallFailed):
        return failure.code, failure.message, str(error)
    return failure.code, failure.message, failure.data


async def _fill(later: _Later, answer: Awaitable[Value], method: str) -> None:
    try:
        later.result = await answer
    except Exception as error:  # noqa: BLE001 - as in _Entry
        code, message, data = _failure(error, method)
        later.error = {"code": code, "message": message, "data": data}


def _normalised(request: Value) -> dict[str, Value]:
    """A request as jsonrpcserver's dispatcher takes it; an invalid one carries the reason and the id null."""
    reason, method = "", ""
    if not isinstance(request, dict):
        return {"method": "", "params": ["a request is an object", "", None], "id": None}
    name, number = request.get("method"), request.get("id")
    if request.get("jsonrpc") != "2.0" or not isinstance(request["jsonrpc"], str):
        reason = 'the member jsonrpc must be "2.0"'
    elif not isinstance(name, str):
        reason = "the member method must be a string"
    elif "params" in request and not isinstance(request["params"], (list, dict)):
        reason = "the member params must be an array or an object"
    elif isinstance(number, (bool, list, dict)):
        reason = "the member id must be a string, a number or null"
    else:
        method = name
    entry: dict[str, Value] = {"method": method, "params": [reason, method, request.get("params")]}
    if reason:
        entry["id"] = number if isinstance(number, (str, int)) and not isinstance(number, bool) else None
    elif "id" in request:
        entry["id"] = number
    return entry


def _deserialize(text: bytes | str) -> Value:
    message = loads(text)
    if not isinstance(message, list):
        return _normalised(message)
    if not message or len(message) > MAX_BATCH:
        reason = f"a batch has at most {MAX_BATCH} entries" if message else "a batch has at least one entry"
        return {"method": "", "params": [reason, "", None], "id": None}
    return [_normalised(entry) for entry in message]


def handle(text: bytes | str, context: Context) -> bytes | Awaitable[bytes]:
    """Answer a message, at once when nothing in it waits. Empty: there is nothing to answer (notifications)."""
    answers = _dispatch(
        deserializer=_deserialize,
        validator=_accept,
        methods=_METHODS,
        context=context,
        post_process=to_serializable_one,
        request=text,
    )
    if context.waiting:
        return _after(context, answers)
    return _written(cast(Value, answers))  # nothing waits, so no result is a _Later


def _written(answers: Value) -> bytes | Awaitable[bytes]:
    if answers is None:
        return b""
    if isinstance(answers, dict) and is_large(answers.get("result")):
        return json_result({name: answers[name] for name in sorted(answers)}, dumps, b",")
    return dumps(answers)


def _accept(request: Value) -> Value:
    return request


async def _after(context: Context, answers: _Answers) -> bytes:
    await asyncio.gather(*(filling for _, filling in context.waiting))
    if isinstance(answers, list):
        text = _written([_filled(answer) for answer in answers])
    else:
        text = _written(_filled(answers) if answers is not None else None)
    return text if isinstance(text, bytes) else await text


def _filled(answer: _Answer) -> dict[str, Value]:
    """The answer with what it waited for."""
    filled: dict[str, Value] = {}
    for name, value in answer.items():
        if not isinstance(value, _Later):
            filled[name] = value
        elif value.error is not None:
            filled["error"] = value.error
        else:
            filled[name] = value.result
    return filled


def text_parameter(params: Value, name: str, default: str = "") -> str:
    """A text parameter of a gateway's own method, by name or at the first position. Raises JsonRpcError for another type."""
    value: Value = default
    if isinstance(params, dict):
        value = params.get(name, default)
    elif isinstance(params, list) and params:
        value = params[0]
    if not isinstance(value, str):
        raise JsonRpcError(-32602, "Invalid params", f"{name} must be of type str")
    return value
