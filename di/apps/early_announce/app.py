# SPDX-License-Identifier: GPL-2.0-or-later
"""The call of early_announce.

INVITE ─► 183 with SDP ─► media ─► file ─► continue_b2b? the call goes on to its destination : final reply
            └ no media in 5 s ────────┘
"""

from __future__ import annotations

import logging

from di.apps.announcing.call import AnnouncedCall, AnnouncementDesk, serve
from di.apps.announcing.onward import OnwardRule, connect_onward
from di.apps.api import PASSED_ON, Closer, Outcome, Services, Session
from di.apps.early_announce.options import Options
from di.apps.parameters import parameter

log = logging.getLogger(__name__)
_NO_MEDIA = 1
_MEDIA_PATIENCE_MS = 5000
"""A caller whose INVITE has no offer, or who takes no early media, hears nothing; the call goes on after that."""


def final_reply(session: Session) -> tuple[int, str]:
    """Code and reason from the proxy, 404 `Not Found` without (spec applications.md §17)."""
    headers = session.info.headers
    text = parameter(headers, "Final-Reply-Code")
    reason = parameter(headers, "Final-Reply-Reason") or "Not Found"
    if text is None:
        return 404, reason
    if not (text.isascii() and text.isdecimal() and 300 <= int(text) <= 699):
        log.warning("call %s: early_announce: Final-Reply-Code %.20r is no code from 300 to 699; 404 is sent", session.id, text)
        return 404, reason
    return int(text), reason


def goes_on(session: Session, options: Options) -> bool:
    """Whether the call goes on to its destination after the announcement."""
    mode = options.continue_b2b
    return mode == "yes" or (mode == "app-param" and parameter(session.info.headers, "B2B") == "yes")


class EarlyAnnounce(AnnouncedCall):
    """One call that is not answered, at least not by us."""

    further_methods = PASSED_ON

    def __init__(self, session: Session, desk: AnnouncementDesk[Options], onward: OnwardRule) -> None:
        """Raises Refused when there is no file for the called user, and for a call that may not go on."""
        self._goes_on = goes_on(session, desk.options)
        if self._goes_on:
            onward.check(session.info, session.id)
        super().__init__(session, desk.announcements)
        self._next_hop = desk.options.next_hop
        self._played = False
        self._done = False

    def on_invite(self, session: Session) -> Outcome:
        """The answer is what comes after the announcement."""
        session.dialog.defer_answer()
        if self._path is None:
            return self._find_and_begin()
        self._begin()
        return None

    async def _find_and_begin(self) -> None:
        await self.find()
        self._begin()

    def _begin(self) -> None:
        self.session.timers.set(_NO_MEDIA, _MEDIA_PATIENCE_MS)
        self.session.dialog.early_media()

    def on_early_session_start(self) -> None:
        """The caller can hear: play, once."""
        self.session.timers.remove(_NO_MEDIA)
        if not self._played:
            self._played = True
            self.play()

    def on_timer(self, id: int) -> None:
        """There is no media; the caller gets his answer all the same."""
        if id == _NO_MEDIA:
            log.warning("call %s: early_announce: no media before the answer, so nothing was played", self.session.id)
            self._go_on()

    def on_playlist_empty(self) -> None:
        """The announcement is over, or could not be played."""
        self._go_on()

    def _go_on(self) -> None:
        """Once: connect, or refuse."""
        if self._done:
            return
        self._done = True
        if self._goes_on:
            connect_onward(self.session, "early_announce", self._next_hop, relay_invite=True)
        else:
            self.session.dialog.reject(*final_reply(self.session))


def start(services: Services, options: Options) -> Closer:
    """Register the application. Raises ConfigError when the default file is missing."""
    onward = OnwardRule("early_announce", services.clock.now_ns)
    return serve(services, "early_announce", options, lambda session, desk: EarlyAnnounce(session, desk, onward))
