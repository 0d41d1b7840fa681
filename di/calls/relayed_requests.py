# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests inside one call of a pair that go to the other side, and the replies that come back.

request ─► the other dialog ─► reply in time          ─► passed back
                             └ none within 20 s       ─► 504
                             └ a side goes meanwhile  ─► 481
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from di.calls.state import OVER
from di.kernel.ports import TimerHandle
from di.sip.headers import first_header

if TYPE_CHECKING:
    from di.calls.events import SipReply
    from di.calls.passing import Passing
    from di.calls.session import Session
    from di.sip.records import RequestReceived

log = logging.getLogger(__name__)

PATIENCE_MS = 20_000
"""Who asks gives up 32 s after it has sent the request (RFC 3261 §17.1.2.2, timer F): the answer must be there before."""


@dataclass(frozen=True, slots=True)
class _Relayed:
    """A request of `asker` that waits for the other side's reply, until `patience` is over. `passing`: the rules, `to_first`: its way."""

    asker: Session
    request: RequestReceived
    patience: TimerHandle
    passing: Passing
    to_first: bool


class RelayedRequests:
    """Those of one pair, by the token of the request that was sent on."""

    def __init__(self) -> None:
        self._waiting: dict[int, _Relayed] = {}

    def pass_on(self, asker: Session, other: Session, request: RequestReceived, passing: Passing, *, to_first: bool) -> None:
        """Send a request on in the other dialog."""
        headers = passing.request(to_first, request)
        if not request.reply_wanted:
            _pass_update(other, request, headers)
            return
        token = other.dialog.send(request.method, headers, request.content_type, request.body, on_reply=self._reply_back)
        late = partial(asker.run, partial(self._unanswered, token, other.id))
        patience = asker.host.clock.call_later(PATIENCE_MS * 1_000_000, late)
        self._waiting[token] = _Relayed(asker, request, patience, passing, to_first)

    def _reply_back(self, reply: SipReply) -> None:
        relayed = self._take(reply.token)
        if relayed is not None:
            content_type = first_header(reply.headers, "Content-Type") or ""
            passed = relayed.passing.reply(not relayed.to_first, reply)
            relayed.asker.dialog.reply(relayed.request, passed.code, passed.reason, passed.headers, content_type, reply.body)

    def _unanswered(self, token: int, other_id: str) -> None:
        """No reply came in time. It is 504: a 408 says nothing to who sent no INVITE (RFC 4320 §4.2)."""
        relayed = self._take(token)
        if relayed is not None:
            asker, method = relayed.asker, relayed.request.method
            log.warning("call %s: %s gets no answer of the other side (call %s): 504", asker.id, method, other_id)
            asker.dialog.reply(relayed.request, 504, "Server Time-out")

    def abandon(self, concerned: Callable[[Session], bool]) -> None:
        """A side goes: what those asked whom it concerns is answered 481, where their dialog goes on."""
        for token, relayed in list(self._waiting.items()):
            if concerned(relayed.asker):
                self._take(token)
                if relayed.asker.dialog.phase not in OVER:
                    relayed.asker.dialog.reply(relayed.request, 481, "Call/Transaction Does Not Exist")

    def _take(self, token: int) -> _Relayed | None:
        relayed = self._waiting.pop(token, None)
        if relayed is not None:
            relayed.patience.cancel()
        return relayed


def _pass_update(other: Session, request: RequestReceived, headers: tuple[str, ...]) -> None:
    """UPDATE without an offer is passed on (a changed identity), unless it only refreshes the session; the stack has answered it."""
    refresh = any(name.lower() in ("session-expires", "x") for name, _ in request.headers)
    if request.method == "UPDATE" and not request.body and not refresh:
        other.dialog.send("UPDATE", headers, on_reply=lambda reply: None)
