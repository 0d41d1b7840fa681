# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON as SEMS reads and writes it on the netstring port (spec di.md §1.6). Pure.

Reading is lenient where SEMS is: `\\uXXXX` stays as its six characters, a comma may trail in an object, a number may begin with `+`,
`1e3` is the integer 1000, the last of two equal members wins, text behind the value is ignored, any bytes are text. Ordinary messages
take a short cut through orjson, which reads them alike. Writing puts a blank behind comma and colon and sorts members.

Two defects are mended: control characters and names are escaped, so that what is written is JSON (docs/differences.md).
"""

from __future__ import annotations

import re

import orjson

from di.kernel.text import utf8, without_mark
from di.kernel.value import Value, ValueKind, format_double, is_int64, kind, sorted_members

MAX_DEPTH = 64
MAX_ELEMENTS = 100_000

_QUIRKS = re.compile(rb"\\u|[0-9][eE]|[0-9]{18}|[+]|-0")
_BLANK = re.compile(r"[ \t\r\n\f\v]*")
_PLAIN = re.compile(r'[^"\\]*')
_NUMBER = re.compile(r"[+-]?([0-9]{1,400})(\.[0-9]{0,400})?(?:[eE]([+-]?)([0-9]{1,4}))?")
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_OUT = re.compile('["\\\\\x00-\x1f]')
_OUT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_WORDS: dict[str, Value] = {"true": True, "false": False, "null": None}


class SemsJsonError(ValueError):
    """The text is no JSON, even by SEMS's rules."""


def loads(data: bytes) -> Value:
    """Decode one value as `json2arg` does. Raises SemsJsonError."""
    try:
        data = without_mark(data)
    except ValueError as error:
        raise SemsJsonError(str(error)) from None
    if data.count(b",") > MAX_ELEMENTS:
        raise SemsJsonError(f"more than {MAX_ELEMENTS} elements")
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH and _QUIRKS.search(data) is None:
        try:
            value: Value = orjson.loads(data)
        except orjson.JSONDecodeError:
            pass  # perhaps only strict readers dislike it
        else:
            return value
    text = data.decode("utf-8", "surrogateescape")
    value, _ = _value(text, 0, 1)
    return value


def _value(text: str, at: int, depth: int) -> tuple[Value, int]:
    at = _skip(text, at)
    start = text[at : at + 1]
    if start == '"':
        return _string(text, at + 1)
    if start in ("{", "["):
        if depth > MAX_DEPTH:
            raise SemsJsonError(f"nested deeper than {MAX_DEPTH} levels")
        return _struct(text, at + 1, depth) if start == "{" else _array(text, at + 1, depth)
    for word, value in _WORDS.items():
        if text.startswith(word, at):
            return value, at + len(word)
    return _number(text, at)


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    assert match is not None
    return match.end()


def _string(text: str, at: int) -> tuple[str, int]:
    parts: list[str] = []
    while True:
        match = _PLAIN.match(text, at)
        assert match is not None
        parts.append(match.group())
        at = match.end()
        mark = text[at : at + 1]
        if mark == '"':
            return "".join(parts), at + 1
        letter = text[at + 1 : at + 2]
        if letter == "u" and len(text) >= at + 6:
            parts.append(text[at : at + 6])  # SEMS does not decode these
            at += 6
        elif letter in _ESCAPES:
            parts.append(_ESCAPES[letter])
            at += 2
        else:
            raise SemsJsonError(f"unfinished string or bad escape at character {at}")


def _number(text: str, at: int) -> tuple[Value, int]:
    match = _NUMBER.match(text, at)
    if match is None:
        raise SemsJsonError(f"no value at character {at}")
    exponent = int(match[4] or 0)
    if match[2] is not None or match[3] == "-":
        number = float(match.group())
        if number in (float("inf"), float("-inf")):
            raise SemsJsonError(f"a number beyond a double at character {at}")
        return number, match.end()
    whole = int(text[at : match.end(1)]) * 10 ** min(exponent, 400)
    if not is_int64(whole):
        raise SemsJsonError(f"an integer beyond 64 bits at character {at}")
    return whole, match.end()


def _array(text: str, at: int, depth: int) -> tuple[Value, int]:
    items: list[Value] = []
    at = _skip(text, at)
    if text[at : at + 1] == "]":
        return items, at + 1
    while True:
        item, at = _value(text, at, depth + 1)
        items.append(item)
        at = _skip(text, at)
        mark = text[at : at + 1]
        at += 1
        if mark == "]":
            return items, at
        if mark != ",":
            raise SemsJsonError(f"',' or ']' expected at character {at - 1}")


def _struct(text: str, at: int, depth: int) -> tuple[Value, int]:
    members: dict[str, Value] = {}
    while True:
        at = _skip(text, at)
        mark = text[at : at + 1]
        if mark == "}":
            return members, at + 1
        if mark != '"':
            raise SemsJsonError(f"a member's name expected at character {at}")
        name, at = _string(text, at + 1)
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            raise SemsJsonError(f"':' expected at character {at}")
        members[name], at = _value(text, at + 1, depth + 1)
        at = _skip(text, at)
        mark = text[at : at + 1]
        if mark == ",":
            at += 1
        elif mark != "}":
            raise SemsJsonError(f"',' or '}}' expected at character {at}")


def dumps(value: Value) -> bytes:
    """Encode a value as `arg2json` does."""
    return utf8(_write(value))


def quote(text: str) -> str:
    """A JSON string; `/` and everything above ASCII stay as they are."""
    return '"' + _OUT.sub(_escape, text) + '"'


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    return _OUT_ESCAPES.get(character) or f"\\u00{ord(character):02x}"


def _write(value: Value) -> str:
    match kind(value):
        case ValueKind.CSTR:
            assert isinstance(value, str)
            return quote(value)
        case ValueKind.UNDEF:
            return "null"
        case ValueKind.BOOL:
            return "true" if value else "false"
        case ValueKind.INT | ValueKind.LONG_LONG:
            return str(value)
        case ValueKind.DOUBLE:
            assert isinstance(value, float)
            return format_double(value) if value - value == 0 else "null"
        case ValueKind.ARRAY:
            assert isinstance(value, (list, tuple))
            return "[" + ", ".join([_write(v) for v in value]) + "]"
        case ValueKind.STRUCT:
            assert isinstance(value, dict)
            return "{" + ", ".join([f"{quote(k)}: {_write(v)}" for k, v in sorted_members(value)]) + "}"
        case _:
            return "{}"
