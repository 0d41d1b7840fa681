# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls whose program has died: ended, left as they are, or given to another application, as `on_crash` says."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from interfaces.apps.bridged_call import BridgedCall, ProgramLeg

if TYPE_CHECKING:
    from di.calls.applications import Applications
    from di.calls.session import Session
    from di.calls.sessions import Sessions

log = logging.getLogger(__name__)


class Orphans:
    """What becomes of them. `on_crash`: hangup, stay, or app:NAME."""

    def __init__(self, sessions: Sessions, applications: Applications, on_crash: str) -> None:
        self._sessions, self._applications, self._on_crash = sessions, applications, on_crash

    def take(self, calls: set[str], why: str) -> None:
        """Calls whose program has died."""
        for id in calls:
            session = self._sessions.find(id)
            if session is not None and isinstance(session.app, BridgedCall):
                session.app.orphaned()
                session.run(lambda session=session: self._after_crash(session, why))  # type: ignore[misc]

    def _after_crash(self, session: Session, why: str) -> None:
        choice = self._on_crash
        if isinstance(session.app, ProgramLeg) and choice != "hangup":
            return  # what becomes of the first leg becomes of it
        if choice == "hangup" or not session.audio.started:  # nobody would answer it
            log.error("call %s: it is ended: %s", session.id, why)
            session.stop(500, "Server Internal Error", by="system")
            return
        name = choice.removeprefix("app:")
        factory = self._applications.find(name) if choice.startswith("app:") else None
        if factory is None or session.dialog.ending:
            log.warning("call %s: it goes on without a program: %s", session.id, why)
            return
        log.warning("call %s: application %s takes it over: %s", session.id, name, why)
        if session.pair is not None:
            session.pair.end_other(session)
        session.audio.flush()
        session.application = name
        session.app = factory(session)
        if session.audio.started:
            session.app.on_session_start()
