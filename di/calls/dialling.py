# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls out: may this one be placed, and with what (spec core.md §6.1, §7.5). Second legs come this way too."""

from __future__ import annotations

import ipaddress
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from di.calls import flow
from di.calls.application import Factory
from di.calls.call_info import CallInfo, CallOut, Dialler
from di.calls.refusals import RefusedCall
from di.calls.timer_numbers import RING_TIMER
from di.calls.trust import signalling_of
from di.kernel.errors import CallFailed, Refused
from di.sip.headers import header_problem, is_sip_uri, parse_uri, uri_of, uri_problem
from di.sip.locate import parse_places

if TYPE_CHECKING:
    from di.calls.session import Session
    from di.calls.sessions import Sessions
    from di.kernel.server_options import CoreOptions

log = logging.getLogger(__name__)


def dial(sessions: Sessions, order: CallOut, factory: Factory | None = None) -> Session | None:
    """Place a call. None, with a warning in the log, when it cannot be placed. `factory`: instead of the named application's own.

    Every way to dial comes here, so the dial control (`di.calls.toll`) hears of each attempt, whatever becomes of it.
    """
    now_ns = sessions.clock.now_ns()
    order = _of_first_leg(sessions, order)
    cause, why = refusal(sessions, order)
    make = factory or sessions.surroundings.applications.find(order.application)
    if not cause and make is None:
        cause, why = "application", f"no application {order.application!r}"
    if cause or make is None:
        sessions.toll.noted(order, "", cause, why, now_ns)
        if cause not in ("malformed", "application"):
            sessions.refusals.tell(lambda: _refused(order, cause, why))
        return None
    session = _session(sessions, order)
    try:
        session.app = make(session)
    except Refused as refused:
        sessions.toll.noted(order, "", "application", f"{order.application} refuses with {refused}", now_ns)
        return None
    except Exception as error:  # an application's fault costs its own call only
        log.exception("dial-out to %s: %s cannot begin", order.request_uri, order.application)
        sessions.toll.noted(order, "", "application", f"{order.application} cannot begin: {type(error).__name__}", now_ns)
        return None
    sessions.toll.noted(order, session.id, "", "", now_ns)
    sessions.begin(session)
    if order.ring_ms:
        session.timers.set(RING_TIMER, order.ring_ms)
    session.run(lambda: flow.place(session))
    return session


def _refused(order: CallOut, cause: str, why: str) -> RefusedCall:
    """For who counts refusals: 503 as a caller would have got, 403 where the dial control says no."""
    user = order.user or parse_uri(order.request_uri).user
    info = CallInfo("out", order.request_uri, order.from_header, order.to_header, user=user)
    code, reason, by = {
        "gate": (503, "Service Unavailable", "limit"),
        "process": (503, "Service Unavailable", "system"),
    }.get(cause, (403, "Forbidden", "limit"))
    return RefusedCall(info, order.application, code, reason, by, why, order.id)


def _of_first_leg(sessions: Sessions, order: CallOut) -> CallOut:
    """What a call dials is on behalf of whom the call itself is."""
    by = order.by
    first = sessions.find(by.call) if by.call and not by.caller else None
    return replace(order, by=replace(by, caller=first.on_behalf)) if first is not None and first.on_behalf else order


def _session(sessions: Sessions, order: CallOut) -> Session:
    core = sessions.surroundings.core
    hop = order.next_hop or core.outbound_proxy
    hops = order.hops or (core.next_hop if not order.next_hop else "")
    places = parse_places(hops) if hops else ()
    user = order.user or parse_uri(order.request_uri).user
    info = CallInfo("out", order.request_uri, order.from_header, order.to_header, user=user)
    first = places[0].host if places else parse_uri(hop or order.request_uri).host
    info.signalling = signalling_of(first.strip("[]"), ())
    session = sessions.open_call(info, order.application, order.id)
    session.params = order.params
    session.on_behalf = order.by.caller
    session.audio.near_leg = order.near_leg
    plan = session.dialog.plan
    plan.headers, plan.next_hop, plan.prefer = list(order.headers), hop, order.prefer
    plan.places, plan.redirects_left = places, core.redirects
    plan.interface, info.media_interface = _interfaces(sessions, order)
    sessions.lead(info, plan, first)
    plan.timer = sessions.surroundings.applications.timers.get(order.application)
    credential = order.credential
    if credential is not None:
        plan.realm, plan.username, plan.password = credential.realm, credential.user, credential.password
    return session


def _interfaces(sessions: Sessions, order: CallOut) -> tuple[int, int]:
    """Numbers of the interfaces for signalling and audio that an order names, -1 for none; `refusal` has looked at the names."""
    known, name = sessions.interfaces, order.interface or sessions.surroundings.core.outbound_interface
    signalling = known.named(name) if name else None
    audio = known.named(order.media_interface, with_sip=False) if order.media_interface else None
    return -1 if signalling is None else signalling, -1 if audio is None else audio


def refusal(sessions: Sessions, order: CallOut) -> tuple[str, str]:
    """(cause, text) why a call cannot be placed; two empty texts when it can."""
    if out_of_order := sessions.out_of_order():
        return "process", "; ".join(out_of_order.values())
    refused = sessions.control.gate()
    if refused is not None:
        return "gate", f"refused by a limit or shutdown mode: {refused.code} {refused.reason}"
    if order.id and order.id in sessions.surroundings.queues:
        return "malformed", f"the id {order.id} is taken"
    for text in _uris(order):
        if not is_sip_uri(text):
            return "malformed", f"{text!r} is no SIP URI"
    if problem := malformed(order) or _unknown_interface(sessions, order):
        return "malformed", problem
    if any(ord(c) < 32 for c in order.from_header + order.to_header):
        return "malformed", "From and To must not hold control characters"
    return sessions.toll.refusal(order.request_uri, order.by, sessions.clock.now_ns())


def redirected(sessions: Sessions, session: Session, uri: str) -> None:
    """Ask the dial control whether a call may go where a 3xx leads; it replaces itself. Raises CallFailed when it may not."""
    info, now_ns = session.info, sessions.clock.now_ns()
    by = Dialler("redirect", session.on_behalf, session.id)
    order = CallOut(session.application, uri, info.from_header, info.to_header, by=by)
    cause, why = ("malformed", problem) if (problem := uri_problem(uri)) else sessions.toll.refusal(uri, by, now_ns, replacing=1)
    sessions.toll.noted(order, session.id, cause, why, now_ns)
    if cause:
        raise CallFailed(why)


def exposed(core: CoreOptions) -> list[str]:
    """Where SIP can be reached by others than this machine."""
    return [f"SIP at {ip}" for ip in (core.sip_ip, *(address[0] for address in core.further_sip)) if not _is_loopback(ip)]


def _uris(order: CallOut) -> tuple[str, ...]:
    return order.request_uri, uri_of(order.from_header), uri_of(order.to_header)


def malformed(order: CallOut) -> str:
    """What of a call's headers and URIs would reach into what the SIP stack writes; empty when nothing does."""
    problems = (header_problem(line) for line in order.headers)
    in_uris = (uri_problem(uri) for uri in _uris(order) if "?" in uri)
    return next((problem for problem in (*problems, *in_uris) if problem), "")


def _unknown_interface(sessions: Sessions, order: CallOut) -> str:
    """What is wrong with the interfaces that an order names; empty when nothing is."""
    known = sessions.interfaces
    for name, with_sip in ((order.interface, True), (order.media_interface, False)):
        if name and known.named(name, with_sip=with_sip) is None:
            return f"there is no interface {name!r}{' with SIP' if with_sip else ''}; there are {known.names()}"
    return ""


def default_hop(core: CoreOptions) -> str:
    """Where requests go that name no other way: a URI, empty for the address in the request."""
    return core.outbound_proxy or (_as_uri(core.next_hop) if core.next_hop else "")


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _as_uri(next_hop: str) -> str:
    """`host[:port][/transport]`, the first of a list, as a URI."""
    address, _, transport = next_hop.split(",", maxsplit=1)[0].strip().partition("/")
    return f"sip:{address};transport={transport.lower()};lr" if transport else f"sip:{address};lr"
