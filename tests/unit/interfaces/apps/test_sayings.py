# SPDX-License-Identifier: GPL-2.0-or-later
"""What is said by which recordings, and what cannot be said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.apps.speech import ENGLISH, GERMAN, vocabulary
from interfaces.apps.sayings import KINDS, said


def test_each_kind() -> None:
    assert said("number", 21, GERMAN) == ["x1", "20"]
    assert said("digits", "030*", ENGLISH) == ["0", "3", "0", "s"]
    assert said("date", "2026-11-29", ENGLISH)[:3] == ["weekday7", "month11", "day29"]
    assert said("time", "08:00", GERMAN) == ["8", "oclock"]
    assert said("moment", "2026-11-29T08:00", GERMAN)[-2:] == ["8", "oclock"]
    assert said("duration", 3660, ENGLISH) == ["1", "hour", "and", "1", "minute"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [("number", "x"), ("number", True), ("number", 10**12), ("digits", ""), ("digits", "!"), ("date", "29.11.2026"), ("time", 8), ("song", "x")],
)  # fmt: skip
def test_what_cannot_be_said_is_named(kind: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"must|Invalid|right is"):
        said(kind, value, ENGLISH)


@given(st.sampled_from(KINDS), st.one_of(st.integers(), st.text(max_size=12), st.none(), st.datetimes().map(str)))
def test_whatever_is_asked_for_are_words_of_the_language_or_an_error(kind: str, value: object) -> None:
    try:
        names = said(kind, value, ENGLISH)
    except ValueError:
        return
    assert kind == "digits" or set(names) <= vocabulary(ENGLISH)
