# SPDX-License-Identifier: GPL-2.0-or-later
"""The hub's requests inside one call (INFO, MESSAGE, NOTIFY …): each with a token is answered once, whatever becomes of it."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pjsua2 as pj

from di.sip.records import CallEvent, ReplyReceived, SendRequest
from interfaces.sip.message import Message, header_pairs, parse
from interfaces.sip.structures import header_vector, plain
from interfaces.sip.substitutes import Substitutes

log = logging.getLogger(__name__)

OF_THE_STACK = frozenset(("INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE"))
"""pjsip keeps a state with each of these; sent without it, their replies would end the process."""
_CREDENTIALS = frozenset(("Authorization", "Proxy-Authorization"))


class SentRequests:
    """Of the call `number`; `emit` sends a record to the hub. Holds no call: pjsua2's objects must not stand in a ring of references."""

    def __init__(self, number: int, emit: Callable[[CallEvent], None], substitutes: Substitutes) -> None:
        self._number, self._emit, self._substitutes = number, emit, substitutes
        self._sending: SendRequest | None = None
        self._waiting: dict[int, SendRequest] = {}

    def send(self, call: pj.Call, command: SendRequest) -> None:
        """Send it; its final reply becomes ReplyReceived. Raises pj.Error."""
        if command.method in OF_THE_STACK:
            log.error("call %d: %s is no request that the hub sends", self._number, command.method)
            self.fail(command.token, 500, f"{command.method} is the SIP stack's own")
            return
        parameters = pj.CallSendRequestParam()
        parameters.method = plain(command.method)
        parameters.txOption.headers = header_vector(command.headers, self._substitutes)
        parameters.txOption.contentType = plain(command.content_type)
        parameters.txOption.msgBody = self._substitutes.body(command.body)
        self._sending = command
        try:
            call.sendRequest(parameters)
        finally:
            self._sending = None

    def left(self, event: pj.TsxStateEvent) -> bool:
        """A request of ours left: whether it is one of these."""
        if event.tsx.role != pj.PJSIP_ROLE_UAC or event.tsx.method in OF_THE_STACK:
            return False
        transaction = int(event.tsx.pjTransaction)
        if self._sending is not None:
            if self._sending.token:
                self._waiting[transaction] = self._sending
            self._sending = None
            return True
        if transaction not in self._waiting:
            self._again(transaction, parse(event.src.tdata.wholeMsg))
        return True

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
