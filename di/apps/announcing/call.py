# SPDX-License-Identifier: GPL-2.0-or-later
"""A call that hears an announcement, and the start of an application that is made of such calls."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from di.apps.announcing.audio_cache import AudioCache
from di.apps.announcing.keys import AnnouncementKeys
from di.apps.announcing.lookup import AudioFinder, asked_by
from di.apps.announcing.source import answers_of, open_source
from di.apps.api import Application, Closer, ConfigError, ItemFailed, Services, Session, configured, where

log = logging.getLogger(__name__)
KeysT = TypeVar("KeysT", bound=AnnouncementKeys)


class AnnouncedCall(Application):
    """One call. Raises Refused in its making when there is no file for it; a database is asked when the INVITE is handled."""

    def __init__(self, session: Session, announcements: AudioFinder) -> None:
        super().__init__(session)
        self._announcements = announcements
        self._asked = asked_by(session.info)
        self._path = None if announcements.waits else announcements.find_now(self._asked, session.id)

    async def find(self) -> None:
        """Have the audio. Raises Refused."""
        if self._path is None:
            self._path = await self._announcements.find(self._asked, self.session.id)

    def play(self, *, loop: bool = False) -> None:
        """Play it, from the beginning."""
        assert self._path is not None
        self.session.audio.play_file(str(self._path), loop=loop)

    def on_item_failed(self, record: ItemFailed) -> None:
        """The log says why. What follows an announcement follows it: the playlist is empty now."""
        name = self._announcements.name
        log.error("call %s: %s: %s cannot be played: %s", self.session.id, name, record.path, record.reason)


@dataclass(frozen=True)
class AnnouncementDesk(Generic[KeysT]):
    """What calls share that begin now: replaced as a whole when the configuration is read anew."""

    options: KeysT
    announcements: AudioFinder


def serve(
    services: Services, name: str, options: KeysT, make: Callable[[Session, AnnouncementDesk[KeysT]], Application]
) -> Closer:
    """Register an application. Raises ConfigError for a default file that is missing, or a database that cannot be used."""
    cache = AudioCache(name)
    desk = AnnouncementDesk(options, _announcements(services, name, options, cache))
    services.applications.register(name, lambda session: make(session, desk))

    def reload(new: KeysT) -> None:
        nonlocal desk
        before, desk = desk, AnnouncementDesk(new, _announcements(services, name, new, cache))
        before.announcements.close()

    services.on_reload(name, type(options), reload)

    def close() -> None:
        services.applications.unregister(name)
        desk.announcements.close()
        cache.close()

    return close


def _announcements(services: Services, name: str, options: AnnouncementKeys, cache: AudioCache) -> AudioFinder:
    source = open_source(services, options, use_mysql=options.use_mysql)
    answers = answers_of(source, services, options, cache)
    rows = options.application or name, options.message, options.default_language
    announcements = AudioFinder(
        name, configured(options.announce_path, services.conf_dir), options.default_announce, answers, rows
    )
    default = announcements.files.default
    if default.is_file():
        services.sessions.preload(str(default))
    elif source is None:
        hint = f"there is no file {default}; name an existing one (`cordboard prompts build` makes the spoken ones)"
        raise ConfigError(*where(options, "default_announce"), "default_announce", hint)
    return announcements
