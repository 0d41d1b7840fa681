# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON text for the HTTP and WebSocket gateways: orjson, made strict where a lenient reader hides a mistake or an attack. Pure.

Refused besides broken JSON (orjson itself refuses NaN, lone surrogates, bad UTF-8 and trailing text): a member named twice,
integers beyond 64 bits, which would silently become doubles, deep nesting, and more elements than an honest call has.
The netstring gateway reads and writes JSON as SEMS does; that is `sems_json`.
"""

from __future__ import annotations

import base64
import re

import orjson

from di.kernel.text import readable, without_mark
from di.kernel.value import Value, is_int64

MAX_DEPTH = 64
MAX_ELEMENTS = 100_000
"""Bounds the time one message can hold the loop: some 10 ms."""

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_MANY_DIGITS = re.compile(rb"[0-9]{19}")
_NUMBER = re.compile(rb"-?[0-9][0-9.eE+-]*")


class JsonError(ValueError):
    """The text is no JSON, or JSON that this server does not take; the message says where and why."""


def loads(data: bytes | str) -> Value:
    """Decode one JSON text. Raises JsonError."""
    try:
        raw = without_mark(data.encode() if isinstance(data, str) else data)
        value: Value = orjson.loads(raw)
    except ValueError as error:
        raise JsonError(str(error)) from None
    bare = _STRING.sub(b"", raw)
    if bare.count(b",") > MAX_ELEMENTS:
        raise JsonError(f"more than {MAX_ELEMENTS} elements: split the call up")
    if _count_members(value, 1) != bare.count(b":"):
        raise JsonError("an object names a member twice")
    if _MANY_DIGITS.search(bare):
        for token in _NUMBER.findall(bare):
            if token.lstrip(b"-").isdigit() and (len(token) > 20 or not is_int64(int(token))):
                raise JsonError(f"{token[:24].decode()} is beyond a 64-bit integer; send it as a string")
    return value


def _count_members(value: Value, depth: int) -> int:
    """How many members all objects in a value have together."""
    kind = type(value)
    if kind is dict:
        assert isinstance(value, dict)
        count = len(value)
        if depth > MAX_DEPTH:
            raise JsonError(f"nested deeper than {MAX_DEPTH} levels")
        for member in value.values():
            if type(member) is dict or type(member) is list:
                count += _count_members(member, depth + 1)
        return count
    if kind is list:
        assert isinstance(value, list)
        if depth > MAX_DEPTH:
            raise JsonError(f"nested deeper than {MAX_DEPTH} levels")
        return sum([_count_members(v, depth + 1) for v in value if type(v) is dict or type(v) is list])
    return 0


def dumps(value: Value) -> bytes:
    """Encode a value: struct members in byte order, NaN and infinities as null, Blob as base64, objects as `{}`.

    Never fails on what a DI function may return: what JSON cannot hold (bytes that are no UTF-8, huge integers, too deep
    nesting) is replaced.
    """
    try:
        return orjson.dumps(value, default=_default, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return orjson.dumps(_clean(value, 1), default=_default, option=orjson.OPT_SORT_KEYS)


def _default(value: Value) -> Value:
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    return {}


def _clean(value: Value, depth: int) -> Value:
    if depth > MAX_DEPTH:
        return None
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value) if is_int64(int(value)) else str(int(value))
    if isinstance(value, dict):
        return {str(_clean(str(k), depth)): _clean(v, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(v, depth + 1) for v in value]
    return value
