# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests of our own that belong to no call: pjsip's transactions send and repeat them, `shim` reaches those.

    OutRequest ─► send ─► pjsip transaction (retransmissions, timer F, TCP/TLS, DNS) ─► done(code, reason, Message | None, source ip)

pjsua2 shows such requests only with a Call-ID, tags and CSeq of its own making; a subscription needs to choose them.
`done` is called exactly once a request, within pjsip's one thread, possibly before `send` has returned.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from interfaces.sip.message import Message, one_line, parse, wire_bytes
from interfaces.sip.received import looked_at
from interfaces.sip.shim import ffi, lib

log = logging.getLogger(__name__)

Done = Callable[[int, str, Message | None, str], None]

_NO_ANSWER, _ANSWER = 0, 1
_PARSED_BY_PJSIP = frozenset(("route",))
"""Headers that pjsip itself looks at on the way out; all others are text to it."""


@dataclass(frozen=True, slots=True)
class OutRequest:
    """A request to send. `from_value` and `to_value` are complete header values with their tags. `contact`: whether ours is added."""

    method: str
    target: str
    from_value: str
    to_value: str
    call_id: str
    cseq: int
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = ""
    body: bytes = b""
    contact: bool = True


class CannotSend(Exception):
    """A request that pjsip does not take: the text says which part is wrong."""


class Exchanges:
    """`account(uri)` gives the pjsua account to reach a URI by."""

    def __init__(self, account: Callable[[str], int]) -> None:
        self._account = account
        self._waiting: dict[int, Done] = {}
        self._token = 0

    def start(self) -> None:
        """The endpoint runs."""
        ffi.def_extern(name="shim_on_answer")(self._answered)

    def __len__(self) -> int:
        return len(self._waiting)

    def send(self, request: OutRequest, done: Done) -> None:
        """Send; the final reply, or the lack of one (408, 503), goes to `done`. Raises CannotSend."""
        sending = self._made(request)
        self._token = self._token % 0x7FFFFFFF + 1
        token = self._token
        self._waiting[token] = done
        if lib.shim_send(sending, token) != 0:
            self._finish(token, 503, "Service Unavailable", None, "")

    # ------------------------------------------------------------------------------------------------------------- outwards
    def _made(self, request: OutRequest) -> Any:
        """A message with everything but what pjsip adds itself (Via, Max-Forwards)."""
        routes = [value for name, value in request.headers if name.lower() == "route"]
        way = (routes[0] if routes else request.target).strip("<>").split(">")[0]
        parts = (request.method, request.target, request.from_value, request.to_value, request.call_id)
        sending = lib.shim_request(
            self._account(way), *map(wire_bytes, parts), request.cseq, wire_bytes(way) if request.contact else ffi.NULL
        )
        if not sending:
            raise refused()
        try:
            add(sending, request.headers)
        except CannotSend:
            lib.shim_throw_away(sending)
            raise
        if request.body:
            kind, _, subkind = one_line(request.content_type).partition("/")
            lib.shim_body(sending, wire_bytes(kind.strip()), wire_bytes(subkind.strip()), request.body, len(request.body))
        return sending

    # -------------------------------------------------------------------------------------------------------------- inwards
    def _answered(self, token: int, how: int, received: Any) -> None:
        try:
            if how == _ANSWER:
                text, source, _ = looked_at(received)
                message = parse(text)
                self._finish(token, message.code, message.reason, message, source)
            elif how == _NO_ANSWER:
                self._finish(token, 408, "Request Timeout", None, "")
            else:
                self._finish(token, 503, "Service Unavailable", None, "")
        except Exception:
            log.exception("the answer to a request of ours failed")

    def _finish(self, token: int, code: int, reason: str, message: Message | None, source: str) -> None:
        done = self._waiting.pop(token, None)
        if done is not None:
            done(code, reason, message, source)


def add(sending: Any, headers: Iterable[tuple[str, str]]) -> None:
    """Put headers into a request that pjsip has made. Raises CannotSend."""
    for name, value in headers:
        if lib.shim_header(sending, wire_bytes(name), wire_bytes(value), name.lower() in _PARSED_BY_PJSIP) != 0:
            raise refused()


def refused() -> CannotSend:
    """Why the shim has just refused something."""
    return CannotSend(ffi.string(lib.shim_why()).decode("utf-8", "replace"))
