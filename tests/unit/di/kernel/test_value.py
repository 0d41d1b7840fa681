# SPDX-License-Identifier: GPL-2.0-or-later
"""The variant value: equality by type, printing, keys."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.kernel.value import LongLong, ValueKind, equal, format_double, index_key, kind, to_text

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-5, 5).map(LongLong),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4), max_leaves=8
)


def test_one_is_five_different_values() -> None:
    ones = [1, LongLong(1), True, 1.0, "1", b"1", [1]]
    for i, a in enumerate(ones):
        for j, b in enumerate(ones):
            assert equal(a, b) is (i == j)
            assert (index_key(a) == index_key(b)) is (i == j)


@given(values, values)
def test_index_key_agrees_with_equality(a: object, b: object) -> None:
    assert (index_key(a) == index_key(b)) is equal(a, b)
    assert equal(a, a)


def test_nan_equals_nothing() -> None:
    assert not equal(math.nan, math.nan)
    assert index_key(math.nan) != index_key(math.nan)


def test_nested_types_count() -> None:
    assert not equal([1, {"a": True}], [1, {"a": 1}])
    assert equal({"a": [1, "x"]}, {"a": [1, "x"]})
    assert not equal({"a": None}, {"b": None})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (2**31, "2147483648"),
        (LongLong(2**40), "1099511627776"),
        (1.0, "1.0"),
        (0.1, "0.1"),
        (1e300, "1.000000000000000e+300"),
        ("it's", "'it's'"),
        (b"abc", "<Blob of size:3>"),
        ([1, "a", []], "[1, 'a', []]"),
        ({"b": 1, "a": {}}, "{'a': {}, 'b': 1}"),
        (object(), "<Object>"),
    ],
)
def test_printing(value: object, text: str) -> None:
    assert to_text(value) == text


def test_doubles_keep_one_digit() -> None:
    assert [format_double(x) for x in (3.0, 1.5, 0.25, -2.0)] == ["3.0", "1.5", "0.25", "-2.0"]


def test_no_integer_is_cut() -> None:
    for number in (2**31 - 1, 2**31, -1, 2**32 + 7, 4312345678, 1764370000123, -(2**63), 2**70):
        assert to_text(number) == str(number)
    assert equal(4312345678, LongLong(4312345678))
    assert index_key(4312345678) == index_key(LongLong(4312345678))
    assert not equal(7, LongLong(7))
    assert index_key(7) != index_key(LongLong(7))


def test_kinds() -> None:
    assert kind(True) is ValueKind.BOOL and kind((1,)) is ValueKind.ARRAY and kind(object()) is ValueKind.OBJECT
