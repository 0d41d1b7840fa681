# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules of the languages that numbers, dates and times are said in: data, and a small function where data does not do.

A rule tells names of recordings, not words. `20` is "twenty", `x3` the unit beside tens ("-three", "dreiund-"): SEMS's names (spec
applications.md §14, dsm.md §5.5). Beyond them a name has the letter of its gender (`1f` "eine") or of its plural form behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Gender = Literal["", "m", "f", "n"]
"""Empty: as one counts."""
Category = Literal["one", "few", "many", "other"]
"""Plural categories of Unicode CLDR that these languages need."""


@dataclass(frozen=True, slots=True)
class Noun:
    """Recordings of what is counted: one file, two files. `few` and `many` default to `other`.

    `one_is_whole`: the recording for one says the number, too ("one new message").
    """

    one: str
    other: str
    few: str = ""
    many: str = ""
    gender: Gender = ""
    one_is_whole: bool = False

    def form(self, category: Category) -> str:
        """The recording of a plural category."""
        forms = {"one": self.one, "few": self.few, "many": self.many, "other": self.other}
        return forms[category] or self.other


@dataclass(frozen=True, slots=True)
class Scale:
    """A word for a power of ten, counted like any noun: 2 thousand, 5 millions."""

    value: int
    noun: Noun


@dataclass(frozen=True, eq=False)
class Language:
    """One language. `genders`: name of a number → genders that have a recording of their own, whatever stands before it.

    `genders_alone`: the same for numbers that stand by themselves. `units_first`: 21 is `x1 20` (SEMS: left), else `20 x1` (right).
    `scales` from the greatest down; without them each digit is said with its power of ten (`4000 300`), as SEMS does.
    """

    tag: str
    units_first: bool
    plural: Callable[[int], Category]
    year: Callable[[Language, int], list[str]]
    clock: Callable[[Language, int, int], list[str]]
    scales: tuple[Scale, ...] = ()
    genders: Mapping[str, str] = field(default_factory=dict)
    genders_alone: Mapping[str, str] = field(default_factory=dict)
    bare_one: bool = False
    """1000 is "thousand", not "one thousand"."""
    month_first: bool = False
    nouns: Mapping[str, Noun] = field(default_factory=dict)
    """`day hour minute second` as they are counted."""


# ------------------------------------------------------------------------------------------------------------------- numbers
def below_hundred(language: Language, number: int) -> list[str]:
    """1 to 99."""
    if number <= 20 or number % 10 == 0:
        return [str(number)]
    tens, unit = str(number // 10 * 10), f"x{number % 10}"
    return [unit, tens] if language.units_first else [tens, unit]


def by_powers(language: Language, number: int) -> list[str]:
    """SEMS's way: a recording for each digit and its power of ten, whatever the language (spec dsm.md §5.5). 0 and more."""
    names = []
    rest = number
    for power in range(9, 1, -1):
        quotient, rest = divmod(rest, 10**power)
        if quotient:
            names.append(str(quotient * 10**power))
    return [*names, *below_hundred(language, rest)] if rest or not names else names


def below_thousand(language: Language, number: int) -> list[str]:
    """1 to 999: the hundred, then what is below it."""
    hundreds, rest = divmod(number, 100)
    return [*([str(hundreds * 100)] if hundreds else []), *(below_hundred(language, rest) if rest else [])]


def by_scales(language: Language, number: int, gender: Gender = "") -> list[str]:
    """Groups of three digits, each but the last with its word; 0 and more."""
    if number == 0:
        return ["0"]
    names, rest = [], number
    for scale in language.scales:
        count, rest = divmod(rest, scale.value)
        if count:
            noun = scale.noun
            if not (count == 1 and language.bare_one):
                names += with_gender(language, by_scales(language, count), noun.gender, count)
            names.append(noun.form(language.plural(count)))
    return [*names, *with_gender(language, below_thousand(language, rest), gender, number)]


def with_gender(language: Language, names: list[str], gender: Gender, number: int) -> list[str]:
    """The last name agrees with what is counted, where the language has a recording for that."""
    if not (names and gender):
        return names
    last = names[-1]
    genders = language.genders.get(last, "") + (language.genders_alone.get(last, "") if number < 20 else "")
    return [*names[:-1], last + gender] if gender in genders else names


def one_or_other(number: int) -> Category:
    """English, German: one file, two files."""
    return "one" if number == 1 else "other"


def polish_plural(number: int) -> Category:
    """jeden plik, dwa pliki, pięć plików, dwadzieścia dwa pliki (CLDR, whole numbers)."""
    if number == 1:
        return "one"
    return "few" if number % 10 in (2, 3, 4) and number % 100 not in (12, 13, 14) else "many"


# ------------------------------------------------------------------------------------------------------------------- years
def plain_year(language: Language, year: int) -> list[str]:
    """As a number."""
    return by_scales(language, year) if language.scales else by_powers(language, year)


def _by_centuries(language: Language, year: int, first: int, oh: bool) -> list[str] | None:
    century, rest = divmod(year, 100)
    if not first <= century <= 99 or century % 10 == 0:
        return None
    if rest == 0:
        return [*below_hundred(language, century), "hundred"]
    small = ["oh"] if oh and rest < 10 else [] if oh else ["hundred"]
    return [*below_hundred(language, century), *small, *below_hundred(language, rest)]


def english_year(language: Language, year: int) -> list[str]:
    """nineteen ninety-nine, nineteen oh five, nineteen hundred; two thousand five, twenty twenty-six."""
    if year // 100 in range(10, 100, 10) and year % 100 >= 10:
        return [*below_hundred(language, year // 100), *below_hundred(language, year % 100)]
    return _by_centuries(language, year, 10, True) or plain_year(language, year)


def german_year(language: Language, year: int) -> list[str]:
    """neunzehnhundertneunundneunzig, zweitausendsechsundzwanzig."""
    found = _by_centuries(language, year, 11, False) if year < 2000 else None
    return found or plain_year(language, year)


def polish_year(language: Language, year: int) -> list[str]:
    """dwa tysiące dwudziestego szóstego roku: the last of thousands, hundreds and the rest is an ordinal (`o…`), of tens both are."""
    thousands, hundreds, rest = year // 1000, year % 1000 // 100 * 100, year % 100
    if rest:
        before = by_scales(language, year - rest) if year > rest else []
        return [*before, *(f"o{name.removeprefix('x')}" for name in below_hundred(language, rest)), "year"]
    if hundreds:
        return [*(by_scales(language, thousands * 1000) if thousands else []), f"o{hundreds}", "year"]
    return [f"o{year}", "year"]


# ------------------------------------------------------------------------------------------------------------------- times of day
def english_clock(language: Language, hour: int, minute: int) -> list[str]:
    """eight oh five a m, twelve p m."""
    small = [] if not minute else ["oh"] if minute < 10 else []
    said = below_hundred(language, minute) if minute else []
    return [*below_hundred(language, (hour + 11) % 12 + 1), *small, *said, "am" if hour < 12 else "pm"]


def german_clock(language: Language, hour: int, minute: int) -> list[str]:
    """ein Uhr, acht Uhr fünf."""
    said = below_hundred(language, minute) if minute else []
    return [*with_gender(language, by_scales(language, hour), "m", hour), "oclock", *said]


def polish_clock(language: Language, hour: int, minute: int) -> list[str]:
    """godzina ósma zero pięć: hours are ordinals of their own (hour0 … hour23)."""
    return [f"hour{hour}", *(["0"] if 0 < minute < 10 else []), *(below_hundred(language, minute) if minute else [])]


def plain_clock(language: Language, hour: int, minute: int) -> list[str]:
    """Hour and minute as numbers."""
    return [*by_powers(language, hour), *by_powers(language, minute)]


# ------------------------------------------------------------------------------------------------------------------- the languages
_TWO_FORMS = {unit: Noun(unit, f"{unit}s") for unit in ("day", "hour", "minute", "second")}
ENGLISH = Language(
    "en",
    units_first=False,
    plural=one_or_other,
    year=english_year,
    clock=english_clock,
    scales=(
        Scale(1_000_000_000, Noun("billion", "billion")),
        Scale(1_000_000, Noun("million", "million")),
        Scale(1000, Noun("thousand", "thousand")),
    ),
    month_first=True,
    nouns=_TWO_FORMS,
)
GERMAN = Language(
    "de",
    units_first=True,
    plural=one_or_other,
    year=german_year,
    clock=german_clock,
    scales=(
        Scale(1_000_000_000, Noun("billion", "billions", gender="f")),
        Scale(1_000_000, Noun("million", "millions", gender="f")),
        Scale(1000, Noun("thousand", "thousand", gender="n")),
    ),
    genders={"1": "mfn"},
    nouns={
        "day": Noun("day", "days", gender="m"),
        **{unit: Noun(unit, f"{unit}s", gender="f") for unit in ("hour", "minute", "second")},
    },
)
POLISH = Language(
    "pl",
    units_first=False,
    plural=polish_plural,
    year=polish_year,
    clock=polish_clock,
    scales=(
        Scale(1_000_000_000, Noun("billion", "", few="billions", many="billions_many")),
        Scale(1_000_000, Noun("million", "", few="millions", many="millions_many")),
        Scale(1000, Noun("thousand", "", few="thousands", many="thousands_many")),
    ),
    genders={"2": "f", "x2": "f"},
    genders_alone={"1": "fn"},
    bare_one=True,
    nouns={
        "day": Noun("day", "days", gender="m"),
        **{unit: Noun(unit, "", f"{unit}s", f"{unit}s_many", gender="f") for unit in ("hour", "minute", "second")},
    },
)
RIGHT = Language("right", False, one_or_other, plain_year, plain_clock, nouns=_TWO_FORMS)
LEFT = Language("left", True, one_or_other, plain_year, plain_clock, nouns=_TWO_FORMS)

BUILT_IN: dict[str, Language] = {language.tag: language for language in (ENGLISH, GERMAN, POLISH)}
