# SPDX-License-Identifier: GPL-2.0-or-later
"""The call of ann_b2b.

INVITE ─► 200 ─► file ─► INVITE to the Request-URI ─► ringing tone, or its early media ─► the two talk
                                                   └ nobody: BYE
"""

from __future__ import annotations

import logging

from di.apps.ann_b2b.options import Options
from di.apps.announcing.call import AnnouncedCall, AnnouncementDesk, serve
from di.apps.announcing.onward import OnwardRule, connect_onward
from di.apps.api import PASSED_ON, Closer, Outcome, Pair, PlayTone, Services, Session, SipReply

log = logging.getLogger(__name__)
_RINGING = PlayTone((425,), on_ms=1000, off_ms=4000)
"""ITU-T E.180's recommendation of one tone for all countries."""


class AnnB2b(AnnouncedCall):
    """The caller's call."""

    further_methods = PASSED_ON

    def __init__(self, session: Session, desk: AnnouncementDesk[Options], onward: OnwardRule) -> None:
        """Raises Refused when there is no file for the called user, for a stranger, and for a call that we have sent on ourselves."""
        onward.check(session.info, session.id)
        super().__init__(session, desk.announcements)
        self._next_hop = desk.options.next_hop
        self._pair: Pair | None = None
        self._rings = False

    def on_invite(self, session: Session) -> Outcome:
        """Answered as soon as the audio is known."""
        return self.find() if self._path is None else None

    def on_session_start(self) -> None:
        """Play."""
        self.play()

    def on_playlist_empty(self) -> None:
        """The announcement is over, or could not be played: the caller is to reach whom he called, in any case."""
        if self._pair is None:
            self._pair = connect_onward(self.session, "ann_b2b", self._next_hop)

    def on_other_reply(self, reply: SipReply) -> None:
        """The called one rings, has answered, or cannot be reached."""
        if reply.code >= 300:
            log.info("call %s: ann_b2b: %s: %d %s", self.session.id, self.session.info.request_uri, reply.code, reply.reason)
            self.session.stop(reply.code, reply.reason)
        elif reply.code == 180 and self._pair is not None and not self._pair.bridged and not self._rings:
            self._rings = True
            self.session.audio.play(_RINGING)


def start(services: Services, options: Options) -> Closer:
    """Register the application. Raises ConfigError when the default file is missing."""
    onward = OnwardRule("ann_b2b", services.clock.now_ns)
    return serve(services, "ann_b2b", options, lambda session, desk: AnnB2b(session, desk, onward))
