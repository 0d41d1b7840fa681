# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests outside of dialogs, both ways: the hub's go out through `exchange`, those of methods that it takes wait for its answer.

    SendOutside ─► OutRequest ─► pjsip transaction ─► (401, 407: once more with credentials) ─► OutsideReplied
    network ─► OutsideReceived ─► ReplyOutside ─► stateless reply, given again to each retransmission

pjsip is reached through what is passed in, so all of this runs in tests without it.
"""

from __future__ import annotations

import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from di.sip.headers import TOKEN
from di.sip.outside_records import OutsideReceived, OutsideReplied, ReplyOutside, SendOutside, TakeOutside
from di.sip.records import Event
from interfaces.sip.abilities import Abilities
from interfaces.sip.digest import Login, why_not
from interfaces.sip.exchange import CannotSend, Done, OutRequest
from interfaces.sip.message import Message, header_pairs, route_of, tag_of
from interfaces.sip.received import Request
from interfaces.sip.sent_requests import OF_THE_STACK
from interfaces.sip.structures import Reply, final

log = logging.getLogger(__name__)

RETRY_AFTER_S = 10
MAX_WAITING = 256
"""Requests whose reply the hub owes; more are refused with 503, for strangers must not fill our memory."""
_MAX_REMEMBERED = 1024
_PATIENCE_S = 30
"""The sender gives up after 64·T1 = 32 s (RFC 3261 §17.1.2.2, timer F)."""
_MAX_LOGINS = 20_000
"""Registrations whose last challenge is remembered; one that is forgotten costs a further round trip."""
_WITHOUT_CONTACT = frozenset(("MESSAGE", "REGISTER", "PUBLISH"))
"""RFC 3428 §4 forbids it, RFC 3903 §4 knows none, and in a registration it is what is registered: the hub's to say."""

Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A request whose reply the hub owes. `second`: when it came; `tag`: of To in the reply."""

    key: Key
    request: Request
    second: int
    tag: str


@dataclass(frozen=True, slots=True)
class _Sending:
    """A request of the hub's until its final reply. `contact`: the URI of ours that it carries, if any."""

    command: SendOutside
    login: Login
    contact: str


class OutsideTransactions:
    """`emit` sends a record to the hub, `send` gives a request to pjsip (`Exchanges.send`).

    `contact(user, uri)` makes a URI of ours that leads to where a request to `uri` leaves from.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        send: Callable[[OutRequest, Done], None],
        contact: Callable[[str, str], str] = lambda user, uri: "",
    ) -> None:
        self._emit, self._send, self._contact = emit, send, contact
        self._logins: OrderedDict[str, Login] = OrderedDict()
        self._taken: frozenset[str] = frozenset()
        self._waiting: dict[int, _Waiting] = {}
        self._tokens: dict[Key, int] = {}
        self._replies: OrderedDict[Key, tuple[Reply, str]] = OrderedDict()
        self.abilities = Abilities()
        self._token = self._second = self._in_flight = 0

    # ------------------------------------------------------------------------------------------------------------ inwards
    def take(self, command: TakeOutside) -> None:
        """The hub wants these methods from now on; those of calls stay the stack's."""
        self._taken = frozenset(command.methods) - OF_THE_STACK

    def arrived(self, method: str, message: Message, request: Request) -> bool:
        """Take a request, if the hub wants it: one without a To tag, or a SUBSCRIBE of a dialog that is no call."""
        key = (message.header("Via"), message.header("Call-ID"), message.header("CSeq"), tag_of(message.header("From")))
        if key in self._replies:
            reply, tag = self._replies[key]
            return request.reply(*reply, to_tag=tag)
        if key in self._tokens:
            return True  # retransmitted while the hub thinks
        if method not in self._taken:
            return False
        if len(self._waiting) >= MAX_WAITING or not request.keep():
            return request.reply(503, headers=[("Retry-After", str(RETRY_AFTER_S))])
        self._token += 1
        self._tokens[key] = self._token
        tag = tag_of(message.header("To")) or secrets.token_hex(8)
        self._waiting[self._token] = _Waiting(key, request, self._second, tag)
        self._emit(
            OutsideReceived(
                self._token, method, message.request_uri, message.header("From"), message.header("To"), message.header("Call-ID"),
                request.source_ip, request.source_port, message.headers, message.content_type, message.body, tag,
            )
        )  # fmt: skip
        return True

    def reply(self, command: ReplyOutside) -> None:
        """Send the hub's reply; one that nobody waits for is late."""
        if command.token not in self._waiting:
            log.debug("no request outside of calls waits for the reply %d", command.token)
            return
        headers = header_pairs(command.headers, contact=True)
        method = self._waiting[command.token].key[2].rpartition(" ")[2]
        if method == "SUBSCRIBE" and command.code < 300:  # it makes a dialog (RFC 6665 §4.2.1.1)
            contact = self._waiting[command.token].request.contact()
            headers += (("Contact", contact),) if contact else ()
        if command.code == 405 or (method == "OPTIONS" and command.code < 300):
            headers += self.abilities.headers({name.lower() for name, _ in headers})
        self._answer(command.token, (final(command.code), command.reason, headers, command.content_type, command.body))

    def second_passed(self) -> None:
        """Refuse what the hub has left unanswered for too long."""
        self._second += 1
        for token, waiting in list(self._waiting.items()):
            if self._second - waiting.second >= _PATIENCE_S:
                log.error("the hub has not answered %s outside of calls", waiting.key[2])
                self._answer(token, (480, "", (), "", b""))

    def _answer(self, token: int, reply: Reply) -> None:
        waiting = self._waiting.pop(token)
        del self._tokens[waiting.key]
        waiting.request.reply(*reply, to_tag=waiting.tag)
        waiting.request.release()
        self._replies[waiting.key] = reply, waiting.tag
        while len(self._replies) > _MAX_REMEMBERED:
            self._replies.popitem(last=False)

    # ----------------------------------------------------------------------------------------------------------- outwards
    def send(self, command: SendOutside) -> None:
        """Send the hub's request; its reply, or the lack of one, comes as OutsideReplied."""
        if command.method in OF_THE_STACK or not TOKEN.fullmatch(command.method):
            self._refused(command, f"{command.method!r} is no request outside of calls")
            return
        headers = [("Route", value) for value in command.route or ((route_of(command.next_hop),) if command.next_hop else ())]
        contact = self._contact(command.contact_user, command.next_hop or command.request_uri) if command.contact_user else ""
        if command.contact_user:
            if not contact:
                self._refused(command, f"no transport of ours leads to {command.next_hop or command.request_uri}")
                return
            headers.append(("Contact", f"<{contact}>"))
        request = OutRequest(
            command.method, command.request_uri, f"{command.from_uri};tag={command.from_tag or secrets.token_hex(8)}", command.to_uri,
            command.call_id or secrets.token_hex(16), command.cseq or 1,
            (*headers, *header_pairs(command.headers, contact=command.method == "REGISTER")),
            command.content_type, command.body, contact=command.method not in _WITHOUT_CONTACT,
        )  # fmt: skip
        login = self._login(command)
        self._go(_Sending(command, login, contact), request, login.again(request.method, request.target, secrets.token_hex(8)))

    def _login(self, command: SendOutside) -> Login:
        """Who answers challenges; for what goes on under one Call-ID the one that did so before."""
        login = self._logins.pop(command.call_id, None) if command.call_id else None
        if login is None or not login.fits(command.realm, command.username, command.password):
            login = Login(command.realm, command.username, command.password)
        if command.call_id and command.username:
            self._logins[command.call_id] = login
            if len(self._logins) > _MAX_LOGINS:
                self._logins.popitem(last=False)
        return login

    def busy(self) -> bool:
        """Whether replies to our requests are still to come."""
        return self._in_flight > 0

    def _go(self, sending: _Sending, request: OutRequest, authorization: tuple[tuple[str, str], ...]) -> None:
        def done(code: int, reason: str, message: Message | None, source: str) -> None:
            self._in_flight -= 1
            if message is not None and code in (401, 407):
                answer = sending.login.answer(message, source, request.method, request.target, secrets.token_hex(8))
                if answer:
                    self._go(sending, replace(request, cseq=request.cseq + 1), answer)
                    return
                if why := why_not(message):
                    log.warning("%s to %s is not answered after %d: %s", request.method, request.target, code, why)
            elif message is not None:
                sending.login.accepted(message)
            self._replied(sending, request, code, reason, message, source)

        self._in_flight += 1
        try:
            self._send(replace(request, headers=(*request.headers, *authorization)), done)
        except CannotSend as error:
            self._in_flight -= 1
            self._refused(sending.command, str(error))

    def _replied(
        self, sending: _Sending, request: OutRequest, code: int, reason: str, message: Message | None, source: str
    ) -> None:
        token, contact = sending.command.token, sending.contact
        if message is None:
            self._emit(OutsideReplied(token, code, reason, cseq=request.cseq, contact=contact))
            return
        self._emit(
            OutsideReplied(
                token, code, reason, message.headers, message.content_type, message.body, source, request.cseq, contact,
            )
        )  # fmt: skip

    def _refused(self, command: SendOutside, reason: str) -> None:
        log.error("request %d outside of calls: %s", command.token, reason)
        self._emit(OutsideReplied(command.token, 500, reason))
