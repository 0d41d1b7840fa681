# SPDX-License-Identifier: GPL-2.0-or-later
"""Every number says something, no two say the same, and all that is said is in the language's vocabulary."""

from __future__ import annotations

from datetime import date as Date
from datetime import time as Time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.apps.speech import ENGLISH, GERMAN, LEFT, POLISH, RIGHT, Language, count, date, duration, number, time, vocabulary

LANGUAGES = (ENGLISH, GERMAN, POLISH, RIGHT, LEFT)
VALUES = st.one_of(
    st.integers(0, 999_999_999),
    st.integers(0, 2000),
    st.integers(0, 999).map(lambda n: n * 1000),
    st.integers(0, 999).map(lambda n: n * 1_000_000),
)
GENDERS = st.sampled_from(["", "m", "f", "n"])
every_language = pytest.mark.parametrize("rules", LANGUAGES, ids=lambda rules: rules.tag)


def value_of(names: list[str]) -> int:
    """The number that was said, read back: units and tens add up, a scale's word multiplies what stands before it since the last one."""
    total, group = 0, 0
    for name in names:
        for word, scale in (("billion", 10**9), ("million", 10**6), ("thousand", 10**3)):
            if name.startswith(word):
                total, group = total + max(group, 1) * scale, 0
                break
        else:
            group += int(name.removeprefix("x").rstrip("mfn"))
    return total + group


@every_language
@given(value=VALUES, gender=GENDERS)
def test_a_number_can_be_read_back(rules: Language, value: int, gender: str) -> None:
    """So no two numbers are said alike."""
    said = number(value, rules, gender)  # type: ignore[arg-type]
    assert said and set(said) <= vocabulary(rules)
    assert value_of(said) == value


@every_language
@given(one=VALUES, other=VALUES)
def test_no_two_counts_are_alike(rules: Language, one: int, other: int) -> None:
    noun = rules.nouns["hour"]
    assert (count(one, noun, rules) == count(other, noun, rules)) == (one == other)


@every_language
def test_no_two_numbers_below_a_hundred_thousand_are_alike(rules: Language) -> None:
    assert len({tuple(number(value, rules)) for value in range(100_000)}) == 100_000


@every_language
def test_no_two_years_and_no_two_times_are_alike(rules: Language) -> None:
    assert len({tuple(rules.year(rules, year)) for year in range(1, 10_000)}) == 9999
    assert len({tuple(time(Time(hour, minute), rules)) for hour in range(24) for minute in range(60)}) == 1440


@every_language
@given(one=st.dates(), other=st.dates())
def test_no_two_dates_are_alike(rules: Language, one: Date, other: Date) -> None:
    assert set(date(one, rules)) <= vocabulary(rules)
    assert (date(one, rules) == date(other, rules)) == (one == other)


@every_language
@given(one=st.integers(0, 10**7), other=st.integers(0, 10**7))
def test_no_two_durations_are_alike(rules: Language, one: int, other: int) -> None:
    assert set(duration(one, rules)) <= vocabulary(rules)
    assert (duration(one, rules) == duration(other, rules)) == (one == other)
