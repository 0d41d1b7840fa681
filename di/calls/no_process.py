# SPDX-License-Identifier: GPL-2.0-or-later
"""What calls speak to while a process is down."""

from __future__ import annotations

from collections.abc import Callable

from di.sip import records as sip
from media.control import records as media
from media.control.recording_records import RecordingStopped, StartRecording


class NoSip:
    """The port while the SIP process is down: what is sent is lost, which `sip_lost` has settled already."""

    def send(self, command: sip.Command) -> None:
        """Nothing."""


class NoMedia:
    """The port while no media process is up. A leg that is asked for is refused at once, so that its call ends."""

    def __init__(self, emit: Callable[[media.Event], None]) -> None:
        self._emit = emit

    def send(self, command: media.Command) -> None:
        """Nothing but the answers to OpenLeg and StartRecording."""
        if isinstance(command, media.OpenLeg):
            self._emit(media.LegFailed(command.leg, "no media process is up"))
        elif isinstance(command, StartRecording):
            self._emit(RecordingStopped(command.leg, command.path, 0, 0, "no media process is up"))
