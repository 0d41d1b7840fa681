# SPDX-License-Identifier: GPL-2.0-or-later
"""Known sentences, language by language, as names of recordings."""

from __future__ import annotations

from datetime import date as Date
from datetime import time as Time

import pytest

from di.apps.speech import (
    ENGLISH,
    GERMAN,
    LEFT,
    POLISH,
    RIGHT,
    Gender,
    Language,
    Noun,
    count,
    date,
    digits,
    duration,
    language,
    number,
    time,
    vocabulary,
)

ALL = (ENGLISH, GERMAN, POLISH, RIGHT, LEFT)


@pytest.mark.parametrize(
    ("value", "rules", "gender", "said"),
    [
        (0, ENGLISH, "", "0"),
        (13, ENGLISH, "", "13"),
        (20, ENGLISH, "", "20"),
        (21, ENGLISH, "", "20 x1"),
        (90, ENGLISH, "", "90"),
        (342, ENGLISH, "f", "300 40 x2"),
        (1000, ENGLISH, "", "1 thousand"),
        (12_345, ENGLISH, "", "12 thousand 300 40 x5"),
        (2_000_001, ENGLISH, "", "2 million 1"),
        (-5, ENGLISH, "", "minus 5"),
        (1, GERMAN, "", "1"),
        (1, GERMAN, "f", "1f"),
        (21, GERMAN, "f", "x1 20"),
        (101, GERMAN, "f", "100 1f"),
        (1000, GERMAN, "", "1n thousand"),
        (999_999, GERMAN, "", "900 x9 90 thousand 900 x9 90"),
        (1_000_000, GERMAN, "", "1f million"),
        (3_000_000_000, GERMAN, "", "3 billions"),
        (1, POLISH, "n", "1n"),
        (2, POLISH, "f", "2f"),
        (21, POLISH, "f", "20 x1"),
        (22, POLISH, "f", "20 x2f"),
        (101, POLISH, "f", "100 1"),
        (1000, POLISH, "", "thousand"),
        (2000, POLISH, "f", "2 thousands"),
        (5000, POLISH, "", "5 thousands_many"),
        (22_000, POLISH, "", "20 x2 thousands"),
        (12_000, POLISH, "", "12 thousands_many"),
        (1_001_000, POLISH, "", "million thousand"),
        (4321, RIGHT, "", "4000 300 20 x1"),
        (4321, LEFT, "f", "4000 300 x1 20"),
        (12_000, LEFT, "", "10000 2000"),
    ],
)
def test_number(value: int, rules: Language, gender: Gender, said: str) -> None:
    assert number(value, rules, gender) == said.split()


MESSAGES = Noun("new_msg", "new_msgs", one_is_whole=True)
FILES = Noun("plik", "", "pliki", "plikow", gender="m")
REPORTS = Noun("meldung", "meldungen", gender="f")


@pytest.mark.parametrize(
    ("value", "noun", "rules", "said"),
    [
        (0, MESSAGES, ENGLISH, "0 new_msgs"),
        (1, MESSAGES, ENGLISH, "new_msg"),
        (2, MESSAGES, ENGLISH, "2 new_msgs"),
        (21, MESSAGES, RIGHT, "20 x1 new_msgs"),
        (21, MESSAGES, LEFT, "x1 20 new_msgs"),
        (1, REPORTS, GERMAN, "1f meldung"),
        (2, REPORTS, GERMAN, "2 meldungen"),
        (0, FILES, POLISH, "0 plikow"),
        (1, FILES, POLISH, "1 plik"),
        (2, FILES, POLISH, "2 pliki"),
        (5, FILES, POLISH, "5 plikow"),
        (12, FILES, POLISH, "12 plikow"),
        (22, FILES, POLISH, "20 x2 pliki"),
        (112, FILES, POLISH, "100 12 plikow"),
    ],
)
def test_count(value: int, noun: Noun, rules: Language, said: str) -> None:
    assert count(value, noun, rules) == said.split()


@pytest.mark.parametrize(
    ("day", "rules", "said"),
    [
        (Date(2026, 11, 29), ENGLISH, "weekday7 month11 day29 20 20 x6"),
        (Date(2005, 1, 3), ENGLISH, "weekday1 month1 day3 2 thousand 5"),
        (Date(1905, 1, 3), ENGLISH, "weekday2 month1 day3 19 oh 5"),
        (Date(1900, 1, 1), ENGLISH, "weekday1 month1 day1 19 hundred"),
        (Date(2026, 11, 29), GERMAN, "weekday7 day29 month11 2 thousand x6 20"),
        (Date(1999, 12, 31), GERMAN, "weekday5 day31 month12 19 hundred x9 90"),
        (Date(2026, 11, 29), POLISH, "weekday7 day29 month11 2 thousands o20 o6 year"),
        (Date(2000, 1, 1), POLISH, "weekday6 day1 month1 o2000 year"),
        (Date(1900, 1, 1), POLISH, "weekday1 day1 month1 thousand o900 year"),
        (Date(2026, 11, 29), RIGHT, "weekday7 day29 month11 2000 20 x6"),
    ],
)
def test_date(day: Date, rules: Language, said: str) -> None:
    assert date(day, rules) == said.split()
    assert date(day, rules, weekday=False, year=False) == said.split()[1:3]


@pytest.mark.parametrize(
    ("moment", "rules", "said"),
    [
        (Time(0, 0), ENGLISH, "12 am"),
        (Time(12, 0), ENGLISH, "12 pm"),
        (Time(8, 5), ENGLISH, "8 oh 5 am"),
        (Time(20, 45), ENGLISH, "8 40 x5 pm"),
        (Time(1, 0), GERMAN, "1m oclock"),
        (Time(21, 21), GERMAN, "x1 20 oclock x1 20"),
        (Time(0, 1), GERMAN, "0 oclock 1"),
        (Time(8, 5), POLISH, "hour8 0 5"),
        (Time(8, 0), POLISH, "hour8"),
        (Time(21, 30), LEFT, "x1 20 30"),
    ],
)
def test_time(moment: Time, rules: Language, said: str) -> None:
    assert time(moment, rules) == said.split()


@pytest.mark.parametrize(
    ("length_s", "rules", "said"),
    [
        (0, ENGLISH, "0 seconds"),
        (61, ENGLISH, "1 minute and 1 second"),
        (90_061, ENGLISH, "1 day 1 hour 1 minute and 1 second"),
        (-60, ENGLISH, "minus 1 minute"),
        (3600, GERMAN, "1f hour"),
        (86_400, GERMAN, "1m day"),
        (7320, POLISH, "2f hours and 2f minutes"),
        (5, POLISH, "5 seconds_many"),
        (172_800, LEFT, "2 days"),
    ],
)
def test_duration(length_s: int, rules: Language, said: str) -> None:
    assert duration(length_s, rules) == said.split()


def test_digits() -> None:
    assert digits("+49 (30) 1-2*#b\u0663\n") == ["plus", "4", "9", "3", "0", "1", "2", "s", "p", "b"]
    assert digits("") == []


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("en", ENGLISH),
        ("de-AT", GERMAN),
        ("PL_pl", POLISH),
        (" de ", GERMAN),
        ("de(digits=right)", RIGHT),
        ("anything(digits=left)", LEFT),
        ("(digits=left)", LEFT),
        ("xx", None),
        ("", None),
        ("de(digits=up)", None),
        ("../de", None),
    ],
)
def test_language(text: str, rules: Language | None) -> None:
    assert language(text) is rules


def test_vocabulary_of_the_voicebox() -> None:
    """A set of prompts for the voicebox has these (spec applications.md §14); a language asks for them by the same names."""
    wanted = {*map(str, range(1, 21)), *map(str, range(30, 100, 10)), *(f"x{n}" for n in range(1, 10))}
    for rules in ALL:
        assert wanted <= vocabulary(rules)
