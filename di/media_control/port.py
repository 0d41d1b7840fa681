# SPDX-License-Identifier: GPL-2.0-or-later
"""The hub's way to the media processes, as a protocol: the real one is the router, a test's a fake."""

from __future__ import annotations

from typing import Protocol

from media.control.records import Command


class MediaPort(Protocol):
    """Takes commands; events go to `di.calls.sessions.Sessions.on_media_event`."""

    def send(self, command: Command) -> None:
        """Hand a command over; without effect while the process is down."""
