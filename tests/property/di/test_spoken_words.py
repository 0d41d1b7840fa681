# SPDX-License-Identifier: GPL-2.0-or-later
"""What is said word for word: the sentences of the text lists, joined as a caller hears them, against num2words' reading.

So rules (`di.speech`) and lists (etc/prompts) are tested together, by a reference that others wrote.
"""

from __future__ import annotations

import re
from datetime import date as Date
from datetime import time as Time
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from num2words import num2words

from di.apps.speech import ENGLISH, GERMAN, LEFT, RIGHT, Language, Noun, count, date, digits, duration, number, time
from di.spoken.texts import read_sentences

LISTS = Path(__file__).parents[3] / "etc" / "prompts"
SENTENCES = {tag: read_sentences(LISTS / f"{tag}.txt") for tag in ("en", "de")}
BOTH = pytest.mark.parametrize("rules", [ENGLISH, GERMAN], ids=lambda rules: rules.tag)
VALUES = st.one_of(st.integers(0, 999_999_999_999), st.integers(0, 3000), st.integers(0, 999).map(lambda n: n * 1_000_000))


def said(names: list[str], tag: str) -> str:
    """What a caller hears."""
    return " ".join(SENTENCES[tag][name].text for name in names)


def plain(text: str) -> str:
    """Without what nobody hears: blanks, hyphens, capitals, and the "and" and commas that some put into English numbers."""
    return re.sub(r"[ ,-]|\band\b", "", text.lower().replace("ß", "ss"))


def reference(value: int, tag: str) -> str:
    """In German 101 counts as a numeral where something is counted: hunderteintausend, hunderteine Millionen (Duden), as the reference
    itself has it of 1 and 1001; of 101 and the like it says "einhunderteinstausend".
    """
    return re.sub(
        r"(?<=hundert)eins(?=tausend)",
        "ein",
        re.sub(r"(?<=hundert)eins(?=milli|millia)", "eine", plain(num2words(value, lang=tag))),
    )


@BOTH
@given(value=VALUES)
def test_numbers(rules: Language, value: int) -> None:
    assert plain(said(number(value, rules), rules.tag)) == reference(value, rules.tag)


@BOTH
def test_every_number_to_twelve_hundred(rules: Language) -> None:
    for value in range(1200):
        assert plain(said(number(value, rules), rules.tag)) == reference(value, rules.tag)


@pytest.mark.parametrize(("rules", "tag"), [(RIGHT, "en"), (LEFT, "de")])
def test_the_counts_of_a_voicebox(rules: Language, tag: str) -> None:
    """SEMS's sets with `digits=right` and `digits=left`, up to 99 as it says them."""
    for value in range(1, 100):
        assert plain(said(number(value, rules), tag)) == reference(value, tag)


@BOTH
@given(day=st.dates(Date(1100, 1, 1), Date(2099, 12, 31)))
def test_dates(rules: Language, day: Date) -> None:
    heard = said(date(day, rules), rules.tag)
    months = {"en": "January February March April May June July August September October November December".split(),
              "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split()}  # fmt: skip
    weekdays = {"en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(),
                "de": "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag".split()}  # fmt: skip
    weekday, month = weekdays[rules.tag][day.weekday()], months[rules.tag][day.month - 1]
    ordinal = num2words(day.day, lang=rules.tag, to="ordinal")
    year = num2words(day.year, lang=rules.tag, to="year")
    expected = f"{weekday} {month} {ordinal} {year}" if rules is ENGLISH else f"{weekday} der {ordinal} {month} {year}"
    assert plain(heard) == plain(expected)


@BOTH
def test_times(rules: Language) -> None:
    for minute_of_day in range(1440):
        hour, minute = divmod(minute_of_day, 60)
        heard = said(time(Time(hour, minute), rules), rules.tag)
        if rules is ENGLISH:
            small = "oh" if 0 < minute < 10 else ""
            rest = num2words(minute) if minute else ""
            expected = f"{num2words((hour + 11) % 12 + 1)} {small} {rest} {'a.m.' if hour < 12 else 'p.m.'}"
        else:
            expected = (
                f"{'ein' if hour == 1 else num2words(hour, lang='de')} Uhr {num2words(minute, lang='de') if minute else ''}"
            )
        assert plain(heard) == plain(expected)


def words_for(length_s: int, tag: str) -> str:
    """A length in words, written by hand for each language."""
    units = {"en": (("day", "days"), ("hour", "hours"), ("minute", "minutes"), ("second", "seconds")),
             "de": (("Tag", "Tage"), ("Stunde", "Stunden"), ("Minute", "Minuten"), ("Sekunde", "Sekunden"))}  # fmt: skip
    one = {"en": ("one",) * 4, "de": ("ein", "eine", "eine", "eine")}
    length = timedelta(seconds=length_s)
    values = (length.days, length.seconds // 3600, length.seconds // 60 % 60, length.seconds % 60)
    parts = [
        f"{one[tag][place] if value == 1 else num2words(value, lang=tag)} {units[tag][place][value != 1]}"
        for place, value in enumerate(values)
        if value or (place == 3 and not length_s)
    ]
    joined = {"en": " and ", "de": " und "}[tag]
    return joined.join(filter(None, (" ".join(parts[:-1]), parts[-1])))


@BOTH
@given(length_s=st.one_of(st.integers(0, 4000), st.integers(0, 40 * 86_400)))
def test_durations(rules: Language, length_s: int) -> None:
    assert plain(said(duration(length_s, rules), rules.tag)) == plain(words_for(length_s, rules.tag))


@given(value=st.integers(0, 99))
def test_so_many_messages(value: int) -> None:
    new = Noun("new_msg", "new_msgs", one_is_whole=True)
    english = "one new message" if value == 1 else f"{num2words(value)} new messages"
    german = "eine neue Nachricht" if value == 1 else f"{num2words(value, lang='de')} neue Nachrichten"
    assert plain(said(count(value, new, ENGLISH), "en")) == plain(english)
    assert plain(said(count(value, new, GERMAN), "de")) == plain(german)


def test_keys() -> None:
    assert said(digits("+49 30*#"), "en") == "plus four nine three zero star hash"
    assert said(digits("+49 30*#"), "de") == "plus vier neun drei null Stern Raute"
