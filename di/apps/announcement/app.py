# SPDX-License-Identifier: GPL-2.0-or-later
"""The announcement's call: find the file, answer, play, BYE."""

from __future__ import annotations

import logging
from pathlib import Path

from di.apps.announcement.options import Options
from di.apps.api import (
    Application,
    Closer,
    ConfigError,
    ItemFailed,
    Refused,
    Services,
    Session,
    configured,
    parse_uri,
    safe_name,
    where,
)

log = logging.getLogger(__name__)


class Library:
    """The folder of announcements."""

    def __init__(self, folder: Path, default: str) -> None:
        self.folder = folder
        self.default = folder / default

    def find(self, host: str, user: str) -> Path:
        """The file for a called user: the domain's own, the general one, the default. Raises Refused when there is none."""
        candidates: list[Path] = []
        if safe_name(user):
            if safe_name(host):
                candidates.append(self.folder / host / f"{user}.wav")
            candidates.append(self.folder / f"{user}.wav")
        for path in (*candidates, self.default):
            if path.is_file():
                return path
        log.error("announcement: no file for %r: neither %s nor the default exists", user, candidates[-1] if candidates else user)
        raise Refused(404, "Not Found")


class Announcement(Application):
    """One call that listens. What the caller says or presses is ignored."""

    def __init__(self, session: Session, library: Library, loop: bool) -> None:
        super().__init__(session)
        uri = parse_uri(session.info.request_uri)
        self._path = library.find(uri.host.strip("[]"), uri.user)
        self._loop = loop

    def on_session_start(self) -> None:
        """Play."""
        self.session.audio.play_file(str(self._path), loop=self._loop)

    def on_playlist_empty(self) -> None:
        """The file is over."""
        self.session.stop()

    def on_item_failed(self, record: ItemFailed) -> None:
        """A file that cannot be played ends the call; the playlist is empty then, too, but the log should say why."""
        log.error("call %s: announcement: %s cannot be played: %s", self.session.id, record.path, record.reason)
        self.session.stop(500, "Server Internal Error")


def start(services: Services, options: Options) -> Closer:
    """Register the application. Raises ConfigError when the default file is missing."""
    library = Library(configured(options.announce_path, services.conf_dir), options.default_announce)
    if not library.default.is_file():
        hint = f"there is no file {library.default}; name an existing one (`cordboard prompts` makes the samples)"
        raise ConfigError(*where(options, "default_announce"), "default_announce", hint)
    services.applications.register("announcement", lambda session: Announcement(session, library, options.loop))
    services.sessions.preload(str(library.default))
    return lambda: services.applications.unregister("announcement")
