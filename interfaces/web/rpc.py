# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON-RPC 2.0 for HTTP and WebSocket: request text in, answer text out. No socket, no framework.

jsonrpcserver runs a request and puts the answer together (ids, notifications, errors); reading is strict (`strict.loads`) and
binding is the registry's. Its schema validator costs more than everything else and fails a batch as a whole, so every entry is
judged here and an invalid one becomes a call of `_run` that answers -32600, as the specification of JSON-RPC has it. Of its
dispatcher the steps that do something here are taken one by one: looking up one and the same method and trying on it arguments
that always fit cost as much as the rest of a trivial call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias, cast

from jsonrpcserver import Error, Success
from jsonrpcserver.dispatcher import call, create_request, to_response
from jsonrpcserver.response import ParseErrorResponse, to_serializable_one
from jsonrpcserver.sentinels import NOID
from oslash.either import Left

from di.kernel.errors import CallFailed
from di.kernel.registry import Caller, Registry
from di.kernel.value import Value
from interfaces.gateway import waits
from interfaces.jsonrpc.methods import JsonRpcError, execute, failure_of
from interfaces.jsonrpc.strict import dumps, loads
from interfaces.large import Pieces, Text, is_large, json_result, whole

MAX_BATCH = 1000
MAX_BATCH_BYTES = 16 << 20
"""Answers of one batch; entries behind that are not run any more."""
_BATCH_LIMIT_NS = 10_000_000_000
"""A batch that has run so long is not continued."""
_TURN_NS = 4_000_000
"""How long a batch runs before the loop's other work has its turn."""

_PIECE_BYTES = 1 << 18
"""Small answers of a batch are put together up to so much."""

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


_Answer: TypeAlias = "dict[str, Value | _Later]"
"""A response object as JSON has it."""


def _run(context: Context, reason: str, method: str, params: Value, /) -> object:
    """The one function that jsonrpcserver sees. `params` is always [reason, method, params] here; see `_normalised`."""
    outcome = _outcome(context, reason, method, params)
    return Error(*outcome) if isinstance(outcome, _Failure) else Success(outcome)


class _Failure(NamedTuple):
    code: int
    message: str
    data: Value


def _outcome(context: Context, reason: str, method: str, params: Value) -> Value | _Later | _Failure:
    """Run one request. What is not there yet is noted in `context.waiting`."""
    if reason:
        return _Failure(-32600, "Invalid Request", reason)
    try:
        special = context.specials.get(method)
        answer = special(params, context) if special else execute(context.registry, method, params, context.caller)
    except Exception as error:  # noqa: BLE001 - every failure of a call is an error object
        return _failure(error, method)
    if waits(answer):
        later = _Later()
        context.waiting.append((later, _fill(later, answer, method)))
        return later
    return answer


def _failure(error: Exception, method: str) -> _Failure:
    failure = failure_of(error, method.partition(".")[0])
    if isinstance(error, CallFailed):
        return _Failure(failure.code, failure.message, str(error))
    return _Failure(failure.code, failure.message, failure.data)


async def _fill(later: _Later, answer: Awaitable[Value], method: str) -> None:
    try:
        later.result = await answer
    except Exception as error:  # noqa: BLE001 - as in _outcome
        later.error = dict(_failure(error, method)._asdict())


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


def _as_a_whole(message: Value) -> dict[str, Value]:
    """The one request that a message is; a batch that is refused is an invalid one."""
    if not isinstance(message, list):
        return _normalised(message)
    reason = f"a batch has at most {MAX_BATCH} entries" if message else "a batch has at least one entry"
    return {"method": "", "params": [reason, "", None], "id": None}


def handle(text: bytes | str, context: Context) -> bytes | Awaitable[Text]:
    """Answer a message, at once when nothing in it waits. Empty: there is nothing to answer (notifications)."""
    try:
        message = loads(text)
    except Exception as error:  # noqa: BLE001 - whatever a text does to a reader, it is no JSON that is taken here
        return dumps(cast(Value, to_serializable_one(Left(ParseErrorResponse(str(error))))))
    if type(message) is list and 0 < len(message) <= MAX_BATCH:
        batch = _Batch(message, context)
        return whole(batch.text()) if batch.proceed() else batch.rest()
    request = create_request(_as_a_whole(message))
    result = call(request, context, _run)
    answer = None if request.id is NOID else cast(_Answer, to_serializable_one(to_response(request, result)))
    if context.waiting:
        return _after(context, answer)
    return _written(cast(Value, answer))  # nothing waits, so no result is a _Later


class _Batch:
    """A batch on its way: entry after entry, with a turn for everybody else in between, and a limit of bytes and time.

    jsonrpcserver runs a batch at once and to its end, so its entries are answered here, by the same functions.
    """

    def __init__(self, entries: list[Value], context: Context) -> None:
        self._entries, self._context = entries, context
        self._done = 0
        self._parts = Pieces()
        """What is written so far; behind `_joined` there are many small ones."""
        self._joined = 0
        self._bytes = self._loose_bytes = 0
        self._began_ns = time.monotonic_ns()
        self._late: _Answer | None = None
        self._answered = True

    def proceed(self) -> bool:
        """Run entries for one turn. True when all are done; False when time is up or the last one waits (`_late`)."""
        until_ns = time.monotonic_ns() + _TURN_NS
        while self._done < len(self._entries):
            entry = _normalised(self._entries[self._done])
            self._done += 1
            answer = self._run(entry)
            if self._context.waiting or is_large(cast(Value, answer.get("result"))):
                self._late, self._answered = answer, "id" in entry
                return False
            if "id" in entry:
                self._take(dumps(cast(Value, answer)))
            if time.monotonic_ns() > until_ns:
                return False
        return True

    def _run(self, entry: dict[str, Value]) -> _Answer:
        refusal = self._refusal()
        reason, method, params = cast(list[Value], entry["params"])
        if refusal:
            outcome: Value | _Later | _Failure = _Failure(-32000, "Server error", refusal)
        else:
            outcome = _outcome(self._context, cast(str, reason), cast(str, method), params)
        answer: _Answer = {"jsonrpc": "2.0", "id": entry.get("id")}
        if isinstance(outcome, _Failure):
            answer["error"] = dict(outcome._asdict())
        else:
            answer["result"] = outcome
        return answer

    def _refusal(self) -> str:
        if self._bytes > MAX_BATCH_BYTES:
            return f"not run: the answers before it are longer than {MAX_BATCH_BYTES} bytes; send smaller batches"
        if time.monotonic_ns() - self._began_ns > _BATCH_LIMIT_NS:
            return f"not run: the batch took longer than {_BATCH_LIMIT_NS // 10**9} s; send smaller batches"
        return ""

    def _take(self, text: Text) -> None:
        self._parts.append(b"," if self._parts else b"[")
        if isinstance(text, bytes):
            self._parts.append(text)
            size = self._loose_bytes = self._loose_bytes + len(text)
            self._bytes += len(text)
            if size > _PIECE_BYTES:
                self._join()
        else:
            self._join()
            self._bytes += text.length_bytes
            self._parts += text
            self._joined = len(self._parts)

    def _join(self) -> None:
        """Make one piece of the small ones."""
        self._parts[self._joined :] = [b"".join(self._parts[self._joined :])]
        self._joined, self._loose_bytes = len(self._parts), 0

    async def rest(self) -> Text:
        """What `proceed` has left."""
        while True:
            if self._late is not None:
                text = await _after(self._context, self._late)
                if self._answered:
                    self._take(text)
                self._context.waiting.clear()
                self._late = None
            await asyncio.sleep(0)
            if self.proceed():
                return self.text()

    def text(self) -> Text:
        """The whole answer; empty when nothing in the batch wants one."""
        if not self._parts:
            return b""
        self._parts.append(b"]")
        return self._parts if self._joined else whole(self._parts)


def _written(answers: Value) -> bytes | Awaitable[Text]:
    if answers is None:
        return b""
    if isinstance(answers, dict) and is_large(answers.get("result")):
        return json_result({name: answers[name] for name in sorted(answers)}, dumps, b",")
    return dumps(answers)


async def _after(context: Context, answer: _Answer | None) -> Text:
    for _, filling in context.waiting:
        await filling
    text = _written(_filled(answer) if answer is not None else None)
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
