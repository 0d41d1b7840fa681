# SPDX-License-Identifier: GPL-2.0-or-later
"""Saying numbers, digits, counts, dates, times and durations: values in, names of recordings out.

    number(21, ENGLISH)            20 x1
    number(21, GERMAN)             x1 20
    count(2, Noun("new_msg", "new_msgs"), ENGLISH)   2 new_msgs

Names are those of SEMS's prompts where it has them: `0` … `20`, `30` … `90`, `x1` … `x9`, hundreds and powers of ten, `s` and `p` for
star and hash. `vocabulary` lists all that a language may ask for, so that a set of recordings can be checked at start. What becomes of
a name (which folder, which file, and a missing one) is `di.apps.prompts`'s.

Left out: words written out, decimal fractions, money.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date as Date
from datetime import time as Time
from functools import lru_cache
from itertools import chain

from di.speech.languages import BUILT_IN, ENGLISH, GERMAN, LEFT, POLISH, RIGHT, Gender, Language, Noun, by_powers, by_scales

__all__ = [
    "ENGLISH",
    "GERMAN",
    "LEFT",
    "POLISH",
    "RIGHT",
    "Gender",
    "Language",
    "Noun",
    "count",
    "date",
    "digits",
    "duration",
    "language",
    "number",
    "time",
    "vocabulary",
]

_DIGIT_NAMES = {"*": "s", "#": "p", "+": "plus"}
_ENTRY = re.compile(r"([\w-]*)(?:\(digits=(left|right)\))?")
_UNITS_S = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))


def language(text: str) -> Language | None:
    """The rules of a language: `en`, `de-AT` (as `de`), or SEMS's `name(digits=left)` (spec applications.md §14). None: there are none."""
    entry = _ENTRY.fullmatch(text.strip())
    if entry is None:
        return None
    if entry[2]:
        return LEFT if entry[2] == "left" else RIGHT
    return BUILT_IN.get(re.split("[-_]", entry[1].lower())[0])


def number(value: int, language: Language, gender: Gender = "") -> list[str]:
    """A whole number, as one counts or agreeing with what is counted. A negative one begins with `minus`."""
    if value < 0:
        return ["minus", *number(-value, language, gender)]
    return by_scales(language, value, gender) if language.scales else by_powers(language, value)


def digits(text: str) -> list[str]:
    """One by one: digits, `*`, `#`, `+`, Latin letters. What has no name (spaces, hyphens, all else) is left out."""
    characters = (_DIGIT_NAMES.get(c, c.lower()) for c in text if c in _DIGIT_NAMES or (c.isascii() and c.isalnum()))
    return list(characters)


def count(value: int, noun: Noun, language: Language) -> list[str]:
    """So many of something: the number, then the plural form that goes with it."""
    category = language.plural(abs(value))
    said = [] if value == 1 and noun.one_is_whole else number(value, language, noun.gender)
    return [*said, noun.form(category)]


def date(day: Date, language: Language, *, weekday: bool = True, year: bool = True) -> list[str]:
    """A date in the language's order: names weekday1 (Monday) … weekday7, day1 … day31, month1 … month12, then the year."""
    day_and_month = [f"day{day.day}", f"month{day.month}"]
    return [
        *([f"weekday{day.isoweekday()}"] if weekday else []),
        *(reversed(day_and_month) if language.month_first else day_and_month),
        *(language.year(language, day.year) if year else []),
    ]


def time(moment: Time, language: Language) -> list[str]:
    """A time of day, to the minute."""
    return language.clock(language, moment.hour, moment.minute)


def duration(length_s: int, language: Language) -> list[str]:
    """Days, hours, minutes and seconds, those that are not 0; `and` before the last of several. A negative one begins with `minus`."""
    if length_s < 0:
        return ["minus", *duration(-length_s, language)]
    parts: list[list[str]] = []
    rest = length_s
    for unit, unit_s in _UNITS_S:
        value, rest = divmod(rest, unit_s)
        if value or (unit == "second" and not parts):
            parts.append(count(value, language.nouns[unit], language))
    if len(parts) > 1:
        parts.insert(-1, ["and"])
    return list(chain.from_iterable(parts))


@lru_cache
def vocabulary(language: Language) -> frozenset[str]:
    """Every name that `number` (below 10¹²), `digits` of keys, `date`, `time` and `duration` may ask for; `count` adds its noun's forms."""
    scales = [scale.value for scale in language.scales] or [10**power for power in range(3, 9)]
    genders: tuple[Gender, ...] = ("", "m", "f", "n")
    said: list[Iterable[str]] = [["minus"], digits("0123456789*#+")]
    said += [number(n, language, gender) for n in range(1000) for gender in genders]
    said += [number(n * scale, language) for n in range(1, 100) for scale in scales]
    said += [duration(n * unit_s, language) for n in range(24) for _, unit_s in _UNITS_S] + [duration(61, language)]
    said += [time(Time(hour, minute), language) for hour in range(24) for minute in range(60)]
    said += [date(Date(2000, 1, day), language) for day in range(1, 32)] + [
        date(Date(2000, n, 1), language) for n in range(1, 13)
    ]
    said += [language.year(language, year) for year in range(1, 10_000)]
    return frozenset(chain.from_iterable(said))
