# SPDX-License-Identifier: GPL-2.0-or-later
"""What an application says: numbers, digits, dates, times and lengths of time as names of recordings. Pure."""

from __future__ import annotations

from datetime import date as Date
from datetime import datetime as Moment
from datetime import time as Time

from di.apps import speech
from di.speech.languages import Language

KINDS = ("number", "digits", "date", "time", "moment", "duration", "text")
_MOST = 10**12 - 1
_MOST_DIGITS = 64


def said(kind: str, value: object, language: Language) -> list[str]:
    """The recordings of a value. Raises ValueError that says what would have been right."""
    if kind in ("number", "duration"):
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _MOST:
            raise ValueError(f"a {kind} must be a whole number of at most {len(str(_MOST))} digits")
        return speech.number(value, language) if kind == "number" else speech.duration(value, language)
    if not isinstance(value, str):
        raise ValueError(f"a {kind} must be a text")
    if kind == "digits":
        names = speech.digits(value)
        if not names or len(value) > _MOST_DIGITS:
            raise ValueError(f"digits must be 1 to {_MOST_DIGITS} of 0-9, a-z, *, #, +")
        return names
    if kind == "date":
        return speech.date(Date.fromisoformat(value), language)
    if kind == "time":
        return speech.time(Time.fromisoformat(value), language)
    if kind == "moment":
        moment = Moment.fromisoformat(value)
        return [*speech.date(moment.date(), language), *speech.time(moment.time(), language)]
    raise ValueError(f"{kind!r:.40} is nothing that can be said; right is one of {', '.join(KINDS)}")
