# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls recorded as their parties hear them: what a leg says, what it is sent, or both in the two channels of one file.

    frames ──────────────► left  ┐
    packets, before they are     ├─► Take ─► blocks for the shell's writer ─► CallRecordingStopped
    packed ──decoded─────► right ┘

Both channels are of one tick, so they are in step to the sample. A recorded leg's payloads are decoded, never passed on as they came.
What is sent as frames of a library codec that a file holds already (precoded announcements) is not decoded: silence stands for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.codecs import g711
from media.codecs.codec import TICK_MS
from media.control.recording_records import CallRecordingStopped, StartCallRecording
from media.control.records import Event
from media.dsp.coding import LINEAR_16, NATIVE
from media.engine.leg import Leg
from media.engine.leg_table import HEADER_BYTES, SOURCE_CODED, LegTable
from media.engine.recorders import Recorders
from media.engine.takes import Take

log = logging.getLogger(__name__)
SIDES = ("said", "heard", "both")
MOST_HZ = 16000
DEFAULT_HZ = 8000

Samples = NDArray[np.int16]


@dataclass(slots=True, eq=False)
class CallTake:
    """One call being recorded."""

    leg: Leg
    sides: str
    take: Take

    def at_rate(self, side: str, frame: Samples | None) -> Samples:
        """Return a side's frame at the file's rate, silence for None."""
        return np.zeros(self.take.rate_hz * TICK_MS // 1000, np.int16) if frame is None else self.take.at_rate(side, frame)


class CallTakes:
    """The recorded calls of a process. `recorders` has the files and the work of all recordings."""

    def __init__(self, table: LegTable, recorders: Recorders, emit: Callable[[Event], None]) -> None:
        self._table = table
        self._recorders = recorders
        self._emit = emit
        self._takes: dict[int, CallTake] = {}

    def __contains__(self, leg: Leg) -> bool:
        return leg.number in self._takes

    # ----------------------------------------------------------------------------------------------------------- commands
    def start(self, leg: Leg, command: StartCallRecording) -> None:
        """Record a call. Raises ValueError for other sides."""
        if command.sides not in SIDES:
            raise ValueError(f"sides {command.sides!r} of a call's recording: {', '.join(SIDES)}")
        self.stop(leg, "asked")
        rate_hz = min(leg.codec.rate_hz, MOST_HZ) if leg.codec is not None else DEFAULT_HZ
        channels = 2 if command.sides == "both" else 1
        take = self._recorders.open(command.path, rate_hz, command.length_ms, channels=channels)
        self._takes[leg.number] = CallTake(leg, command.sides, take)
        self._recorders.tapped.add(leg.number)
        self._recorders.others[take.token] = lambda size_bytes, error: self._written(leg.number, take, size_bytes, error)

    def stop(self, leg: Leg, reason: str) -> None:
        """Finish a leg's recording, if there is one."""
        call = self._takes.pop(leg.number, None)
        if call is not None:
            self._recorders.tapped.discard(leg.number)
            call.take.stopped = reason
            self._recorders.work += call.take.close()

    def close_all(self) -> None:
        """Finish everything: the process ends."""
        for call in list(self._takes.values()):
            self.stop(call.leg, "closed")

    # --------------------------------------------------------------------------------------------------------------- tick
    def capture(self) -> None:
        """Take this tick's frames and payloads, when all sounds are in them and they are not yet gathered into longer packets."""
        for call in list(self._takes.values()):
            try:
                self._capture(call)
            except Exception as error:  # a fault of ours costs this recording, not the process with all its calls
                log.exception("leg %d: the recording %s of its call cannot go on", call.leg.number, call.take.path)
                self.stop(call.leg, f"{type(error).__name__}: {error}")

    def _capture(self, call: CallTake) -> None:
        said = call.at_rate("said", self._said(call.leg)) if call.sides != "heard" else None
        heard = call.at_rate("heard", self._heard(call.leg)) if call.sides != "said" else None
        frame = said if heard is None else heard if said is None else np.stack((said, heard), axis=1).reshape(-1)
        self._recorders.work += call.take.add(frame)
        if call.take.length_ms and call.take.recorded_ms >= call.take.length_ms:
            self.stop(call.leg, "length")

    def _said(self, leg: Leg) -> Samples | None:
        row = self._table.rows[leg.row]
        return self._table.frames[leg.row, : int(row["frame_samples"])] if row["heard"] else None

    def _heard(self, leg: Leg) -> Samples | None:
        """Decode what the leg is sent in this tick; None when it is sent nothing."""
        row = self._table.rows[leg.row]
        if not row["due"] or row["source"] == SOURCE_CODED:
            return None
        coding, count = int(row["coding"]), int(row["frame_samples"])
        size = count * 2 if coding in (LINEAR_16, NATIVE) else count
        payload = self._table.packets[leg.row, HEADER_BYTES : HEADER_BYTES + size]
        if coding == NATIVE:
            return payload.copy().view(np.int16)
        if coding == LINEAR_16:
            return payload.copy().view(">i2").astype(np.int16)
        decoded: Samples = g711.DECODE[coding][payload]
        return decoded

    # -------------------------------------------------------------------------------------------------------------- shell
    def _written(self, number: int, take: Take, size_bytes: int, error: str) -> None:
        """The writer has finished the file, or cannot go on with it: then it is closed and this comes once more."""
        call = self._takes.get(number)
        if call is not None and call.take is take:
            self.stop(call.leg, error)
            return
        del self._recorders.others[take.token]
        reason = error or take.stopped
        self._emit(CallRecordingStopped(number, take.path, take.samples, take.rate_hz, take.channels, size_bytes, reason))
