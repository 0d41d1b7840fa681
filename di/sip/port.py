# SPDX-License-Identifier: GPL-2.0-or-later
"""The hub's way to the SIP process, as a protocol: the real one is a record link, a test's a fake."""

from __future__ import annotations

from typing import Protocol

from di.sip.records import Command


class SipPort(Protocol):
    """Takes commands; events go to `di.calls.sessions.Sessions.on_sip_event`."""

    def send(self, command: Command) -> None:
        """Hand a command over; without effect while the process is down (its calls have ended then)."""
