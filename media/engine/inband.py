# SPDX-License-Identifier: GPL-2.0-or-later
"""In-band key tones of the legs for which detection is on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from media.control.records import DigitPressed, Event
from media.dsp import dtmf
from media.engine.leg import Leg
from media.engine.leg_table import LegTable


class InbandDigits:
    """One detector over all those legs; each keeps the end of its last frame and a small state."""

    def __init__(self, table: LegTable, emit: Callable[[Event], None]) -> None:
        self._table = table
        self._emit = emit
        self._legs: dict[int, tuple[Leg, dtmf.KeyTracker]] = {}
        self._windows = np.zeros((0, dtmf.WINDOW_SAMPLES), np.float32)

    def __contains__(self, leg: Leg) -> bool:
        return leg.number in self._legs

    def switch(self, leg: Leg, on: bool) -> None:
        """Switch detection for a leg."""
        if on == (leg in self):
            return
        if on:
            self._legs[leg.number] = (leg, dtmf.KeyTracker())
            self._windows = np.concatenate([self._windows, np.zeros((1, dtmf.WINDOW_SAMPLES), np.float32)])
        else:
            index = list(self._legs).index(leg.number)
            del self._legs[leg.number]
            self._windows = np.delete(self._windows, index, axis=0)

    def listen(self) -> None:
        """Take this tick's frames."""
        if not self._legs:
            return
        windows = self._windows
        rows = np.fromiter((leg.row for leg, _ in self._legs.values()), np.intp, len(self._legs))
        state = self._table.rows[rows]
        windows[:, : dtmf.KEPT_SAMPLES] = windows[:, dtmf.FRAME_SAMPLES :]
        windows[:, dtmf.KEPT_SAMPLES :] = 0
        for samples in np.unique(state["frame_samples"][state["heard"] == 1]).tolist():
            every = samples // dtmf.FRAME_SAMPLES
            if every * dtmf.FRAME_SAMPLES != samples:
                continue  # a rate that is no multiple of 8 kHz
            chosen = np.flatnonzero((state["heard"] == 1) & (state["frame_samples"] == samples))
            frames = self._table.frames[rows[chosen], :samples].astype(np.float32) / 32768
            if every > 1:
                frames = frames.reshape(len(chosen), dtmf.FRAME_SAMPLES, every).mean(axis=2)
            windows[chosen, dtmf.KEPT_SAMPLES :] = frames
        keys = dtmf.keys_in(windows)
        for (leg, tracker), key in zip(self._legs.values(), keys.tolist(), strict=True):
            if key != dtmf.NO_KEY or not tracker.idle:
                for event, duration_ms in tracker.handle_window(key):
                    self._emit(DigitPressed(leg.number, event, duration_ms, "inband"))
