# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests outside dialogs, both ways: what is sent gets its reply, what comes goes to whoever takes that method.

serve("MESSAGE", handler) ─► TakeOutside ─► OutsideReceived ─► handler(request) ─► reply, now or later
send(OutsideRequest)      ─► SendOutside ─► OutsideReplied  ─► on_reply(reply), once
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from di.sip.credentials import Credential
from di.sip.headers import TOKEN, header_problem, uri_of, uri_problem
from di.sip.outside_records import OutsideReceived, OutsideReplied, ReplyOutside, SendOutside, TakeOutside
from di.sip.port import SipPort

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OutsideRequest:
    """A request to be sent. `from_header`/`to_header`: complete values without tags; empty: the Request-URI in brackets.

    `from_tag`, `call_id`, `cseq` and `contact_user` as in `SendOutside`. `route`: the route set of a dialog, empty for straight to `uri`; None:
    by `next_hop` or the default.
    """

    method: str
    uri: str
    from_header: str = ""
    to_header: str = ""
    headers: tuple[str, ...] = ()
    content_type: str = ""
    body: bytes = b""
    next_hop: str = ""
    credential: Credential | None = None
    call_id: str = ""
    cseq: int = 0
    from_tag: str = ""
    contact_user: str = ""
    route: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class OutsideReply:
    """What a handler answers with. `headers`: complete lines."""

    code: int
    reason: str = ""
    headers: tuple[str, ...] = ()
    content_type: str = ""
    body: bytes = b""


Handler: TypeAlias = Callable[[OutsideReceived], "OutsideReply | Awaitable[OutsideReply]"]


class OutsideHost(Protocol):
    """What this needs of `di.calls.sessions.Sessions`."""

    @property
    def sip(self) -> SipPort:
        """The way to the SIP process."""

    @property
    def sip_is_up(self) -> bool:
        """Whether anything can be sent."""

    def next_token(self) -> int:
        """A number for a request."""

    def spawn(self, work: Awaitable[None]) -> None:
        """Run something that waits."""


class Outside:
    """`default_hop()` is where requests go that name no next hop."""

    def __init__(self, host: OutsideHost, default_hop: Callable[[], str]) -> None:
        self._host = host
        self._default_hop = default_hop
        self._handlers: dict[str, Handler] = {}
        self._waiting: dict[int, Callable[[OutsideReplied], None]] = {}
        self._told = False

    # -------------------------------------------------------------------------------------------------------------- inwards
    def serve(self, method: str, handler: Handler) -> Callable[[], None]:
        """Take all requests of a method; the answer gives them back. Raises ValueError when somebody has it already."""
        method = method.upper()
        if method in self._handlers:
            raise ValueError(f"requests of method {method} are taken already")
        self._handlers[method] = handler
        self.tell_methods()

        def give_back() -> None:
            if self._handlers.get(method) is handler:
                del self._handlers[method]
                self.tell_methods()

        return give_back

    def tell_methods(self) -> None:
        """The SIP process learns which methods are taken: after each change, and when it has come up."""
        if self._host.sip_is_up and (self._handlers or self._told):
            self._told = bool(self._handlers)
            self._host.sip.send(TakeOutside(tuple(self._handlers)))

    def on_request(self, request: OutsideReceived) -> None:
        """A request came. One whose handler fails is answered 500."""
        handler = self._handlers.get(request.method.upper())
        if handler is None:
            self._reply(request, OutsideReply(405, "Method Not Allowed", (f"Allow: {', '.join(self._handlers)}",)))
            return
        try:
            answer = handler(request)
        except Exception:  # noqa: BLE001 – a handler's fault costs its own request only
            self._failed(request)
            return
        if isinstance(answer, OutsideReply):
            self._reply(request, answer)
        else:
            self._host.spawn(self._later(request, answer))

    async def _later(self, request: OutsideReceived, answer: Awaitable[OutsideReply]) -> None:
        try:
            self._reply(request, await answer)
        except Exception:  # noqa: BLE001 – a handler's fault costs its own request only
            self._failed(request)

    def _failed(self, request: OutsideReceived) -> None:
        log.exception("%s from %s:%d: its handler failed", request.method, request.source_ip, request.source_port)
        self._reply(request, OutsideReply(500, "Server Internal Error"))

    def _reply(self, request: OutsideReceived, answer: OutsideReply) -> None:
        reply = ReplyOutside(request.token, answer.code, answer.reason, answer.headers, answer.content_type, answer.body)
        self._host.sip.send(reply)

    # ------------------------------------------------------------------------------------------------------------- outwards
    def send(self, request: OutsideRequest, on_reply: Callable[[OutsideReplied], None]) -> str:
        """Send a request. Returns why it cannot be sent, or an empty string; then `on_reply` is called once."""
        if not self._host.sip_is_up:
            return "the SIP process is not up"
        ours, theirs = request.from_header or f"<{request.uri}>", request.to_header or f"<{request.uri}>"
        for text in (request.uri, uri_of(ours), uri_of(theirs)):
            if problem := uri_problem(text):
                return problem
        for line in request.headers:
            if problem := header_problem(line, contact=request.method.upper() == "REGISTER"):
                return problem
        if any(ord(c) < 32 for c in ours + theirs + request.call_id + "".join(request.route or ())):
            return "From, To and Call-ID must not hold control characters"
        if request.from_tag and not TOKEN.fullmatch(request.from_tag):
            return f"{request.from_tag!r} cannot be a tag: letters, digits and -.!%*_+`'~ can"
        token = self._host.next_token()
        self._waiting[token] = on_reply
        credential = request.credential or Credential("", "", "")
        self._host.sip.send(
            SendOutside(
                token,
                request.method.upper(),
                request.uri,
                ours,
                theirs,
                request.headers,
                request.content_type,
                request.body,
                "" if request.route is not None else request.next_hop or self._default_hop(),
                credential.realm,
                credential.user,
                credential.password,
                request.call_id,
                request.cseq,
                request.from_tag,
                request.contact_user,
                request.route or (),
            )
        )
        return ""

    def on_reply(self, reply: OutsideReplied) -> None:
        """A final reply came."""
        waiting = self._waiting.pop(reply.token, None)
        if waiting is not None:
            waiting(reply)

    def sip_lost(self, reason: str) -> None:
        """The SIP process is gone, and every request with it."""
        waiting, self._waiting = self._waiting, {}
        for token, on_reply in waiting.items():
            on_reply(OutsideReplied(token, 503, reason))
