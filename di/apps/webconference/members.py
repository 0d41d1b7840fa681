# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is in the rooms now, as others steer them: sent away, muted, and out when a room's time is over."""

from __future__ import annotations

import logging

from di.apps.api import TimerHandle
from di.apps.webconference.app import WebconferenceCall
from di.apps.webconference.conference import Conference

log = logging.getLogger(__name__)

_SWEEP_NS = 1_000_000_000


class Members:
    """The calls of this application, by their tags."""

    def __init__(self, conference: Conference) -> None:
        self._conference = conference
        self._services = conference.services
        self._sweeper: TimerHandle | None = None

    def kick_all(self, room: str) -> None:
        """End every call in a room."""
        found = self._conference.table.rooms.get(room)
        for participant in found.present() if found is not None else ():
            self.kick(participant.tag)

    def kick(self, tag: str) -> bool:
        """End one call; False when there is none of that tag, or too many events wait in it."""
        session = self._services.sessions.find(tag)
        if session is None or not isinstance(session.app, WebconferenceCall):
            return False
        app = session.app
        return session.ask(lambda: app.leave("disconnect"))

    def mute(self, tag: str, muted: bool) -> bool:
        """Change whether a caller is heard; False when there is none of that tag, or too many events wait in it."""
        session = self._services.sessions.find(tag)
        if session is None or not isinstance(session.app, WebconferenceCall):
            return False
        app = session.app
        return session.ask(lambda: app.on_mute(muted))

    def watch_timeouts(self) -> None:
        """Every second: rooms whose time is over are closed and everybody in them goes."""
        now_s = self._conference.now_s()
        for room in self._conference.table.timed_out(now_s):
            log.info("webconference: the time of room %s is over", room)
            self.kick_all(room)
            self._conference.table.rooms.pop(room, None)
        self._sweeper = self._services.clock.call_later(_SWEEP_NS, self.watch_timeouts)

    def close(self) -> None:
        """Watch no longer."""
        if self._sweeper is not None:
            self._sweeper.cancel()
