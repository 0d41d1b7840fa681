# SPDX-License-Identifier: GPL-2.0-or-later
"""While no media process is up, who waits for an answer of one gets it at once, and nobody else anything."""

from __future__ import annotations

from di.calls.no_process import NoMedia, NoSip
from di.sip.records import Hangup
from media.control.recording_records import RecordingStopped, StartRecording, StopRecording
from media.control.records import CloseLeg, Event, LegFailed, OpenLeg


def test_a_leg_and_a_recording_are_refused_and_the_rest_is_lost() -> None:
    said: list[Event] = []
    media = NoMedia(said.append)
    for command in (OpenLeg(7), CloseLeg(7), StartRecording(8, "/r.wav"), StopRecording(8)):
        media.send(command)
    assert said == [LegFailed(7, "no media process is up"), RecordingStopped(8, "/r.wav", 0, 0, "no media process is up")]
    NoSip().send(Hangup(1))
