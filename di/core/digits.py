# SPDX-License-Identifier: GPL-2.0-or-later
"""Key presses from RFC 4733, SIP INFO and the audio, merged so that each press counts once (spec core.md §9.4)."""

from __future__ import annotations

import re

WINDOW_NS = 200_000_000
"""How long after a key another source may repeat it (spec core.md §9.4)."""

_NAMES = {**{str(n): n for n in range(10)}, "*": 10, "#": 11, "A": 12, "B": 13, "C": 14, "D": 15}


class DigitMerger:
    """Passes a press on when its first source reports it; the same key from the other sources within the window is the same press."""

    def __init__(self) -> None:
        self._event = -1
        self._sources: set[str] = set()
        self._last_ns = 0

    def accept(self, event: int, source: str, now_ns: int) -> bool:
        """Whether this report is a press of its own. `source`: rtp, info or inband."""
        repeated = event == self._event and now_ns - self._last_ns <= WINDOW_NS and source not in self._sources
        if repeated:
            self._sources.add(source)
        else:
            self._event, self._sources = event, {source}
        self._last_ns = now_ns
        return not repeated


def parse_dtmf_relay(body: bytes) -> tuple[int, int] | None:
    """Read `application/dtmf-relay`: (event, duration in ms, at most 1000), or None when there is no valid signal."""
    fields: dict[str, str] = {}
    for line in re.split(r"[\r\n]+", body.decode("ascii", "replace")):
        name, separator, value = line.partition("=")
        if separator:
            fields[name.strip().lower()] = value.strip()
    signal = fields.get("signal", "")
    event = _NAMES.get(signal.upper())
    if event is None and re.fullmatch(r"1[0-5]", signal):
        event = int(signal)
    if event is None:
        return None
    duration = fields.get("duration", "")
    return event, min(int(duration), 1000) if re.fullmatch(r"[0-9]{1,6}", duration) else 250
