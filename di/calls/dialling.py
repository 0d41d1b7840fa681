# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls out: may this one be placed, and with what (spec core.md §6.1, §7.5)."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from di.calls.applications import Factory
from di.calls.call_info import CallInfo
from di.calls.events import DialogState
from di.kernel.errors import Refused
from di.kernel.value import Value
from di.sip.credentials import find_credential
from di.sip.headers import header_lines, is_sip_uri, parse_uri, uri_of

if TYPE_CHECKING:
    from di.calls.session import Session
    from di.calls.sessions import Sessions
    from di.kernel.server_options import CoreOptions

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DialWish:
    """What `Sessions.dialout` was asked for."""

    user: str
    application: str
    request_uri: str
    from_header: str
    to_header: str
    id: str
    headers: str
    params: Value
    next_hop: str


def dial(sessions: Sessions, wish: DialWish) -> str:
    """Place a call. Returns its id, or an empty string, with a warning in the log, when it cannot be placed."""
    reason, factory = check(sessions, wish)
    if factory is None:
        log.warning("dial-out to %s for %s: %s", wish.request_uri, wish.application, reason)
        return ""
    user = wish.user or parse_uri(wish.request_uri).user
    core = sessions.services.core
    hop = wish.next_hop or default_hop(core) or wish.request_uri
    ipv6 = over_ipv6(parse_uri(hop).host, (core.media_ip, core.further_media_ip))
    info = CallInfo("out", wish.request_uri, wish.from_header, wish.to_header, user=user, over_ipv6=ipv6)
    session = sessions.open_call(info, wish.application, wish.id)
    session.params = wish.params
    _plan(session, sessions, wish)
    try:
        session.app = factory(session)
    except Refused as refused:
        log.warning("dial-out to %s: %s refuses with %s", wish.request_uri, wish.application, refused)
        return ""
    except Exception:  # an application's fault costs its own call only
        log.exception("dial-out to %s: %s cannot begin", wish.request_uri, wish.application)
        return ""
    session.state = DialogState.TRYING
    sessions.begin(session)
    session.run(lambda: _place(session))
    return session.id


def check(sessions: Sessions, wish: DialWish) -> tuple[str, Factory | None]:
    """The application's factory, or why the call cannot be placed."""
    refusal = sessions.limits.refusal(sessions.clock.now_ns())
    if refusal is not None:
        return f"refused by a limit: {refusal[0]} {refusal[1]}", None
    core = sessions.services.core
    cap = core.dialout_limit
    if not cap and not all(_is_loopback(ip) for ip in (core.sip_ip, *(place[0] for place in core.further_sip))):
        return "set dialout_limit in sems.conf to allow calls out (it is off beyond loopback)", None
    if cap and sum(1 for session in sessions if session.info.direction == "out") >= cap:
        return f"dialout_limit={cap} is reached", None
    if not sessions.sip_is_up:
        return "the SIP process is not up", None
    if wish.id and wish.id in sessions.services.queues:
        return f"the id {wish.id} is taken", None
    for text in (wish.request_uri, uri_of(wish.from_header), uri_of(wish.to_header)):
        if not is_sip_uri(text):
            return f"{text!r} is no SIP URI", None
    if any(ord(c) < 32 for c in wish.from_header + wish.to_header):
        return "From and To must not hold control characters", None
    factory = sessions.services.applications.find(wish.application)
    return (f"no application {wish.application!r}", None) if factory is None else ("", factory)


def _plan(session: Session, sessions: Sessions, wish: DialWish) -> None:
    plan, core = session.dial_plan, sessions.services.core
    plan.headers = header_lines(wish.headers, newline="")
    plan.next_hop = wish.next_hop or default_hop(core)
    credential = find_credential(wish.params)
    if credential is not None:
        plan.realm, plan.username, plan.password = credential.realm, credential.user, credential.password


def default_hop(core: CoreOptions) -> str:
    """Where requests go that name no other way: a URI, empty for the address in the request."""
    return core.outbound_proxy or (_as_uri(core.next_hop) if core.next_hop else "")


def over_ipv6(host: str, media_ips: tuple[str, ...]) -> bool:
    """Whether a call to a host offers an IPv6 address for its audio: the host's own family, or the first one that we have.

    A name is not looked up here. `media_ips`: ours, the preferred one first, empty ones for none.
    """
    families = [":" in ip for ip in media_ips if ip] or [False]
    wanted = ":" in host if ":" in host or _is_address(host) else families[0]
    return wanted if wanted in families else families[0]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _place(session: Session) -> Awaitable[None] | None:
    waiting = session.app.on_outgoing_invite()
    if waiting is None:
        session.open_leg()
        return None

    async def later() -> None:
        await waiting
        session.open_leg()

    return later()


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _as_uri(next_hop: str) -> str:
    """`host[:port][/transport]`, the first of a list, as a URI."""
    place, _, transport = next_hop.split(",", maxsplit=1)[0].strip().partition("/")
    return f"sip:{place};transport={transport.lower()};lr" if transport else f"sip:{place};lr"
