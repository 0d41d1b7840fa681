# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests as they arrive, before pjsip's dialogs and pjsua see them: answered here, handed to the hub, or left to the stack.

    outside a dialog ─► INVITE: pjsua │ methods that the hub takes: `outside` │ OPTIONS, NOTIFY and the rest: answered here
    inside a dialog  ─► tags and CSeq are looked at (RFC 3261 §12.2.2)
                        ├─ INVITE, UPDATE, PRACK, BYE: pjsip answers; the hub is told of all but the last, of whose end it hears
                        └─ all others: the hub answers

Replies are stateless, so what a retransmitted request wants again is remembered with its call for a while.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable

from di.sip.records import Event, RequestReceived, SendReply
from interfaces.sip.abilities import Abilities
from interfaces.sip.call import OFFERING, SipCall
from interfaces.sip.mending import Mended, Origin
from interfaces.sip.message import Message, cseq_of, header_pairs, header_values, tag_of
from interfaces.sip.outside import RETRY_AFTER_S, OutsideTransactions
from interfaces.sip.received import Request
from interfaces.sip.sdp.crypto import without_keys
from interfaces.sip.source_limits import SourceVerdict
from interfaces.sip.structures import Reply, Waiting, final
from interfaces.sip.subscription import Reply as NotifyReply

log = logging.getLogger(__name__)

MAX_WAITING_REQUESTS = 32
"""Requests inside one call whose reply the hub owes; more are refused with 503, for a peer must not fill our memory."""
_OFFER_AGAIN_S = 4
_MAX_REMEMBERED_REPLIES = 16
_PATIENCE_S = 30
"""The sender gives up after 64·T1 = 32 s (RFC 3261 §17.1.2.2, timer F)."""
_UNREADABLE_LINES_A_SECOND = 5
_DIGITS = re.compile("[0-9]+")
_WITH_CONTACT = (" REFER", " SUBSCRIBE", " NOTIFY")
"""Requests whose 2xx says where we are (RFC 3515 §2.2, RFC 6665 §8.2)."""
_OF_THE_STACK = ("INVITE", "UPDATE", "PRACK", "BYE")
"""Requests inside a dialog that pjsip answers."""


class Requests:
    """`call_of` finds a call by Call-ID and our tag, `notified` answers a NOTIFY of a subscription found in the same way.

    `closed` says whether new calls are refused, `outside` takes what the hub wants to see outside dialogs, `admits` judges requests outside
    dialogs by source address and whether they are INVITEs; `now_ns` is monotonic.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        call_of: Callable[[str, str], SipCall | None],
        closed: Callable[[], bool],
        notified: Callable[[str, str, Message], NotifyReply | None],
        outside: OutsideTransactions,
        admits: Callable[[str, bool], SourceVerdict],
        now_ns: Callable[[], int],
        lets_in: Callable[[str], bool] = lambda source_ip: True,
    ) -> None:
        self._emit = emit
        self._lets_in = lets_in
        self._call_of = call_of
        self._notified = notified
        self._closed = closed
        self._outside = outside
        self._admits, self._now_ns = admits, now_ns
        self._token = 0
        self._second = 0
        self.options: tuple[int, str] = (200, "OK")
        self._unreadable_lines = 0
        self.abilities = Abilities()

    def arrived(self, request: Request) -> bool:
        """Look at a request before pjsip's dialogs do; True when it has been dealt with."""
        message = request.message
        method = message.start_line.partition(" ")[0]
        if not self._lets_in(request.source_ip) and not self._of_a_call(method, request):
            return _kept_out(self._admits(request.source_ip, False), request)
        if method in ("ACK", "CANCEL"):
            return False
        numbered = message.header("CSeq").split()
        if len(numbered) > 1 and numbered[1] != method and _DIGITS.fullmatch(numbered[0]):
            return request.reply(400, "CSeq Names Another Method")  # RFC 3261 §8.1.1.5
        tag = tag_of(message.header("To"))
        if not tag:
            if method == "INVITE":
                return self._new_call(message, request)
            if (verdict := self._admits(request.source_ip, False)) is not SourceVerdict.PASS:
                return _kept_out(verdict, request)
            return self._without_dialog(method, message, request)
        call = self._call_of(message.header("Call-ID"), tag)
        if call is not None and call.remote_tag.lower() in ("", tag_of(message.header("From")).lower()):
            return self._inside(call, method, message, request)
        if method == "SUBSCRIBE" and call is None:
            if (verdict := self._admits(request.source_ip, False)) is not SourceVerdict.PASS:
                return _kept_out(verdict, request)
            return self._outside.arrived(method, message, request)  # the hub knows whether there is such a subscription
        # with a strange tag pjsip answers 481; it knows nothing of subscriptions
        return method == "NOTIFY" and call is None and self._of_subscription(message, tag, request)

    def _of_a_call(self, method: str, request: Request) -> bool:
        """Whether an outsider's request belongs to a call that is there: its tags are known to its peer and to whoever is on its way only."""
        if method == "ACK":
            return True  # never answered
        message = request.message
        call = self._call_of(message.header("Call-ID"), tag_of(message.header("To")))
        return call is not None and call.remote_tag.lower() == tag_of(message.header("From")).lower()

    def unreadable(self, mended: Mended, source: Origin) -> bool:
        """A message came that pjsip's parser did not take; whether its reply may go out."""
        where = f"{source.ip}:{source.port}"
        if not mended.code:
            left_out = ", ".join(name or "line without a name" for name in mended.left_out)
            self._say_unreadable(f"a message from {where} has what cannot be read: {left_out} is left out, for it is not needed")
            return False
        self._say_unreadable(
            f"a request from {where} cannot be read: {mended.code} {mended.reason}"
            if mended.data
            else f"a message from {where} cannot be read and is dropped: {mended.reason}"
        )
        return bool(mended.data) and self._admits(source.ip, False) is not SourceVerdict.DROP

    def _say_unreadable(self, text: str) -> None:
        """A line in the log, a few a second: whoever sends such messages can send many."""
        self._unreadable_lines += 1
        if self._unreadable_lines <= _UNREADABLE_LINES_A_SECOND:
            log.info("%s", text)

    # --------------------------------------------------------------------------------------------------- without a dialog
    def _new_call(self, message: Message, request: Request) -> bool:
        verdict = SourceVerdict.REFUSE if self._closed() else self._admits(request.source_ip, True)
        if verdict is not SourceVerdict.PASS:
            return _kept_out(verdict, request)
        if message.has("replaces"):
            request.hide("Replaces")  # pjsua would answer by itself and end the other call: the hub decides
        return False

    def _without_dialog(self, method: str, message: Message, request: Request) -> bool:
        if method in ("BYE", "PRACK", "UPDATE"):
            return request.reply(481)  # spec core.md §6.4
        if self._asks_too_much(message, request) or self._outside.arrived(method, message, request):
            return True
        if method == "OPTIONS":
            return request.reply(*self.options, self.abilities.headers())
        if method == "NOTIFY":
            return self._of_subscription(message, "", request)
        return request.reply(488 if method == "REFER" else 501, headers=self.abilities.headers()[:1])

    def _asks_too_much(self, message: Message, request: Request) -> bool:
        """Refuse a request that needs an extension which we have not (RFC 3261 §8.2.2.3). Those of the stack it looks at itself."""
        unknown = [tag for tag in header_values(message, "Require") if tag.lower() not in self.abilities.supported]
        return bool(unknown) and request.reply(420, "Bad Extension", [("Unsupported", ", ".join(unknown))])

    def _of_subscription(self, message: Message, tag: str, request: Request) -> bool:
        """A NOTIFY outside calls: for one of our subscriptions, or for none (RFC 6665 §4.1.3)."""
        answer = self._notified(message.header("Call-ID"), tag, message)
        return request.reply(*(answer or (481, "Subscription does not exist", ())))

    # --------------------------------------------------------------------------------------------------- inside a dialog
    def _inside(self, call: SipCall, method: str, message: Message, request: Request) -> bool:
        key = f"{message.header('Via')}|{message.header('CSeq')}"  # a retransmission has the same branch
        if key in call.replies:
            return request.reply(*call.replies[key])
        if key in call.waiting:
            return True  # retransmitted while the hub thinks
        number = cseq_of(message)
        if number <= call.remote_cseq:
            return request.reply(500, "Out Of Order")  # RFC 3261 §12.2.2
        if method in _OF_THE_STACK:
            if method in OFFERING and not call.offers.take(self._now_ns()):
                log.debug("call %d: too many offers in a short time: %s is refused", call.number, method)
                return request.reply(500, "Too Many Offers", [("Retry-After", str(_OFFER_AGAIN_S))])  # as RFC 3261 §14.2
            call.remote_cseq = number
            if method in OFFERING:
                call.told_later = _record(call, 0, method, message)
            elif method == "PRACK":
                self._emit(_record(call, 0, method, message))
            return False
        if call.ended:
            return request.reply(481)  # our BYE is on its way
        if self._asks_too_much(message, request):
            call.remote_cseq = number
            return True
        if len(call.waiting) >= MAX_WAITING_REQUESTS or not request.keep():
            return request.reply(503, headers=[("Retry-After", str(RETRY_AFTER_S))])
        call.remote_cseq = number
        self._token += 1
        call.waiting[key] = Waiting(self._token, request, self._second)
        self._emit(_record(call, self._token, method, message))
        return True

    def answer(self, call: SipCall, command: SendReply) -> None:
        """Send the hub's reply to a waiting request."""
        key = next((key for key, waiting in call.waiting.items() if waiting.token == command.token), None)
        if key is None:
            log.debug("call %d: no request waits for the reply %d", call.number, command.token)
            return
        headers = header_pairs(command.headers, contact=300 <= command.code < 400)
        if 200 <= command.code < 300 and key.endswith(_WITH_CONTACT):
            headers += tuple(("Contact", contact) for contact in (call.waiting[key].request.contact(),) if contact)
        if command.code == 405 or (key.endswith(" OPTIONS") and command.code < 300):
            headers += self.abilities.headers({name.lower() for name, _ in headers} - {"allow"})  # further methods of the call's
        _answer(call, key, (final(command.code), command.reason, headers, command.content_type, command.body))

    def second_passed(self, calls: Iterable[SipCall]) -> None:
        """Refuse what the hub has left unanswered for too long, and say how many messages could not be read."""
        self._second += 1
        more, self._unreadable_lines = self._unreadable_lines - _UNREADABLE_LINES_A_SECOND, 0
        if more > 0:
            log.info("%d more messages could not be read", more)
        for call in calls:
            for key, waiting in list(call.waiting.items()):
                if self._second - waiting.second >= _PATIENCE_S:
                    log.error("call %d: the hub has not answered %s", call.number, key.rpartition("|")[2])
                    _answer(call, key, (500, "", (), "", b""))


def _kept_out(verdict: SourceVerdict, request: Request) -> bool:
    """Refuse a request, or say nothing. True: pjsip must not see it."""
    if verdict is SourceVerdict.REFUSE:
        request.reply(503, "Service Unavailable", [("Retry-After", str(RETRY_AFTER_S))])
    return True


def _record(call: SipCall, token: int, method: str, message: Message) -> RequestReceived:
    """A request inside a call; `token` 0: the stack answers."""
    wanted = token > 0
    body = without_keys(message.body) if method in OFFERING else message.body
    return RequestReceived(call.number, token, method, message.headers, message.content_type, body, reply_wanted=wanted)


def _answer(call: SipCall, key: str, reply: Reply) -> None:
    request = call.waiting.pop(key).request
    request.reply(*reply)
    request.release()
    call.replies[key] = reply
    while len(call.replies) > _MAX_REMEMBERED_REPLIES:
        del call.replies[next(iter(call.replies))]
