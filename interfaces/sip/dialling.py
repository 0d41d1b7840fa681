# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that go out: the address they leave from, what their keys have to be, their INVITE.

What cannot be dialled ends with a CallEnded that says why.
"""

from __future__ import annotations

from collections.abc import Callable

import pjsua2 as pj

from di.sip.records import CallEnded, Dial, Listen
from interfaces.sip.accounts import Accounts
from interfaces.sip.call import SipCall
from interfaces.sip.endpoint import SipEndpoint
from interfaces.sip.host import Host
from interfaces.sip.keying import MANDATORY, NOT_IN_THE_CLEAR, SrtpRule, rule_of
from interfaces.sip.live_calls import LiveCalls
from interfaces.sip.message import escaped, host_of, transport_of
from interfaces.sip.message_log import MessageLog
from interfaces.sip.native import leave_by_any
from interfaces.sip.structures import Credentials, reason_of


class Dialling:
    """Makes calls for `host` and keeps them in `calls`. `show_messages()`: from now on `messages` sees what is sent."""

    def __init__(
        self,
        host: Host,
        calls: LiveCalls,
        endpoint: SipEndpoint,
        accounts: Accounts,
        listen: Listen,
        messages: MessageLog,
        show_messages: Callable[[bool], None],
    ) -> None:
        self._host, self._calls = host, calls
        self._endpoint, self._accounts, self._listen = endpoint, accounts, listen
        self._messages, self._show_messages = messages, show_messages

    def dial(self, dial: Dial) -> None:
        """Send the INVITE of a new call."""
        rule = self._rule_towards(dial)
        if rule.mode == MANDATORY and not rule.suites:
            self._host.emit(CallEnded(dial.call, 488, NOT_IN_THE_CLEAR, "error"))
            return
        try:
            contact = dial.appearance.contact if dial.appearance is not None else ""
            self._accounts.lead(escaped(dial.next_hop), dial.request_uri, dial.way, dial.timer, contact, dial.place)
        except pj.Error as error:
            self._host.emit(CallEnded(dial.call, 500, f"next hop {dial.next_hop!r}: {error.reason}", "error"))
            return
        call = SipCall(self._host, self._accounts.outbound, dial.call)
        self._calls.add(call)
        call.keying.rule = rule
        if dial.username:
            call.credentials = Credentials(dial.realm, dial.username, dial.password, set())
        call.timer = dial.timer
        try:
            self._invite(call, dial)
        except (pj.Error, ValueError, TypeError, OverflowError) as error:
            call.emit_failure(500, f"Cannot dial: {reason_of(error)}")
            self._host.release(call)
            return
        if call.ended:
            return
        self._calls.took_slot(call)
        if self._listen.also:
            leave_by_any(call.slot)

    def _invite(self, call: SipCall, dial: Dial) -> None:
        """Raises pj.Error and others when something in it is not what it should be."""
        call.descriptions.prefer(dial.prefer)
        call.descriptions.offer_only(dial.codecs)
        call.descriptions.limit(dial.codecs if dial.later is None else dial.later)
        if dial.appearance is not None:
            call.appears(dial.appearance)
        if dial.log_messages:
            self._messages.begin(dial.call)
            self._show_messages(True)
        try:
            call.dial(dial, media_address(dial.media_ip, dial.media_port))
        finally:  # the INVITE that comes next may be a stranger's
            self._messages.begin(None)
        if dial.log_messages:
            self._messages.watch(dial.call, call.call_id or call.getInfo().callIdString)

    def _rule_towards(self, dial: Dial) -> SrtpRule:
        uri = dial.way or dial.next_hop.strip("<> ") or dial.request_uri
        tls = dial.request_uri.lower().startswith("sips:") or transport_of(uri) == "tls"
        places = self._endpoint.places
        place = places[dial.place] if 0 <= dial.place < len(places) else self._endpoint.place_towards(host_of(uri))
        return rule_of(self._listen.srtp, place.ip if place is not None else "", tls, dialled=True)


def media_address(ip: str, port: int) -> tuple[str, int] | None:
    """Where our audio is, of a command's two fields; None: the command names none."""
    return (ip, port) if port else None
