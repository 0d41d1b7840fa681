# SPDX-License-Identifier: GPL-2.0-or-later
"""The SIP process put together: the commands of `di.sip.records` carried out, what comes in taken in (`live_calls` keeps it).

A command that cannot be carried out (unknown call, wrong state, bad address) never raises: the call ends with a CallEnded that
says why, or the command was late and a line in the log says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

import pjsua2 as pj

from di.sip.outside_records import RefreshSubscription, ReplyOutside, SendOutside, Subscribe, TakeOutside, Unsubscribe
from di.sip.records import (
    CALL_COMMANDS,
    Answer,
    CallCommand,
    CallEvent,
    Command,
    Dial,
    Event,
    Hangup,
    Listen,
    Listening,
    LogIn,
    LogMessages,
    Present,
    Reinvite,
    ReplyReceived,
    SendReply,
    SendRequest,
    SetOptionsReply,
    SetSelection,
    SipHeld,
)
from interfaces.sip import mapping
from interfaces.sip.abilities import Abilities
from interfaces.sip.account import SipAccount
from interfaces.sip.accounts import Accounts
from interfaces.sip.call import SipCall
from interfaces.sip.dialling import Dialling, media_address
from interfaces.sip.endpoint import ListenError, SipEndpoint
from interfaces.sip.exchange import CannotSend, Done, OutRequest
from interfaces.sip.housekeeping import Housekeeping
from interfaces.sip.keying import NO_RULE, Unprotected, is_used, rule_of
from interfaces.sip.live_calls import LiveCalls
from interfaces.sip.message import Message, cseq_of, parse, tag_of, text_of
from interfaces.sip.message_log import MessageLog, SipPacket, told
from interfaces.sip.names import HostNames
from interfaces.sip.native import Native, arrived_at, leave_by_any
from interfaces.sip.outside import OutsideTransactions
from interfaces.sip.placeholders import Placeholders
from interfaces.sip.reader import DescriptionReader
from interfaces.sip.received import looked_at
from interfaces.sip.refreshes import Refreshes, too_long
from interfaces.sip.requests import Requests
from interfaces.sip.sdp.model import NOTHING
from interfaces.sip.session_timer import ChosenTimers, Interval, allows_update
from interfaces.sip.source_limits import SourceLimits
from interfaces.sip.structures import Credentials, reason_of
from interfaces.sip.subscriptions import SubscriptionUsages
from interfaces.sip.told import ToldCalls

log = logging.getLogger(__name__)

_ERRNO_OF_SIP_CODES = 170000
"""pjsip's error number of a SIP code is this plus the code (PJSIP_ERRNO_START)."""
_TURN_NS = 20_000_000
"""So long pjsip may go on while more comes."""


class SipServer:
    """Everything of the SIP process but its socket to the hub and its clock: `now_ns` is monotonic.

    `look_up(name)` begins to look a host name up; its addresses, or none, come by `HostNames.found`. `epoch_us` is the wall clock.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        now_ns: Callable[[], int],
        look_up: Callable[[str], None],
        epoch_us: Callable[[], int] = lambda: 0,
    ) -> None:
        self._emit = emit
        self._epoch_us = epoch_us
        self._messages = MessageLog()
        self.endpoint: SipEndpoint
        self._native: Native
        self._accounts: Accounts
        self._dialling: Dialling
        self._listen = Listen("", 0)
        self._has_srtp = False
        self.nat_handling = False
        self.codecs: frozenset[str] = frozenset()
        self.offered: frozenset[str] = frozenset()
        self.reader = DescriptionReader()
        self._slots = 0
        self._told = ToldCalls(self._invited)
        self._calls = LiveCalls(emit, lambda source_ip: self._sources.settled(source_ip), self._told)  # noqa: PLW0108 – no sources yet
        self._sources: SourceLimits
        self._housekeeping = Housekeeping()
        self._held = SipHeld()
        self.now_ns = now_ns
        self.random = Random()
        self.unprotected = Unprotected(now_ns)
        self.placeholders: Placeholders
        self._refreshes = Refreshes(self._calls.find, emit, self._stop_timer, self._calls.look_at, now_ns)
        self.names = HostNames(look_up, self._named, now_ns)
        self._subscriptions = SubscriptionUsages(emit, self._send, now_ns)
        self._outside = OutsideTransactions(emit, self._send, self._contact_towards)
        self._requests = Requests(
            emit,
            self._calls.in_dialog,
            self._closed,
            self._subscriptions.notified,
            self._outside,
            lambda source_ip, invite: self._sources.request(source_ip, invite, now_ns()),
            now_ns,
            lambda source_ip: self._sources.lets_in(source_ip),  # noqa: PLW0108 – there are no sources yet
        )
        self.stopping = False
        self.hub_silent = False
        """Nobody would answer a new call."""

    # ----------------------------------------------------------------------------------------------------------- start
    def start(self, listen: Listen) -> Listening:
        """Bind and begin. Raises ListenError."""
        self._listen, self._has_srtp = listen, is_used(listen.srtp)
        self._requests.options = (listen.options_code, listen.options_reason)
        self.nat_handling = listen.nat_handling
        self.codecs = frozenset("/".join(name.upper().split("/")[:2]) for name in listen.codecs)
        self.offered = frozenset(name.upper() for name in listen.offered) or self.codecs
        self.reader = DescriptionReader(self.codecs)
        abilities = Abilities(listen.reliable_provisional in ("supported", "require"), listen.user_agent)
        self._requests.abilities = self._outside.abilities = abilities
        self.endpoint = SipEndpoint(many=bool(listen.also or listen.timers))
        self._chosen_timers = ChosenTimers(listen)
        self._native = Native(
            self._requests.arrived, self._requests.unreadable, self._look, self._account_towards, self._account_of,
            self.names.asked, self._message_seen, self._too_long,
        )  # fmt: skip
        self.placeholders = self._native.placeholders
        self.endpoint.start(listen)
        self._native.start(abilities, listen.accept_forked, self._has_srtp)
        self._told.start()
        self._sources = SourceLimits(listen.limits)
        self._native.limit_connections(self._sources, listen.limits)
        self._slots = self._native.max_calls()
        if self._slots < listen.max_calls:
            text = f"max_calls={listen.max_calls} is above the {self._slots} that this pjsua2 was built for: lower it"
            raise ListenError(text).of("max_calls")
        make = partial(SipAccount, self._calls.credentials.get)
        self._accounts = Accounts(self.endpoint, listen, make)
        self._dialling = Dialling(
            self, self._calls, self.endpoint, self._accounts, listen, self._messages, self._native.show_messages
        )
        if listen.also or listen.timers:
            self.endpoint.select_accounts(self._account_of_arrival)
        return Listening(tuple(self.endpoint.transports), listen.max_calls, self.endpoint.library.libVersion().full)

    def _look(self, content_type: str, body: bytes, received: Any) -> bytes | None:
        rule = NO_RULE
        if self._has_srtp:
            ip, _, kind = arrived_at(received)
            rule = rule_of(self._listen.srtp, ip, kind == "tls")
        return self.reader.look(content_type, body, rule)

    def _named(self, number: int, name: str, addresses: tuple[str, ...]) -> None:
        self._native.named(number, name, addresses)

    def _account_towards(self, uri: str) -> int:
        return self._accounts.towards(uri)

    def _account_of_arrival(self, received: Any) -> int:
        if not self._listen.timers:
            return self._accounts.of_request(received)
        return self._accounts.of_call(received, self._chosen_timers.of(looked_at(received)[0]))

    def _contact_towards(self, user: str, uri: str) -> str:
        return self._accounts.contact(user, uri)

    def _account_of(self, received: Any) -> int:
        return self._accounts.of_request(received)

    def _send(self, request: OutRequest, done: Done) -> None:
        if self._listen.user_agent:
            request = replace(request, headers=(*request.headers, ("User-Agent", self._listen.user_agent)))
        self._native.exchanges.send(request, done)

    def poll(self, look: bool = True) -> int:
        """Let pjsip work until it has nothing left, then let go of calls that are over. Returns how much it handled.

        `look`: at what has come, and at its timers; if not, only what commands have begun is done.
        Under a flood it never has: after a while the hub's commands, and its question whether we are there, get their turn.
        """
        handled, until_ns = 0, self.now_ns() + _TURN_NS
        while look and (now := self.endpoint.poll()) > 0:
            handled += now
            if self.now_ns() >= until_ns:
                break
        self.reader.arrived = NOTHING
        self._calls.work()
        return handled

    def idle_s(self, finest_s: float, longest_s: float) -> float:
        """How long nothing is to be done unless something comes, between these."""
        if self._calls.waits:
            return finest_s
        return min(max(self._native.next_timer_s(), finest_s), longest_s)

    def second_passed(self) -> None:
        """Once a second: pjsip may write to the log again, unanswered requests are refused, subscriptions refreshed."""
        self.endpoint.log_writer.second_passed()
        self._requests.second_passed(self._calls)
        self._outside.second_passed()
        self._subscriptions.second_passed()
        self.names.second_passed()
        self._messages.second_passed(self.now_ns())
        self._native.show_messages(bool(self._messages))
        self._refreshes.second_passed()
        if self._listen.tls_port:
            self._native.end_handshakes(self._listen.tls_port)
        self._housekeeping.second_passed(
            self._sources.take_refused(), self._native.give_back_memory, self._sources.take_kept_out()
        )
        held = self._native.held()
        if held != self._held:
            self._held = held
            self._emit(held)

    # -------------------------------------------------------------------------------------------------- what calls need
    def emit(self, record: CallEvent) -> None:
        """Send a record of a call to the hub, or what our own refreshes wait for to them."""
        if type(record) is not ReplyReceived or not self._refreshes.takes(record):
            self._calls.emit(record)

    def look_at(self, call: SipCall) -> None:
        """Let it `work` once pjsip is no longer on the stack."""
        self._calls.look_at(call)

    def release(self, call: SipCall) -> None:
        """Forget a call; its object lives on until `poll` has come back from pjsip."""
        if self._calls.release(call):
            if self._messages:
                self._messages.ended(call.number, call.call_id, self.now_ns())
            self._refreshes.forget(call.number)

    def update(self, call: SipCall, headers: tuple[tuple[str, str], ...]) -> None:
        """Send an UPDATE without an offer. Raises CannotSend."""
        self._native.update(call.call_id, call.local_tag, call.remote_tag, headers)

    def identified(self, call: SipCall) -> None:
        """Requests inside its dialog can now be told apart."""
        self._calls.identified(call)

    def contact(self, call: SipCall, value: str) -> bool:
        """What our messages in its dialog name. False: it is no Contact."""
        return self._native.set_contact(call.slot, value)

    def send_to(self, call: SipCall, uri: str, always: bool) -> bool:
        """Where requests in its dialog go, if no proxy stands in their way, or `always`."""
        return self._native.send_to(call.slot, uri, always)

    def _message_seen(self, packet: SipPacket) -> None:
        seen = self._messages.seen(packet, self._epoch_us())
        if seen is not None:
            self._emit(seen)

    def _log_in(self, call: SipCall, login: LogIn) -> None:
        hosts = {call.began[0].source_ip} if call.began is not None else set()
        call.credentials = self._calls.credentials[call.slot] = Credentials(login.realm, login.username, login.password, hosts)

    def _watch(self, call: SipCall) -> None:
        self._messages.watch(call.number, call.call_id)
        self._native.show_messages(True)
        if call.began is not None:
            self._emit(told(call.number, *call.began))

    def refreshed(self, call: SipCall, interval: Interval) -> None:
        """A 2xx says how long the call lives without a refresh."""
        if self._calls.find(call.number) is not None:
            self._refreshes.agreed(call, interval)

    def _too_long(self, text: str) -> bool:
        reply = parse(text)
        return too_long(self._calls.in_dialog(reply.header("Call-ID"), tag_of(reply.header("From"))), text)

    def _stop_timer(self, call: SipCall) -> bool:
        return self._native.stop_session_timer(call.call_id, call.local_tag, call.remote_tag)

    # -------------------------------------------------------------------------------------------------------- commands
    def handle(self, command: Command) -> None:
        """Carry out one command."""
        if isinstance(command, CALL_COMMANDS):
            call = self._calls.find(command.call)
            if call is None or call.ended:
                log.debug("%s for call %d came after its end", type(command).__name__, command.call)
                return
            try:
                self._command(call, command)
            except (pj.Error, CannotSend, ValueError, TypeError, OverflowError) as error:
                self._failed(call, command, error)
        elif isinstance(command, SetSelection):
            self._chosen_timers.select(command.selection, command.mapping)
        elif isinstance(command, SetOptionsReply):
            self._requests.options = (command.code, command.reason)
        elif isinstance(command, Dial):
            self._dialling.dial(command)
        elif isinstance(command, (Subscribe, RefreshSubscription, Unsubscribe)):
            self._subscriptions.handle(command)
        elif isinstance(command, SendOutside):
            self._outside.send(command)
        elif isinstance(command, ReplyOutside):
            self._outside.reply(command)
        elif isinstance(command, TakeOutside):
            self._outside.take(command)
        else:
            log.warning("%s is no command for the SIP process", type(command).__name__)

    def _command(self, call: SipCall, command: CallCommand) -> None:
        match command:
            case Answer():
                call.descriptions.limit(command.payloads)
                call.reply(command.code, command.reason, command.headers, media_address(command.media_ip, command.media_port))
                if command.later is not None:
                    call.descriptions.limit(command.later)
            case Hangup():
                call.end(command.code, command.reason, command.headers)
            case Present():
                call.present(command.appearance)
            case LogIn():
                self._log_in(call, command)
            case LogMessages():
                self._watch(call)
            case Reinvite():
                call.offer_again(command)
                self._calls.look_at(call)
            case SendRequest():
                call.request(command)
            case SendReply():
                self._requests.answer(call, command)

    def _failed(self, call: SipCall, command: Command, error: Exception) -> None:
        """pjsip refused a command: an unanswered call cannot go on, for the others the call stays as it is."""
        text = reason_of(error)
        log.error("call %d: %s failed: %s", call.number, type(command).__name__, text)
        if isinstance(command, Answer) and not call.confirmed:
            self._give_up(call, error, text)
        elif isinstance(command, SendRequest):
            call.requests.fail(command.token, 500, text)

    def _give_up(self, call: SipCall, error: Exception, text: str) -> None:
        """The caller must get a final reply even though pjsip could not make the wanted one (a description that nothing answers)."""
        code = int(getattr(error, "status", 0)) - _ERRNO_OF_SIP_CODES
        code = code if 400 <= code < 700 else 500
        call.emit_failure(code, text)
        try:
            call.end(code, "", ())
        except pj.Error as again:
            log.error("call %d: no final reply: %s", call.number, again.reason)

    def hang_up_all(self) -> None:
        """BYE, CANCEL or 503 to every call, Expires 0 to every notifier."""
        self.stopping = True
        self._subscriptions.end_all()
        for call in self._calls:
            if not call.ended:
                self.handle(Hangup(call.number, 503, "Service Unavailable"))

    def busy(self) -> bool:
        """Whether pjsip still holds calls, be it only for the answer to a BYE, or subscriptions and requests wait for a reply."""
        return self._native.active_calls() > 0 or self._subscriptions.busy() or self._outside.busy()

    def _closed(self) -> bool:
        """Whether new calls are refused: at the cap, stopping, or without a hub that answers."""
        if self.stopping or self.hub_silent:
            return True
        return len(self._calls) >= self._listen.max_calls or self._native.active_calls() >= self._slots

    # --------------------------------------------------------------------------------------------------- what comes in
    def _invited(self, slot: int, message: Message, packet: SipPacket, received: Any) -> None:
        number = self._calls.take_number()
        call = SipCall(self, self._accounts.inbound, number, slot)
        self._calls.add(call)
        call.call_id = message.header("Call-ID")
        call.remote_cseq = cseq_of(message)
        if self._listen.timers:
            call.timer, call.allows_update = self._chosen_timers.of(text_of(packet.data)), allows_update(message.headers)
        arrived = self.reader.arrived  # of this very INVITE
        call.descriptions.received = offer = arrived if arrived.media else self.reader.read(message.description)
        call.keying.rule = self.reader.rule
        self._calls.took_slot(call)
        place = self._accounts.place_of(received)
        record = mapping.offered(number, message, packet, offer, place, self.codecs)
        self._calls.offer(record)
        call.remote_tag = record.remote_tag
        call.arrived(packet, self._epoch_us())
        if self._listen.also:
            leave_by_any(slot)
        self._sources.begun(record.source_ip)
        if unprotected := call.keying.refusal(offer):
            self.unprotected.tell(f"call {number} from {packet.source_ip}:{packet.source_port}", unprotected)
            call.reply(488, "", (f'Warning: 302 cordboard "{unprotected}"',), None)
