# SPDX-License-Identifier: GPL-2.0-or-later
"""Arrays and structs over the flat map of variables (spec dsm.md §2.7, §3.3)."""

from __future__ import annotations

import pytest

from di.dsm.language import arrays, numbers
from di.kernel.value import LongLong


def test_arrays() -> None:
    variables = {f"a[{n}]": str(n) for n in range(12)} | {
        "a[1].m": "m",
        "a[13]": "gap",
        "a[01]": "x",
        "a[x]": "y",
        "ab[0]": "z",
        "a": "w",
    }
    assert arrays.array_size(variables, "a") == 12
    assert arrays.array_values(variables, "a") == ["0", "1", "m", *map(str, range(2, 12))]
    assert arrays.plain_array(variables, "a") == [str(n) for n in range(12)]
    assert arrays.array_values({"a[1]": "1"}, "a") == [] and arrays.array_size({}, "a") == 0


def test_structs() -> None:
    variables = {"s.b": "2", "s.a.x": "1", "s.a": "lost", "st.c": "3", "s": "0", "s.": "4"}
    assert arrays.struct_items(variables, "s") == [("a", "lost"), ("a.x", "1"), ("b", "2")]
    assert arrays.struct_value(variables, "s") == {"a": {"x": "1"}, "b": "2"}


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ("a;b;none", {"a": "1", "b": "2"}),
        ("s.;a", {"s.x": "3", "a": "1"}),
        ("var", {"a": "1", "b": "2", "s.x": "3"}),
        ("", {}),
        ("$a", {}),
    ],
)
def test_selections(names: str, chosen: dict[str, str]) -> None:
    assert arrays.selected({"a": "1", "b": "2", "s.x": "3"}, names) == chosen


def test_flattening() -> None:
    found: dict[str, str] = {}
    arrays.flatten({"a": [1, None, {"b": True}], "f": 0.25, "l": LongLong(1), "o": object()}, "p", found.__setitem__)
    assert found == {
        "p.a[0]": "1",
        "p.a[1]": "null",
        "p.a[2].b": "true",
        "p.f": "0.250",
        "p.l": arrays.UNKNOWN,
        "p.o": arrays.UNKNOWN,
    }


@pytest.mark.parametrize(
    ("text", "unsigned", "signed", "c_long", "c_float"),
    [
        ("", 0, 0, 0, 0.0), ("5", 5, 5, 5, 5.0), (" 5 x", 5, 5, None, 5.0), ("-5", None, -5, -5, -5.0), ("5x", None, None, None, 5.0),
        ("4294967295", 4294967295, None, 4294967295, 4294967295.0), ("4294967296", None, None, 4294967296, 4294967296.0),
        ("+3", None, None, 3, 3.0),
        ("99999999999999999999999", None, None, 2**63 - 1, 1e23), ("5\r\n", 5, 5, None, 5.0),
        (".5e1z", None, None, None, 5.0), ("٣", None, None, None, 0.0),
    ],
)  # fmt: skip
def test_numbers(text: str, unsigned: int | None, signed: int | None, c_long: int | None, c_float: float) -> None:
    assert (numbers.unsigned(text), numbers.signed(text), numbers.c_long(text)) == (unsigned, signed, c_long)
    assert numbers.c_float(text) == pytest.approx(c_float)


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.0, "3.0"), (1.5, "1.50"), (0.25, "0.250"), (0.0, "0.0"), (-2.0, "-2.0"), (1e20, "1.000000000000000e+20")],
)
def test_written_floats(value: float, text: str) -> None:
    assert numbers.format_float(value) == text
