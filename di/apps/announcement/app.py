# SPDX-License-Identifier: GPL-2.0-or-later
"""The announcement's call: find the audio, answer, play, BYE."""

from __future__ import annotations

from di.apps.announcement.options import Options
from di.apps.announcing.call import AnnouncedCall, AnnouncementDesk, serve
from di.apps.api import Closer, ItemFailed, Outcome, Services, Session


class Announcement(AnnouncedCall):
    """One call that listens. What the caller says or presses is ignored."""

    def __init__(self, session: Session, desk: AnnouncementDesk[Options]) -> None:
        """Raises Refused when there is no file for the called user."""
        super().__init__(session, desk.announcements)
        self._loop = desk.options.loop

    def on_invite(self, session: Session) -> Outcome:
        """Answered as soon as the audio is known."""
        return self.find() if self._path is None else None

    def on_outgoing_invite(self) -> Outcome:
        """A call out hears the announcement of whom it calls."""
        return self.find() if self._path is None else None

    def on_session_start(self) -> None:
        """Play."""
        self.play(loop=self._loop)

    def on_playlist_empty(self) -> None:
        """The file is over."""
        self.session.stop()

    def on_item_failed(self, record: ItemFailed) -> None:
        """A file that cannot be played ends the call."""
        super().on_item_failed(record)
        self.session.stop(500, "Server Internal Error")


def start(services: Services, options: Options) -> Closer:
    """Register the application. Raises ConfigError when the default file is missing."""
    return serve(services, "announcement", options, Announcement)
