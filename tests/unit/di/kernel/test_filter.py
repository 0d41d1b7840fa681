# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest

from di.kernel.errors import OutOfBounds, TypeMismatch
from di.kernel.filter import matches, parse_pairs
from di.kernel.value import LongLong, Value


@pytest.mark.parametrize(
    ("pairs", "match"),
    [
        ([], True),
        ([["n", 1]], True),
        ([["n", "1"]], False),
        ([["n", LongLong(1)]], False),
        ([["n", True]], False),
        ([["n", 1], ["s", "x"]], True),
        ([["n", 1], ["s", "y"]], False),
        ([["missing", None]], True),
        ([["n", None]], False),
        ([["a", [1, {"k": 2}]]], True),
        ([["a", [1, {"k": 2.0}]]], False),
        ([["n", 1, "ignored"]], True),
    ],
)
def test_every_pair_has_to_match_by_type_too(pairs: list[Value], match: bool) -> None:
    assert matches({"n": 1, "s": "x", "a": [1, {"k": 2}]}, parse_pairs(pairs)) == match


def test_a_record_without_attributes_misses_everything() -> None:
    assert matches(None, parse_pairs([["n", None]]))
    assert not matches(None, parse_pairs([["n", 0]]))


@pytest.mark.parametrize(
    ("pair", "error"), [("n1", TypeMismatch), (1, TypeMismatch), ([1, 2], TypeMismatch), ([], OutOfBounds), (["n"], OutOfBounds)]
)
def test_bad_pairs(pair: Value, error: type[Exception]) -> None:
    with pytest.raises(error):
        parse_pairs([pair])
