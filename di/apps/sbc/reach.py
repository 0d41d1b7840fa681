# SPDX-License-Identifier: GPL-2.0-or-later
"""What profiles reach beyond their own call: dialogs of other calls, files of messages, who checks credentials, registrations."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from di.apps.api import (
    MessageSeen,
    OutsideReceived,
    OutsideReplied,
    OutsideReply,
    PatternValues,
    Refused,
    RequestReceived,
    Seldom,
    Services,
    Session,
    parse_uri,
)
from di.apps.sbc.bleg_auth import challenge
from di.apps.sbc.contacts import ContactHider
from di.apps.sbc.keys import is_yes
from di.apps.sbc.message_files import MessageFiles
from di.apps.sbc.message_pcap import path_of
from di.apps.sbc.profile import Profile
from di.apps.sbc.reg_cache import MOST_BINDINGS, RegistrationCache
from di.apps.sbc.registering import Onward, RegisterOrigin, back, onward, transport_of
from di.apps.sbc.replaces import DialogName

log = logging.getLogger(__name__)


class SbcReach:
    """One a server. `cache`: phones that have registered through it; `hider`: contacts in addresses of ours. `secret` is in both."""

    def __init__(self, services: Services, secret: bytes) -> None:
        self._services = services
        self._files = MessageFiles(services.sessions.spawn)
        self.cache = RegistrationCache(secret)
        self.hider = ContactHider(secret)
        self._full = Seldom()

    def now_s(self) -> int:
        """Seconds that only grow."""
        return self._services.clock.now_ns() // 1_000_000_000

    def other_dialog(self, call_id: str, to_tag: str, from_tag: str) -> DialogName | None:
        """The dialog of the leg that one of ours is connected with, as whoever is there names it."""
        named = self._services.sessions.find_dialog(call_id, to_tag, from_tag)
        other = named.pair.other(named) if named is not None and named.pair is not None else None
        if other is None:
            return None
        return DialogName(other.info.call_id, other.info.remote_tag, other.info.local_tag)

    def challenge(self, profile: Profile, request: RequestReceived) -> OutsideReply | None:
        """The 401 that a request inside the B leg gets instead of passing; None: it passes."""
        return challenge(profile, request, self._services.registry.invoke)

    def follow_messages(self, session: Session, pattern: str, filled: str) -> None:
        """Write a leg's messages down (msg_logger_path: as the profile has it, and for this call)."""
        if not filled:
            return
        try:
            path = path_of(pattern, filled)
        except ValueError as error:
            log.error("call %s: msg_logger_path: %s: its messages are not written", session.id, error)
            return
        self._services.sessions.message_sinks.follow(session, self._writer(path))

    def _writer(self, path: Path) -> Callable[[MessageSeen], None]:
        return partial(self._files.write, path)

    # ------------------------------------------------------------------------------------------------------ registrations
    def arrived(self, profile: Profile, values: PatternValues) -> PatternValues:
        """A request's values, with what is known of whom it is for and of who sent it. `profile`: not filled in.

        A contact that was hidden, and one that is remembered where the profile has no RURI of its own, is the Request-URI instead.
        """
        user = parse_uri(values.request_uri).user
        if is_yes(profile.enable_contact_hiding):
            shown = self.hider.shown(user, profile.contact_hiding_prefix)
            if shown is not None:
                values = replace(values, request_uri=shown[0], variables={**values.variables, **shown[1]})
        if not is_yes(profile.enable_reg_caching):
            return values
        now_s = self.now_s()
        called, caller = self.cache.find(user, now_s), self.cache.of_source(*values.source, now_s)
        if caller is not None:
            values = replace(values, origin=(caller.aor, caller.alias))
        if called is None:
            return values
        uri = values.request_uri if profile.ruri else called.contact
        return replace(values, request_uri=uri, registered=(called.contact, called.source, "default"))

    @staticmethod
    def way(values: PatternValues) -> str:
        """Where a request is sent that goes to a phone which is remembered, as next_hop has it; empty: no matter."""
        return values.registered[1] if values.registered[0] and values.request_uri == values.registered[0] else ""

    def register(self, profile: Profile, request: OutsideReceived, headers: Sequence[tuple[str, str]], local: str) -> Onward:
        """What becomes of a REGISTER. Raises Refused(503) when what it brings could not be remembered."""
        if is_yes(profile.enable_reg_caching) and not self.cache.has_room(headers, self.now_s()):
            if (more := self._full.line(self.now_s() * 1_000_000_000)) is not None:
                log.error(
                    "sbc: REGISTER from %s: 503, for %d registrations are remembered, and no more can be%s",
                    request.source_ip, MOST_BINDINGS, more,
                )  # fmt: skip
            raise Refused(503, "Service Unavailable", ("Retry-After: 300",))
        origin = RegisterOrigin(request.source_ip, request.source_port, transport_of(headers), local)
        self.cache.forget_gone_sometimes(self.now_s())
        return onward(profile, headers, origin, self.cache, self.hider, self.now_s())

    def registered(self, profile: Profile, asked: Onward, reply: OutsideReplied) -> tuple[str, ...]:
        """Contact and Expires of its reply."""
        return back(profile, asked, reply.code, reply.headers, self.cache, self.now_s())
