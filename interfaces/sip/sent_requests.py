# SPDX-License-Identifier: GPL-2.0-or-later
"""The hub's requests inside one call (INFO, MESSAGE, NOTIFY …): each with a token is answered once, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Callable

import pjsua2 as pj

from di.sip.records import CallEvent, ReplyReceived, SendRequest
from interfaces.sip.message import Message
from interfaces.sip.structures import header_vector, plain
from interfaces.sip.substitutes import Substitutes


class SentRequests:
    """Of the call `number`; `emit` sends a record to the hub. Holds no call: pjsua2's objects must not stand in a ring of references."""

    def __init__(self, number: int, emit: Callable[[CallEvent], None], substitutes: Substitutes) -> None:
        self._number, self._emit, self._substitutes = number, emit, substitutes
        self._sending_token = 0
        self._tokens: dict[int, int] = {}

    def send(self, call: pj.Call, command: SendRequest) -> None:
        """Send it; its final reply becomes ReplyReceived. Raises pj.Error."""
        parameters = pj.CallSendRequestParam()
        parameters.method = plain(command.method)
        parameters.txOption.headers = header_vector(command.headers, self._substitutes)
        parameters.txOption.contentType = plain(command.content_type)
        parameters.txOption.msgBody = self._substitutes.body(command.body)
        self._sending_token = command.token
        try:
            call.sendRequest(parameters)
        finally:
            self._sending_token = 0

    def left(self, event: pj.TsxStateEvent) -> bool:
        """A request of ours left: whether it is the one that is being sent."""
        if not self._sending_token or event.tsx.role != pj.PJSIP_ROLE_UAC:
            return False
        self._tokens[int(event.tsx.pjTransaction)] = self._sending_token
        self._sending_token = 0
        return True

    def replied(self, event: pj.TsxStateEvent, message: Message | None) -> None:
        """A transaction of ours is over; without a message no reply came."""
        token = self._tokens.pop(int(event.tsx.pjTransaction), 0)
        if not token:
            return
        if message is None:
            self.fail(token, event.tsx.statusCode or 408, event.tsx.statusText or "Request Timeout")
            return
        self._emit(ReplyReceived(self._number, token, message.code, message.reason, message.headers, message.body))

    def fail(self, token: int, code: int, reason: str) -> None:
        """Say that a request was not answered, or not even sent."""
        if token:
            self._emit(ReplyReceived(self._number, token, code, reason))

    def abandon(self, code: int, reason: str) -> None:
        """The call is over: say so to whoever waits for a reply."""
        for token in self._tokens.values():
            self.fail(token, code, reason)
        self._tokens.clear()
