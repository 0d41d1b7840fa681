# SPDX-License-Identifier: GPL-2.0-or-later
"""The echo's call."""

from __future__ import annotations

from dataclasses import dataclass

from di.apps.api import Application, Closer, PlayEcho, Services, Session, SessionTimerOptions

_STAR = 10
_BUFFERS = ("adaptive", "adaptive_jb", "simple")


@dataclass(frozen=True)
class Options(SessionTimerOptions):
    """echo.conf: nothing of its own."""


class Echo(Application):
    """One caller who hears himself."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._buffer = 0

    def on_session_start(self) -> None:
        """Begin with the adaptive buffer."""
        self.session.audio.set_playout(_BUFFERS[0])
        self.session.audio.play(PlayEcho())

    def on_digit(self, event: int, duration_ms: int) -> None:
        """`*`: the next kind of buffer."""
        if event == _STAR:
            self._buffer = (self._buffer + 1) % len(_BUFFERS)
            self.session.audio.set_playout(_BUFFERS[self._buffer])


def start(services: Services, options: Options) -> Closer:
    """Register the application."""
    services.applications.register("echo", Echo)
    return lambda: services.applications.unregister("echo")
