# SPDX-License-Identifier: GPL-2.0-or-later
"""The part of a call's flow that finds where it is sent, and sends it elsewhere when that fails or leads on (`di.calls.ways`).

`before_dialling` runs when a call out has been admitted; `after` is asked first when it has ended without an answer.
"""

from __future__ import annotations

import logging
from typing import Protocol

from di.calls.call_info import CallInfo, DialPlan
from di.calls.dialog import Dialog
from di.calls.events import Outcome
from di.calls.state import Phase
from di.calls.timer_numbers import WAY_TIMER
from di.calls.trust import signalling_of
from di.calls.ways import Ways, contacts_of, is_dead_end
from di.kernel.errors import CallFailed
from di.kernel.ports import Clock
from di.kernel.value import Value
from di.sip.headers import parse_uri
from di.sip.locate import LookupFailed
from di.sip.port import SipPort
from di.sip.records import CallEnded, Hangup

log = logging.getLogger(__name__)
_CALLING = frozenset({Phase.TRYING, Phase.PROCEEDING})


class WayTimers(Protocol):
    """The call's timers."""

    def set(self, id: int, delay_ms: float) -> None:
        """Start one, or start it anew."""

    def remove(self, id: int) -> None:
        """Stop one."""


class WayHost(Protocol):
    """What finding a way needs of the server (`di.calls.host.SessionHost`)."""

    @property
    def sip(self) -> SipPort:
        """The way to the SIP process."""

    @property
    def sip_is_up(self) -> bool:
        """Whether there is a SIP process to send to."""

    @property
    def clock(self) -> Clock:
        """Time."""

    @property
    def ways(self) -> Ways:
        """Where calls out can be sent."""

    @property
    def way_timeout_ms(self) -> int:
        """How long an address may take for its first reply."""

    def lead(self, info: CallInfo, plan: DialPlan, host: str) -> None:
        """Let a call out to a host leave from the interface that leads there, or the one that it must leave from."""

    def renumber(self, call: int) -> int:
        """Give a call that is sent anew a new number."""

    def admit_redirect(self, id: str, uri: str) -> None:
        """Ask the dial control. Raises CallFailed."""


class WayCall(Protocol):
    """A call out (`di.calls.session.Session`)."""

    id: str
    dialog: Dialog

    @property
    def host(self) -> WayHost:
        """The server."""

    @property
    def call(self) -> int:
        """The SIP process's number of it."""

    @property
    def info(self) -> CallInfo:
        """What is known of its SIP side."""

    @property
    def timers(self) -> WayTimers:
        """Its timers."""

    def post(self, event: CallEnded) -> bool:
        """Queue an event."""

    def log(self, **attributes: Value) -> None:
        """Set attributes of its record."""


def before_dialling(session: WayCall) -> Outcome:
    """Find the addresses of names, if there are any; without one the call ends."""
    plan, uri = session.dialog.plan, session.info.request_uri
    plan.visited.add(uri)
    if session.dialog.ending or session.host.ways.needs_none(plan, uri):
        return None
    return _find(session)


async def _find(session: WayCall) -> None:
    plan, host, uri = session.dialog.plan, session.host, session.info.request_uri
    try:
        plan.ways = await host.ways.find(plan, uri, host.clock.now_ns())
    except LookupFailed as error:
        log.warning("call %s: there is no way to %s: %s", session.id, uri, error)
        session.post(CallEnded(session.call, 502, "No Way There", "error"))
        session.dialog.enter(Phase.CANCELLING)
        return
    first = plan.ways[0]
    session.info.signalling = signalling_of(first.ip, ())
    host.lead(session.info, plan, first.ip)


def tried(session: WayCall) -> None:
    """Whoever got the INVITE has said so."""
    session.dialog.plan.heard = True
    session.timers.remove(WAY_TIMER)


def sent(session: WayCall) -> None:
    """The INVITE leaves: where there is another address the first one may not take long."""
    if len(session.dialog.plan.ways) > 1:
        session.timers.set(WAY_TIMER, session.host.way_timeout_ms)


def silent(session: WayCall) -> None:
    """An address has not answered in time."""
    plan, dialog = session.dialog.plan, session.dialog
    if dialog.phase in _CALLING and not plan.heard and len(plan.ways) > 1:
        old = session.call
        _other_address(session, f"has not answered within {session.host.way_timeout_ms} ms")
        session.host.sip.send(Hangup(old, 408, "Request Timeout"))  # its end is nobody's any more


def after(session: WayCall, event: CallEnded) -> tuple[bool, Outcome]:
    """Whether the call goes on by another way, and what is to be waited for then."""
    dialog = session.dialog
    if dialog.incoming or dialog.phase not in _CALLING or not session.host.sip_is_up:
        return False, None
    plan = dialog.plan
    if plan.ways and is_dead_end(event) and (event.by == "remote" or not plan.heard):
        if len(plan.ways) > 1:
            _other_address(session, f"{event.code} {event.reason}")
            return True, None
        session.host.ways.dead.add(plan.ways[0], session.host.clock.now_ns())
    if event.by != "remote" or event.code >= 600:
        return False, None
    if event.code < 400:
        plan.contacts[:0] = [uri for uri in contacts_of(event.headers) if uri not in plan.visited]
    return _follow(session)


def _other_address(session: WayCall, why: str) -> None:
    plan, host = session.dialog.plan, session.host
    gone = plan.ways.pop(0)
    host.ways.dead.add(gone, host.clock.now_ns())
    log.warning("call %s: %s %s: the call goes to %s", session.id, gone, why, plan.ways[0])
    _again(session)


def _again(session: WayCall) -> None:
    plan, info = session.dialog.plan, session.info
    host = plan.ways[0].ip if plan.ways else parse_uri(plan.next_hop or info.request_uri).host.strip("[]")
    info.signalling = signalling_of(host, ())
    session.host.lead(info, plan, host)
    session.dialog.dial_again(session.host.renumber(session.call))
    sent(session)


def _follow(session: WayCall) -> tuple[bool, Outcome]:
    """Call the next Contact of a redirection that may be called."""
    plan = session.dialog.plan
    while plan.contacts and plan.redirects_left:
        uri = plan.contacts.pop(0)
        if uri in plan.visited:
            continue
        plan.redirects_left -= 1
        plan.visited.add(uri)
        try:
            session.host.admit_redirect(session.id, uri)
        except CallFailed:
            continue  # the audit line says why
        return True, _follow_to(session, uri)
    return False, None


def _follow_to(session: WayCall, uri: str) -> Outcome:
    plan, info = session.dialog.plan, session.info
    if not plan.realm and parse_uri(uri).host.lower() != parse_uri(info.request_uri).host.lower():
        plan.username = plan.password = ""  # another host's challenge is nothing that they were given for
    info.request_uri = uri
    session.log(redirected_to=uri)
    plan.ways = []
    if session.host.ways.needs_none(plan, uri):
        _again(session)
        return None
    plan.is_out = False  # whoever ends the call meanwhile says so himself (`Dialog.end`), also when the look-up comes to no end
    return _find_again(session)


async def _find_again(session: WayCall) -> None:
    await _find(session)
    if not session.dialog.ending:
        session.dialog.plan.is_out = True
        _again(session)
