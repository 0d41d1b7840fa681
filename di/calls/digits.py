# SPDX-License-Identifier: GPL-2.0-or-later
"""Key presses from RFC 4733, SIP INFO and the audio, merged so that each press counts once (spec core.md §9.4)."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

WINDOW_NS = 200_000_000
"""How long after a key another source may repeat it (spec core.md §9.4)."""

END_KNOWN_NS = {"rtp": 240_000_000, "inband": 60_000_000}
"""Sources that report a press once it is over, and how long after its end that may be: an end that was lost shows by silence."""

_NAMES = {**{str(n): n for n in range(10)}, "*": 10, "#": 11, "A": 12, "B": 13, "C": 14, "D": 15}


REMEMBERED = 8
"""Presses that a late report may still belong to: the end of one may show only when the next has been reported by INFO."""


@dataclass(slots=True)
class _Press:
    event: int
    sources: set[str]
    last_ns: int


class DigitMerger:
    """Passes a press on when its first source reports it; the same key from the other sources soon after is the same press."""

    def __init__(self) -> None:
        self._presses: deque[_Press] = deque(maxlen=REMEMBERED)
        self.source = ""
        """Who was the first to report the last press."""

    def accept(self, event: int, source: str, now_ns: int, duration_ms: int = 0) -> bool:
        """Whether this report is a press of its own. `source`: rtp, info or inband.

        INFO may come when a press begins, so what reports at the end reaches back by the length of the press.
        """
        window_ns = WINDOW_NS
        if source in END_KNOWN_NS:
            window_ns += END_KNOWN_NS[source] + duration_ms * 1_000_000
        for press in self._presses:
            if press.event == event and source not in press.sources and now_ns - press.last_ns <= window_ns:
                press.sources.add(source)
                press.last_ns = now_ns
                return False
        self._presses.append(_Press(event, {source}, now_ns))
        self.source = source
        return True


INFO_TYPES = ("application/dtmf-relay", "application/dtmf")
"""Content types of an INFO that holds a key."""
_INFO_MS = 250
"""Length of a press whose INFO does not say it."""


def parse_info(content_type: str, body: bytes) -> tuple[int, int] | None:
    """Read the key of an INFO of one of `INFO_TYPES`: (event, duration in ms), or None when there is none.

    `application/dtmf` holds the key alone (`5`, `*`, or its number up to 15); some phones write `Signal=` there, too.
    """
    if content_type == "application/dtmf" and b"=" not in body:
        event = _event_of(body.decode("ascii", "replace").strip())
        return None if event is None else (event, _INFO_MS)
    return parse_dtmf_relay(body)


def _event_of(signal: str) -> int | None:
    event = _NAMES.get(signal.upper())
    return int(signal) if event is None and re.fullmatch(r"1[0-5]", signal) else event


def parse_dtmf_relay(body: bytes) -> tuple[int, int] | None:
    """Read `application/dtmf-relay`: (event, duration in ms, at most 1000), or None when there is no valid signal."""
    fields: dict[str, str] = {}
    for line in re.split(r"[\r\n]+", body.decode("ascii", "replace")):
        name, separator, value = line.partition("=")
        if separator:
            fields[name.strip().lower()] = value.strip()
    event = _event_of(fields.get("signal", ""))
    if event is None:
        return None
    duration = fields.get("duration", "")
    return event, min(int(duration), 1000) if re.fullmatch(r"[0-9]{1,6}", duration) else _INFO_MS
