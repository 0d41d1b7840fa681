# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests that pjsua2 does not bring to us: outside a dialog answered here, inside one handed to the hub.

Replies are stateless, so what a retransmitted request wants again is remembered with its call for a while.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable

from di.sip.records import Event, RequestReceived, SendReply
from interfaces.sip.call import SipCall
from interfaces.sip.message import Message, header_pairs, parse, tag_of
from interfaces.sip.native import Request
from interfaces.sip.structures import Reply, Waiting
from interfaces.sip.subscription import Reply as NotifyReply

log = logging.getLogger(__name__)

ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, PRACK, UPDATE, MESSAGE, REFER, NOTIFY"
RETRY_AFTER_S = 10
MAX_WAITING_REQUESTS = 32
"""Requests inside one call whose reply the hub owes; more are refused with 503, for a peer must not fill our memory."""
_MAX_REMEMBERED_REPLIES = 16
_PATIENCE_S = 32
"""The sender gives up after 64·T1 = 32 s (RFC 3261 §17.1.2.2, timer F)."""
_TO_TAG = re.compile(r"\n(?:To|t)[ \t]*:[^\n]*;[ \t]*tag[ \t]*=", re.IGNORECASE)
"""A To header with a tag, without taking the whole message apart."""


class Requests:
    """`call_of` finds a call by Call-ID and our tag, `notified` answers a NOTIFY of a subscription found in the same way.

    `closed` says whether new calls are refused.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        call_of: Callable[[str, str], SipCall | None],
        closed: Callable[[], bool],
        notified: Callable[[str, str, Message], NotifyReply | None],
    ) -> None:
        self._emit = emit
        self._call_of = call_of
        self._notified = notified
        self._closed = closed
        self._token = 0
        self._second = 0
        self.options: tuple[int, str] = (200, "OK")
        self.supported = "replaces, timer"
        self.user_agent = ""

    def arrived(self, request: Request) -> bool:
        """Look at a request before pjsua does; True when it has been dealt with."""
        method = request.text.partition(" ")[0]
        if method in ("ACK", "CANCEL", "UPDATE"):
            return False
        if method == "INVITE":
            return self._over_the_cap(request)
        if method in ("BYE", "PRACK"):
            tagged = _TO_TAG.search(request.text) or tag_of(parse(request.text).header("To"))
            return False if tagged else request.reply(481)  # spec core.md §6.4
        message = parse(request.text)
        tag = tag_of(message.header("To"))
        if method == "OPTIONS":
            return self._answer_options(request)
        if not tag and method != "NOTIFY":
            return request.reply(488 if method == "REFER" else 501, headers=[("Allow", ALLOW)])
        call = self._call_of(message.header("Call-ID"), tag)
        if call is not None:
            return self._inside(call, method, message, request)
        return method == "NOTIFY" and self._of_subscription(message, tag, request)

    def _of_subscription(self, message: Message, tag: str, request: Request) -> bool:
        """A NOTIFY outside calls: for one of our subscriptions, or for none (RFC 6665 §4.1.3)."""
        answer = self._notified(message.header("Call-ID"), tag, message)
        return request.reply(*(answer or (481, "Subscription does not exist", ())))

    def _over_the_cap(self, request: Request) -> bool:
        if not self._closed() or tag_of(parse(request.text).header("To")):
            return False
        return request.reply(503, "Service Unavailable", [("Retry-After", str(RETRY_AFTER_S))])

    def _answer_options(self, request: Request) -> bool:
        headers = [("Allow", ALLOW), ("Accept", "application/sdp"), ("Supported", self.supported)]
        if self.user_agent:
            headers.append(("Server", self.user_agent))
        return request.reply(*self.options, headers)

    def _inside(self, call: SipCall, method: str, message: Message, request: Request) -> bool:
        key = message.header("CSeq")
        if key in call.replies:
            return request.reply(*call.replies[key])
        if key in call.waiting:
            return True  # retransmitted while the hub thinks
        if len(call.waiting) >= MAX_WAITING_REQUESTS or not request.keep():
            return request.reply(503, headers=[("Retry-After", str(RETRY_AFTER_S))])
        self._token += 1
        call.waiting[key] = Waiting(self._token, request, self._second)
        record = RequestReceived(
            call.number, self._token, method, message.headers, message.content_type, message.body, reply_wanted=True
        )
        self._emit(record)
        return True

    def answer(self, call: SipCall, command: SendReply) -> None:
        """Send the hub's reply to a waiting request."""
        key = next((key for key, waiting in call.waiting.items() if waiting.token == command.token), None)
        if key is None:
            log.debug("call %d: no request waits for the reply %d", call.number, command.token)
            return
        headers = header_pairs(command.headers, contact=300 <= command.code < 400)
        _answer(call, key, (command.code, command.reason, headers, command.content_type, command.body))

    def second_passed(self, calls: Iterable[SipCall]) -> None:
        """Refuse what the hub has left unanswered for too long."""
        self._second += 1
        for call in calls:
            for key, waiting in list(call.waiting.items()):
                if self._second - waiting.second > _PATIENCE_S:
                    log.error("call %d: the hub has not answered %s", call.number, key)
                    _answer(call, key, (500, "", (), "", b""))


def _answer(call: SipCall, key: str, reply: Reply) -> None:
    request = call.waiting.pop(key).request
    request.reply(*reply)
    request.release()
    call.replies[key] = reply
    while len(call.replies) > _MAX_REMEMBERED_REPLIES:
        call.replies.popitem(last=False)
