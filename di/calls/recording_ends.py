# SPDX-License-Identifier: GPL-2.0-or-later
"""Who wants to know that a recording is complete, whatever has become of its call.

    Audio.record(path, on_end=told) ─► … the call may end meanwhile … ─► RecordingStopped ─► told(record), once

A call that is over hears nothing any more (`Application.on_recording_stopped`), and the file of a caller who hung up is closed only
afterwards. The media border answers every StartRecording with one RecordingStopped (`di.media_control.router`), so `told` is called in any case.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from media.control.recording_records import RecordingStopped

log = logging.getLogger(__name__)
OnEnd = Callable[[RecordingStopped], None]


class RecordingEnds:
    """Those who wait, by the file's path."""

    def __init__(self) -> None:
        self._waiting: dict[str, OnEnd] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def watch(self, path: str, told: OnEnd) -> None:
        """Call `told` when the recording into that file is complete. It runs outside of the call's events and must not block."""
        self._waiting[path] = told

    def stopped(self, record: RecordingStopped) -> None:
        """A recording is complete, or has failed."""
        told = self._waiting.pop(record.path, None)
        if told is None:
            return
        try:
            told(record)
        except Exception:  # who waits is not to end the stream of records of all calls
            log.exception("recording %s is complete, and who waits for it failed", record.path)
