# SPDX-License-Identifier: GPL-2.0-or-later
"""What profiles reach beyond their own call: dialogs of other calls, files of messages, who checks credentials, registrations."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from di.apps.api import MessageSeen, OutsideReply, RequestReceived, Services, Session
from di.apps.sbc.bleg_auth import challenge
from di.apps.sbc.contacts import ContactHider
from di.apps.sbc.message_files import MessageFiles
from di.apps.sbc.message_pcap import path_of
from di.apps.sbc.profile import Profile
from di.apps.sbc.reg_cache import RegistrationCache
from di.apps.sbc.replaces import DialogName

log = logging.getLogger(__name__)
_SECRET_BYTES = 32


class SbcReach:
    """One a server. `cache`: phones that have registered through it; `hider`: contacts in addresses of ours, until the next start."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._files = MessageFiles(services.sessions.spawn)
        self.cache = RegistrationCache()
        self.hider = ContactHider(services.clock.random.getrandbits(8 * _SECRET_BYTES).to_bytes(_SECRET_BYTES, "big"))

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
