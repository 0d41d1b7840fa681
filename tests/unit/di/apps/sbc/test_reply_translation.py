# SPDX-License-Identifier: GPL-2.0-or-later
"""Replies as they go on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.apps.sbc.reply_translation import parse_translations, translated


def test_those_that_are_named_become_others() -> None:
    table = parse_translations("603=>488 Not acceptable here | 480 => 486 Busy |180=>183|202=>200 OK|")
    assert translated(table, 603, "Declined") == (488, "Not acceptable here")
    assert translated(table, 180, "Ringing") == (183, "Ringing"), "a translation without a reason keeps the reason"
    assert translated(table, 404, "Gone") == (404, "Gone")
    assert parse_translations("") == () and parse_translations("480=>486 a|480=>487 b") == ((480, 487, "b"),)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("603", "from=>code"),
        ("603=>", "code reason"),
        ("x=>488 y", "code reason"),
        ("200=>486 Busy", "cannot become"),
        ("180=>200 OK", "cannot become"),
        ("486=>200 OK", "cannot become"),
        ("100=>180 Ringing", "100 goes"),
        ("700=>488 x", "code reason"),
    ],
)
def test_what_is_no_translation_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_translations(text)


@given(st.text(max_size=40), st.integers(100, 699))
def test_whatever_is_written_a_reply_keeps_its_kind(text: str, code: int) -> None:
    try:
        table = parse_translations(text)
    except ValueError:
        return
    new, _ = translated(table, code, "x")
    assert min(new // 100, 3) == min(code // 100, 3)


@given(st.lists(st.tuples(st.integers(300, 699), st.integers(300, 699)), max_size=5))
def test_failures_become_any_failure(pairs: list[tuple[int, int]]) -> None:
    table = parse_translations("|".join(f"{one}=>{other} why" for one, other in pairs))
    last = {one: (other, "why") for one, other in pairs}
    assert {one: translated(table, one, "x") for one in last} == last
