# SPDX-License-Identifier: GPL-2.0-or-later
"""An application for tests with real phones: the caller hears himself, and the record says what he does (`keys`, `offers`)."""

from __future__ import annotations

from dataclasses import dataclass

from di.apps.api import Application, Closer, PlayEcho, Plugin, Services, Session
from di.apps.keypad import key_of


class Listener(Application):
    """One caller."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._keys = ""
        self._offers: list[str] = []

    def on_session_start(self) -> None:
        self.session.audio.play(PlayEcho())

    def on_digit(self, event: int, duration_ms: int) -> None:
        self._keys += key_of(event)
        self.session.log(keys=self._keys)

    def on_media_changed(self) -> None:
        self._offers.append(self.session.dialog.peer_direction)
        self.session.log(offers=",".join(self._offers))


@dataclass(frozen=True)
class Options:
    """listener.conf: nothing of its own."""


def start(services: Services, options: Options) -> Closer:
    """Register the application."""
    services.applications.register("listener", Listener)
    return lambda: services.applications.unregister("listener")


PLUGIN = Plugin("listener", options=Options, start=start)
