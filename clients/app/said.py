# SPDX-License-Identifier: GPL-2.0-or-later
"""What a call can be told to say: numbers, digits, dates, times, lengths of time, and texts.

call.say(21)                    call.say(date.today())             call.say("030*", as_="digits")
call.say(timedelta(hours=2))    call.say("Hello", language="en")   call.gather(["you_have.wav", Say(3)])
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from clients.app.link import Message

Sayable = int | str | date | time | timedelta
As = Literal["", "number", "digits", "text"]


@dataclass(frozen=True, slots=True)
class Say:
    """Something to be said. `as_`: what a text is, else it is spoken as it stands. `language`: default is the server's."""

    value: Sayable
    as_: As = ""
    language: str = ""

    def message(self) -> Message:
        """What the server is sent. Raises TypeError for what cannot be said, ValueError for a number that is none."""
        kind, value = _kind(self.value, self.as_)
        return {"kind": kind, "value": value, "language": self.language}


def _kind(value: Sayable, as_: As) -> tuple[str, int | str]:
    if isinstance(value, bool) or not isinstance(value, (int, str, date, time, timedelta)):
        raise TypeError(f"{value!r} cannot be said; right are int, str, date, time, datetime, timedelta")
    if isinstance(value, int):
        return ("digits", str(value)) if as_ == "digits" else ("number", value)
    if isinstance(value, datetime):
        return "moment", value.replace(tzinfo=None).isoformat(timespec="minutes")
    if isinstance(value, date):
        return "date", value.isoformat()
    if isinstance(value, time):
        return "time", value.replace(tzinfo=None).isoformat(timespec="minutes")
    if isinstance(value, timedelta):
        return "duration", round(value.total_seconds())
    return ("number", int(value)) if as_ == "number" else (as_ or "text", value)
