# SPDX-License-Identifier: GPL-2.0-or-later
"""From an HTTP request to an XML-RPC answer: who calls, decode, run, encode. No socket here; `interfaces.http_server` owns it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from di.kernel.registry import Caller
from di.kernel.value import Value, to_text
from interfaces.gateway import AccessControl, Authenticator, waits
from interfaces.http1 import HttpRequest
from interfaces.large import Pieces, Text, in_slices, is_large
from interfaces.xmlrpc2di.methods import MAX_MULTICALL, FaultError, Methods, fault_of
from interfaces.xmlrpc2di.parser import UnsupportedType, XmlError, read_call
from interfaces.xmlrpc2di.writer import ARRAY, ARRAY_RESPONSE, http_answer, http_head, write_elements, write_fault, write_response

log = logging.getLogger(__name__)


class XmlRpcGateway:
    """The request handler of the XML-RPC port."""

    def __init__(
        self,
        methods: Methods,
        access: AccessControl,
        origin_allowed: Callable[[str], bool] = lambda origin: True,
        log_params: bool = False,
        log_result: bool = False,
    ) -> None:
        self.methods = methods
        self._authenticator = Authenticator(access, origin_allowed)
        self.log_params = log_params
        self.log_result = log_result

    def handle(self, request: HttpRequest) -> bytes | Awaitable[Text]:
        """Answer one request, at once when nothing in it waits. Raises BadRequest for a page of a foreign origin."""
        return self._authenticator.answer("xmlrpc", request, self.run)

    def run(self, body: bytes, caller: Caller) -> bytes | Awaitable[Text]:
        """Decode, call, encode."""
        try:
            call = read_call(body)
            if self.log_params:
                log.debug("%s: %s%s", caller.source, call.method, to_text(call.params))
            answer = self.methods.execute(call.method, call.params, caller)
        except Exception as error:  # noqa: BLE001 - every failure is a fault
            return self._fault(error)
        if waits(answer):
            return self._later(answer)
        return self._result(answer)

    async def _later(self, answer: Awaitable[Value]) -> Text:
        try:
            result = self._result(await answer)
            return result if isinstance(result, bytes) else await result
        except Exception as error:  # noqa: BLE001 - as in run
            return self._fault(error)

    def _result(self, value: Value) -> bytes | Awaitable[Text]:
        if self.log_result:
            log.debug("result: %s", to_text(value))
        return _large(value) if isinstance(value, list) and _holds_large(value) else http_answer(write_response(value))

    def _fault(self, error: Exception) -> bytes:
        match error:
            case XmlError():
                fault = FaultError(-1, f"invalid request: {error}")
            case UnsupportedType():
                fault = FaultError(400, "unsupported parameter type")
            case _:
                fault = fault_of(error)
        if self.log_result:
            log.debug("fault: %d %s", fault.code, fault.text)
        return http_answer(write_fault(fault.code, fault.text))


def _holds_large(value: list[Value], depth: int = 3) -> bool:
    """Whether an array is large, or one in it (the answers of a multicall)."""
    if is_large(value):
        return True
    few = depth > 0 and len(value) <= MAX_MULTICALL
    return few and any(isinstance(part, list) and _holds_large(part, depth - 1) for part in value)


async def _large(values: list[Value]) -> Pieces:
    before, after = ARRAY_RESPONSE
    body = [before, *await _pieces(values), after]
    return Pieces([http_head(sum(map(len, body))), *body])


async def _pieces(values: list[Value]) -> list[bytes]:
    """The elements of an array, with a turn for others after each piece."""
    if is_large(values):
        return await in_slices(values, write_elements)
    pieces: list[bytes] = []
    for part in values:
        if isinstance(part, list) and _holds_large(part):
            pieces += [ARRAY[0], *await _pieces(part), ARRAY[1]]
        else:
            pieces.append(write_elements([part]))
        await asyncio.sleep(0)
    return pieces
