# SPDX-License-Identifier: GPL-2.0-or-later
"""The hub's requests inside one call (INFO, MESSAGE, NOTIFY …): each with a token is answered once, whatever becomes of it."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pjsua2 as pj

from di.sip.records import CallEvent, ReplyReceived, SendRequest
from interfaces.sip.message import Message, header_pairs, parse
from interfaces.sip.placeholders import Placeholders
from interfaces.sip.structures import header_vector, plain

log = logging.getLogger(__name__)

OF_THE_STACK = frozenset(("INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE"))
"""pjsip keeps a state of a call with each of these. UPDATE without an offer may be sent, by the function that makes this state too."""
Headers = tuple[tuple[str, str], ...]
_CREDENTIALS = frozenset(("Authorization", "Proxy-Authorization"))


class SentRequests:
    """Of the call `number`; `emit` sends a record to the hub. Holds no call: a pjsua2 object must be in no reference cycle."""

    def __init__(self, number: int, emit: Callable[[CallEvent], None], placeholders: Placeholders) -> None:
        self._number, self._emit, self._placeholders = number, emit, placeholders
        self._sending: SendRequest | None = None
        self._waiting: dict[int, SendRequest] = {}

    def send(self, call: pj.Call, command: SendRequest, update: Callable[[Headers], None]) -> None:
        """Send it; its final reply becomes ReplyReceived. `update` sends an UPDATE. Raises pj.Error, CannotSend."""
        bare_update = command.method == "UPDATE" and not command.body
        if command.method in OF_THE_STACK and not bare_update:
            log.error("call %d: %s is no request that the hub sends", self._number, command.method)
            self.fail(command.token, 500, f"{command.method} is the SIP stack's own")
            return
        self._sending = command
        try:
            if bare_update:
                update(header_pairs(command.headers))
            else:
                call.sendRequest(self._parameters(command))
        finally:
            self._sending = None

    def _parameters(self, command: SendRequest) -> pj.CallSendRequestParam:
        parameters = pj.CallSendRequestParam()
        parameters.method = plain(command.method)
        parameters.txOption.headers = header_vector(command.headers, self._placeholders)
        parameters.txOption.contentType = plain(command.content_type)
        parameters.txOption.msgBody = self._placeholders.body(command.body)
        return parameters

    def left(self, event: pj.TsxStateEvent) -> bool:
        """A request of ours left: whether it is one of these."""
        if event.tsx.role != pj.PJSIP_ROLE_UAC:
            return False
        transaction = int(event.tsx.pjTransaction)
        if self._sending is not None and event.tsx.method == self._sending.method:
            if self._sending.token:
                self._waiting[transaction] = self._sending
            self._sending = None
            return True
        method = event.tsx.method
        if method in OF_THE_STACK and not any(command.method == method for command in self._waiting.values()):
            return False
        if transaction not in self._waiting:
            self._again(transaction, parse(event.src.tdata.wholeMsg))
        return method not in OF_THE_STACK or transaction in self._waiting

    def _again(self, transaction: int, message: Message) -> None:
        """pjsip has answered a challenge: what waited for a reply to the first attempt waits for that to the second."""
        for first, command in self._waiting.items():
            names = {name for name, _ in message.headers}
            same = command.method == message.method and len(command.body) == len(message.body)
            if same and names & _CREDENTIALS and all(name in names for name, _ in header_pairs(command.headers)):
                self._waiting[transaction] = self._waiting.pop(first)
                return

    def replied(self, event: pj.TsxStateEvent, message: Message | None) -> None:
        """A transaction of ours is over; without a message no reply came."""
        command = self._waiting.pop(int(event.tsx.pjTransaction), None)
        if command is None:
            return
        token = command.token
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
        for command in self._waiting.values():
            self.fail(command.token, code, reason)
        self._waiting.clear()
