# SPDX-License-Identifier: GPL-2.0-or-later
"""What a program sends is taken as what it must be, or refused with words; nothing that it sends becomes a second line of a SIP message."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.apps.arguments import Arguments, BadOperation

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def of(value: object) -> Arguments:
    return Arguments({"x": value, "headers": value})


@pytest.mark.parametrize(
    ("read", "good", "wrong"),
    [
        (lambda a: a.text("x"), ["", "a b", "Müller"], [None, 1, b"a", "a\r\nb", "a\0", "\x7f", ["a"]]),
        (lambda a: a.number("x", most=9), [0, 9], [-1, 10, True, 1.0, "1", None]),
        (lambda a: a.headers(), [("X-A: 1",)], [None, "X-A: 1", ["X-A: 1\r\nTo: b"], ["no colon"], [1], {"X-A": "1"}]),
        (lambda a: a.uris("x"), [["sip:a@b"], ["tel:+1"]], [None, [], "sip:a@b", ["bob"], ["sip:a@b", 1], [""]]),
    ],
)
def test_what_is_taken_and_what_is_refused(read: Callable[[Arguments], object], good: list[object], wrong: list[object]) -> None:
    assert [read(of(value)) for value in good] == good
    for value in wrong:
        with pytest.raises(BadOperation):
            read(of(value))


def test_what_is_not_there_has_its_default() -> None:
    nothing = Arguments(None)
    assert (nothing.text("x"), nothing.text("x", "y"), nothing.number("x", 3), nothing.data("x")) == ("", "y", 3, b"")
    assert (nothing.headers(), nothing.flag("x"), nothing.has("x"), nothing.given("x"), nothing.values()) == (
        (),
        False,
        False,
        None,
        {},
    )
    with pytest.raises(BadOperation, match="x must be SIP URIs"):
        nothing.uris("x")


def test_bytes_flags_and_plain_values() -> None:
    given_ = Arguments({"body": "ü\udcff", "raw": b"\0", "yes": True, "one": 1, "list": [1], 2: "two", "none": None})
    assert given_.data("body") == b"\xc3\xbc\xff" and given_.data("raw") == b"\0"
    assert given_.flag("yes") and not given_.flag("one"), "1 is no yes"
    assert given_.values() == {"body": "ü\udcff", "yes": True, "one": 1, "2": "two"}
    with pytest.raises(BadOperation, match="list must be bytes"):
        given_.data("list")


@given(ANYTHING)
def test_anything_is_a_value_or_bad_operation(value: object) -> None:
    """Whatever is sent: a text has one line, a header is one, and there is no other failure than BadOperation."""
    for arguments in (of(value), Arguments(value)):
        for read in (lambda a: a.text("x"), lambda a: " ".join(a.headers()), lambda a: " ".join(a.uris("x"))):
            try:
                text = read(arguments)
            except BadOperation:
                continue
            assert not set(text) & {"\r", "\n", "\0"}
        for other in (lambda a: a.number("x"), lambda a: a.data("x"), lambda a: a.values(), lambda a: a.flag("x")):
            try:
                other(arguments)
            except BadOperation:
                continue
