# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests outside calls that go on by a profile, and their replies (spec applications.md §22.1).

request ─► profile ─► refused (403, 483, 500, refuse_with, 405), or sent on ─► reply ─► translated, filtered ─► who asked
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
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
from di.apps.sbc.hops import credential_lines, hop_line, without_hops
from di.apps.sbc.identity import from_of, hop_uri, next_hop_of, request_uri_of, to_of
from di.apps.sbc.keys import is_yes
from di.apps.sbc.outside_controls import Routers, routed, routers_of
from di.apps.sbc.profile import Profile
from di.apps.sbc.refusal import parse_refusal

log = logging.getLogger(__name__)
METHODS = ("REGISTER", "MESSAGE", "PUBLISH", "INFO", "NOTIFY", "OPTIONS")
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
        hops = hop_line(headers)
        values = self._desk.complete(_values(request, headers))
        loaded = self._desk.profile_of(values)
        profile = loaded.profile.filled(values)
        self._refuse(profile, request)
        routers = routers_of(loaded, values, self._services.control_modules)
        if routers:
            return asyncio.ensure_future(self._as_controls_say(routers, profile, request, trusted, headers, hops))
        return self._send(profile, request, headers, hops)

    async def _as_controls_say(
        self,
        routers: Routers,
        profile: Profile,
        request: OutsideReceived,
        trusted: bool,
        headers: tuple[tuple[str, str], ...],
        hops: str,
    ) -> OutsideReply:
        try:
            said = await routed(routers, profile, request, trusted)
            return said if isinstance(said, OutsideReply) else await self._send(said, request, headers, hops)
        except Refused as refused:
            return OutsideReply(refused.code, refused.reason, refused.headers)

    def _send(
        self, profile: Profile, request: OutsideReceived, headers: tuple[tuple[str, str], ...], hops: str
    ) -> asyncio.Future[OutsideReply]:
        """Send it by a profile. Raises Refused."""
        going = OutsideRequest(
            request.method,
            request_uri_of(profile, request.request_uri),
            from_of(profile, request.from_header),
            to_of(profile, request.to_header),
            (*_lines(profile, request.method, headers), hops),
            request.content_type,
            request.body,
            hop_uri(profile) or next_hop_of(profile),
            filters.credential_for(profile, "b"),
            profile.call_id,
        )
        answer: asyncio.Future[OutsideReply] = asyncio.get_running_loop().create_future()
        problem = self._services.sessions.outside.send(going, partial(_answered, answer, profile, request))
        if problem:
            log.error("sbc: %s from %s cannot go on: %s: 503", request.method, request.source_ip, problem)
            raise Refused(503, "Service Unavailable")
        return answer

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


def _lines(profile: Profile, method: str, headers: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    passed = filters.register_onward(profile, headers) if method == "REGISTER" else filters.pass_headers(profile, headers)
    own = credential_lines(profile, headers, is_yes(profile.enable_auth))
    added = filters.add_headers(profile, "b", initial=False)
    return _once((*without_hops(passed), *_also(headers), *own, *added))


def _answered(answer: asyncio.Future[OutsideReply], profile: Profile, request: OutsideReceived, reply: OutsideReplied) -> None:
    """The far side's reply, or that there is none."""
    code, reason = filters.translate_reply(profile, reply.code, reply.reason)
    passed = (
        filters.register_back(profile, request.headers, reply.headers)
        if request.method == "REGISTER"
        else filters.pass_headers(profile, reply.headers)
    )
    own = credential_lines(profile, reply.headers, is_yes(profile.enable_auth))
    if not answer.done():
        headers = _once((*without_hops(passed), *_also(reply.headers), *own))
        answer.set_result(OutsideReply(code, reason, headers, reply.content_type, reply.body))


def _also(headers: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for name, value in headers:
        if long_name(name).lower() in _ALSO and not header_problem(f"{name}: {value}"):
            yield f"{name}: {value}"


def _once(lines: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(lines))
