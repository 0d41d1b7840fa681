# SPDX-License-Identifier: GPL-2.0-or-later
"""The announcement's call: find the file, answer, play, BYE."""

from __future__ import annotations

import logging

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
    where,
)
from di.apps.prompts import ANNOUNCEMENT, Asked, PromptFolder

log = logging.getLogger(__name__)


class Announcement(Application):
    """One call that listens. What the caller says or presses is ignored."""

    def __init__(self, session: Session, files: PromptFolder, loop: bool) -> None:
        """Raises Refused when there is no file for the called user."""
        super().__init__(session)
        uri = parse_uri(session.info.request_uri)
        path = files.find(Asked(uri.host.strip("[]"), uri.user), session.id)
        if path is None:
            raise Refused(404, "Not Found")
        self._path = path
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
    folders = {"now": _folder(services, options)}
    loops = {"now": options.loop}
    services.applications.register("announcement", lambda session: Announcement(session, folders["now"], loops["now"]))

    def reload(new: Options) -> None:
        folders["now"], loops["now"] = _folder(services, new), new.loop

    services.on_reload("announcement", Options, reload)
    return lambda: services.applications.unregister("announcement")


def _folder(services: Services, options: Options) -> PromptFolder:
    files = PromptFolder(
        "announcement", configured(options.announce_path, services.conf_dir), ANNOUNCEMENT, options.default_announce
    )
    if not files.default.is_file():
        hint = f"there is no file {files.default}; name an existing one (`cordboard prompts build` makes the spoken ones)"
        raise ConfigError(*where(options, "default_announce"), "default_announce", hint)
    services.sessions.preload(str(files.default))
    return files
