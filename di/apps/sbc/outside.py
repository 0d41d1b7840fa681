# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests outside calls that go on by a profile, and their replies (spec applications.md §22.1).

request ─► profile ─► refused (403, 483, 500, refuse_with, 405), or sent on ─► reply ─► translated, filtered ─► who asked
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from di.apps.api import (
    ConfigError,
    OutsideReceived,
    OutsideReplied,
    OutsideReply,
    OutsideRequest,
    PatternValues,
    Refused,
    Services,
    counting_headers,
    header_problem,
    long_name,
    trusts,
)
from di.apps.sbc import filters
from di.apps.sbc.desk import SbcDesk
from di.apps.sbc.hops import credential_lines, foreign, hop_line
from di.apps.sbc.identity import from_of, hop_uri, next_hop_of, request_uri_of, to_of
from di.apps.sbc.keys import is_yes
from di.apps.sbc.options import METHODS
from di.apps.sbc.outside_controls import Routers, routed, routers_of
from di.apps.sbc.profile import Profile
from di.apps.sbc.refusal import parse_refusal
from di.apps.sbc.registering import Onward, without_contacts

log = logging.getLogger(__name__)
Pairs = tuple[tuple[str, str], ...]
_Send = Callable[[Profile, OutsideReceived], "OutsideReply | asyncio.Future[OutsideReply]"]
_NOT_DIALLED = ("REGISTER", "OPTIONS")
"""The dial control is not asked: nobody pays for them. Its lists are of numbers."""
_ALSO = (
    "event",
    "expires",
    "min-expires",
    "sip-etag",
    "sip-if-match",
    "subscription-state",
    "allow",
    "accept",
    "supported",
    "date",
    "path",
    "service-route",
)
"""Headers that belong to one dialog of a call, and here to the request itself."""


class OutsideRelay:
    """Takes what comes outside calls. A request whose far side does not answer gets the SIP process's 408 or 503."""

    def __init__(self, services: Services, desk: SbcDesk) -> None:
        self._services, self._desk = services, desk

    def serve(self) -> list[Callable[[], None]]:
        """Take the methods; the answers give them back. Raises ConfigError when somebody else has one."""
        undo: list[Callable[[], None]] = []
        for method in METHODS:
            if method == "OPTIONS" and self._desk.options.core_options_handling:
                continue
            try:
                undo.append(self._services.sessions.outside.serve(method, self.on_request))
            except ValueError as error:
                for give_back in undo:
                    give_back()
                raise ConfigError("sbc.conf", 0, "", f"{error}: take the other module out of load_plugins") from error
        return undo

    def on_request(self, request: OutsideReceived) -> OutsideReply | asyncio.Future[OutsideReply]:
        """A request came."""
        try:
            return self._onward(request)
        except Refused as refused:
            return OutsideReply(refused.code, refused.reason, refused.headers)

    def _onward(self, request: OutsideReceived) -> OutsideReply | asyncio.Future[OutsideReply]:
        """Send it on. Raises Refused."""
        trusted = trusts(self._services.core.trusted_peers, request.source_ip)
        headers = counting_headers(request.headers, trusted)
        self._desk.check_source(trusted, request.source_ip, request.request_uri)
        self._desk.check_method(trusted, request.method.upper(), request.source_ip, request.request_uri)
        hops = hop_line(headers)
        values = self._desk.complete(_values(request, headers))
        loaded = self._desk.profile_of(values)
        values = self._desk.reach.arrived(loaded.profile, values)
        profile = loaded.profile.filled(values)
        profile = replace(profile, next_hop=profile.next_hop or self._desk.reach.way(values))
        known = trusted or values.request_uri != request.request_uri
        request = replace(request, request_uri=values.request_uri)
        self._refuse(profile, request)
        routers = routers_of(loaded, values, self._services.control_modules)
        send = partial(self._send, known=known, headers=headers, hops=hops)
        if routers:
            return asyncio.ensure_future(self._as_controls_say(routers, profile, request, trusted, send))
        return send(profile, request)

    async def _as_controls_say(
        self, routers: Routers, profile: Profile, request: OutsideReceived, trusted: bool, send: _Send
    ) -> OutsideReply:
        try:
            said = await routed(routers, profile, request, trusted)
            sent = said if isinstance(said, OutsideReply) else send(said, request)
            return sent if isinstance(sent, OutsideReply) else await sent
        except Refused as refused:
            return OutsideReply(refused.code, refused.reason, refused.headers)

    def _send(
        self, profile: Profile, request: OutsideReceived, *, known: bool, headers: Pairs, hops: str
    ) -> OutsideReply | asyncio.Future[OutsideReply]:
        """Send it by a profile, or answer it: a registration that lasts. `known`: see `_check`. Raises Refused."""
        asked = self._asked(profile, request, headers)
        if asked is not None and asked.answer is not None:
            return asked.answer
        target, hop = request_uri_of(profile, request.request_uri), hop_uri(profile) or next_hop_of(profile)
        if request.method == "OPTIONS" and not hop and self._desk.is_here(target):
            return OutsideReply(*self._services.sessions.options_reply)  # somebody asks whether we are there
        going = OutsideRequest(
            request.method,
            target,
            from_of(profile, request.from_header),
            to_of(profile, request.to_header),
            (*_lines(profile, headers, asked), hops),
            request.content_type,
            request.body,
            hop,
            filters.credential_for(profile, "b"),
            profile.call_id,
        )
        self._check(going, request, known)
        answer: asyncio.Future[OutsideReply] = asyncio.get_running_loop().create_future()
        problem = self._services.sessions.outside.send(going, partial(self._answered, answer, profile, asked))
        if problem:
            log.error("sbc: %s from %s cannot go on: %s: 503", request.method, request.source_ip, problem)
            raise Refused(503, "Service Unavailable")
        return answer

    def _check(self, going: OutsideRequest, request: OutsideReceived, known: bool) -> None:
        """Whether it may go where it leads. `known`: it is of a trusted peer, or for a contact that this server gave out.

        Raises Refused(403) for what the dial control does not let out, and for a stranger's REGISTER or OPTIONS that goes where it likes itself.
        """
        method, core = going.method.upper(), self._services.core
        if method not in _NOT_DIALLED:
            asked = method == "MESSAGE" or not known
            if asked and self._services.sessions.toll.request(going, "sbc", self._services.clock.now_ns()):
                raise Refused(403, "Forbidden")
        elif not (known or going.next_hop or core.outbound_proxy or core.next_hop or going.uri != request.request_uri):
            self._desk.refuse_stranger(request.source_ip, going.uri, "the profile must say where it goes, e.g. by next_hop")

    def _asked(self, profile: Profile, request: OutsideReceived, headers: Pairs) -> Onward | None:
        """What becomes of a REGISTER; None for others."""
        if request.method != "REGISTER":
            return None
        ip, port = self._desk.local
        return self._desk.reach.register(profile, request, headers, f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}")

    def _answered(
        self, answer: asyncio.Future[OutsideReply], profile: Profile, asked: Onward | None, reply: OutsideReplied
    ) -> None:
        """The far side's reply, or that there is none."""
        contacts = self._desk.reach.registered(profile, asked, reply) if asked is not None else ()
        if not answer.done():
            answer.set_result(_reply_of(profile, reply, contacts, asked))

    def _refuse(self, profile: Profile, request: OutsideReceived) -> None:
        """What the profile does not let pass. Raises Refused."""
        try:
            refused = parse_refusal(profile.refuse_with, ValueError)
        except ValueError as error:
            log.error("sbc: %s from %s: refuse_with: %s: 500", request.method, request.source_ip, error)
            raise Refused(500, "Server Internal Error") from error
        if refused is not None:
            raise refused
        if not filters.passes_method(profile, request.method):
            raise Refused(405, "Method Not Allowed")


def _values(request: OutsideReceived, headers: tuple[tuple[str, str], ...]) -> PatternValues:
    return PatternValues(
        request.method, request.request_uri, request.from_header, request.to_header, request.call_id, headers,
        (request.source_ip, request.source_port),
    )  # fmt: skip


def _lines(profile: Profile, headers: Pairs, asked: Onward | None) -> tuple[str, ...]:
    """Of a request that goes on. `asked`: of a REGISTER."""
    passed = filters.pass_headers(profile, foreign(headers))
    own = credential_lines(profile, headers, is_yes(profile.enable_auth))
    added = filters.add_headers(profile, "b", initial=False)
    lines = (*passed, *_also(headers), *own, *added)
    return _once(lines if asked is None else (*without_contacts(lines), *asked.lines))


def _reply_of(profile: Profile, reply: OutsideReplied, contacts: tuple[str, ...], asked: Onward | None) -> OutsideReply:
    """The far side's reply as it goes back."""
    code, reason = filters.translate_reply(profile, reply.code, reply.reason)
    passed = filters.pass_headers(profile, foreign(reply.headers))
    own = credential_lines(profile, reply.headers, is_yes(profile.enable_auth))
    lines = (*passed, *_also(reply.headers), *own)
    headers = _once(lines if asked is None else (*without_contacts(lines), *contacts))
    return OutsideReply(code, reason, headers, reply.content_type, reply.body)


def _also(headers: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for name, value in headers:
        if long_name(name).lower() in _ALSO and not header_problem(f"{name}: {value}"):
            yield f"{name}: {value}"


def _once(lines: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(lines))
