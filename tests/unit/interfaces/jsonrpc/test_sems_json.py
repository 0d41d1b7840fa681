# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON as SEMS reads and writes it: what it lets pass that nobody else does, what it does not decode, and the form of what it writes."""

from __future__ import annotations

import json

import pytest

from di.kernel.value import LongLong, Value
from interfaces.jsonrpc.sems_json import SemsJsonError, dumps, loads


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"a\u0041"', r"a\u0041"),
        (r'"\u00"', None),
        (r'"\"\\\/\b\f\n\r\t"', '"\\/\b\f\n\r\t'),
        ('{"a":1,}', {"a": 1}),
        ("{}", {}),
        ("[]", []),
        ('{"a":1,"a":+2}', {"a": 2}),
        ("+5", 5),
        ("-0", 0),
        ("1e3", 1000),
        ("1.5e1", 15.0),
        ("1e-1", 0.1),
        ("7.", 7.0),
        ("[+1, 2]behind it", [1, 2]),
        ('{"a" :\v[ true , false,null ] , "b":\'', None),
        ("\f[ +1 ]", [1]),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("truely", True),
    ],
)
def test_what_sems_reads(text: str, value: Value) -> None:
    """None here: it is refused."""
    if value is None:
        with pytest.raises(SemsJsonError):
            loads(text.encode())
    else:
        read = loads(text.encode())
        assert read == value and type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no value at character 0"),
        ("[1,]", "no value at character 3"),
        ("[+1 2]", "',' or ']' expected at character 4"),
        ('{"a" +1}', "':' expected at character 5"),
        ('{"a":+1 "b":2}', "',' or '}' expected at character 8"),
        ("{+1:2}", "a member's name expected at character 1"),
        (r'"\x"', "bad escape at character 1"),
        ('"abc', "unfinished string"),
        ("9223372036854775808", "an integer beyond 64 bits at character 0"),
        ("1e400", "an integer beyond 64 bits"),
        ("[1.0e999]", "a number beyond a double at character 1"),
        ("[" * 65 + "]" * 65, "nested deeper than 64 levels"),
        ("[" + "1," * 100_001 + "1]", "more than 100000 elements"),
    ],
)
def test_what_it_does_not_and_where(text: str, why: str) -> None:
    with pytest.raises(SemsJsonError) as refused:
        loads(text.encode())
    assert why in str(refused.value)


def test_as_deep_and_as_much_as_is_allowed() -> None:
    assert loads(b"[" * 64 + b"]" * 64) == json.loads("[" * 64 + "]" * 64)
    assert loads(b"[" + b"1," * 100_000 + b"1]") == [1] * 100_001


@pytest.mark.parametrize("text", ['{"a":[1,2.5,"x",null,true]}', ' [ {"b" : {}} ] ', '"plain"', "12", '"\\n"'])
def test_both_ways_of_reading_agree(text: str) -> None:
    """Ordinary texts take a short cut, which the `+` behind them closes."""
    assert loads(text.encode()) == loads(f"{text}+".encode()) == json.loads(text)


def test_bytes_that_are_no_text_are_kept_inside_and_are_no_text_for_others() -> None:
    text = loads(b'["\xff\xc3\xbc"]')
    assert text == ["\udcffü"] and dumps(text) == '["\ufffdü"]'.encode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [1, 2.5, True, None]}, '{"a": [1, 2.5, true, null], "b": 1}'),
        ((1, LongLong(2**40)), "[1, 1099511627776]"),
        ([], "[]"),
        ({}, "{}"),
        ('/ü\x01\n"\\', '"/ü\\u0001\\n\\"\\\\"'),
        ({'a"': 1}, '{"a\\"": 1}'),
        ([float("inf"), float("nan")], "[null, null]"),
        (b"blob", "{}"),
    ],
)
def test_what_it_writes(value: Value, text: str) -> None:
    assert dumps(value) == text.encode()
    json.loads(text)
