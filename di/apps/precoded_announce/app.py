# SPDX-License-Identifier: GPL-2.0-or-later
"""The call: only the payloads of the definition are spoken; play the one that was agreed on, BYE."""

from __future__ import annotations

import logging
from pathlib import Path

from di.apps.api import (
    Application,
    Closer,
    ConfigError,
    ItemFailed,
    PredefError,
    Services,
    Session,
    configured,
    parse_predef,
    where,
)
from di.apps.precoded_announce.options import Options

log = logging.getLogger(__name__)


def payloads_of(path: Path) -> tuple[str, ...]:
    """Codecs of a definition as NAME/clock, in its order. Raises PredefError, also when a file of it is not there."""
    try:
        entries = parse_predef(path.read_text(encoding="utf-8-sig"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise PredefError(f"{path}: {getattr(error, 'strerror', '') or error}") from error
    for entry in entries:
        if not (path.parent / entry.file).is_file():
            raise PredefError(f"{path}:{entry.line}: there is no file {path.parent / entry.file}")
    return tuple(f"{entry.name}/{entry.rate_hz}" for entry in entries)


class PrecodedAnnounce(Application):
    """One call that listens. What the caller says or presses is ignored."""

    def __init__(self, session: Session, path: Path, payloads: tuple[str, ...]) -> None:
        super().__init__(session)
        session.dialog.payloads = payloads
        self._path = path

    def on_session_start(self) -> None:
        """Play."""
        self.session.audio.play_file(str(self._path))

    def on_playlist_empty(self) -> None:
        """The file is over."""
        self.session.stop()

    def on_item_failed(self, record: ItemFailed) -> None:
        """There is no file for this payload any more, or it is no whole number of frames."""
        log.error("call %s: precoded_announce: %s cannot be played: %s", self.session.id, record.path, record.reason)
        self.session.stop(500, "Server Internal Error")


def start(services: Services, options: Options) -> Closer:
    """Register the application. Raises ConfigError when the definition is not there or not right."""
    definitions = {"now": _definition(services, options)}
    services.applications.register("precoded_announce", lambda session: PrecodedAnnounce(session, *definitions["now"]))

    def reload(new: Options) -> None:
        definitions["now"] = _definition(services, new)

    services.on_reload("precoded_announce", Options, reload)
    return lambda: services.applications.unregister("precoded_announce")


def _definition(services: Services, options: Options) -> tuple[Path, tuple[str, ...]]:
    """The file and the codecs that it has."""
    path = configured(options.announcement_file, services.conf_dir)
    try:
        return path, payloads_of(path)
    except PredefError as error:
        raise ConfigError(*where(options, "announcement_file"), "announcement_file", str(error)) from error
