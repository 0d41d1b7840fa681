# SPDX-License-Identifier: GPL-2.0-or-later
"""The variant value that travels through every DI call (SEMS: AmArg), as plain Python values.

| AmArg      | Python                                                     |
|------------|------------------------------------------------------------|
| Undef      | ``None``                                                   |
| Int        | ``int`` (exactly; neither ``bool`` nor ``LongLong``); one over 32 bits keeps its value and counts as LongLong |
| LongLong   | ``LongLong``, a subclass of ``int``                          |
| Bool       | ``bool``                                                   |
| Double     | ``float``                                                  |
| CStr       | ``str``; bytes that are not UTF-8 ride as surrogate escapes |
| Blob       | ``bytes``                                                  |
| Array      | ``list`` (a ``tuple`` returned by a method counts as one; a long answer may be an ``OwnArray``) |
| Struct     | ``dict[str, Value]``, shown in ascending byte order of key |
| AObject    | no `Value`: objects go by typed arguments, not through DI  |

A Python object that gets here all the same (a script's function returns one) is printed and compared as AmArg's AObject is.

Equality is by type first: ``1``, ``LongLong(1)``, ``True``, ``1.0`` and ``"1"`` all differ (spec di.md §1.3), which Python's
own ``==`` does not give; use ``equal`` or ``index_key``.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias


class LongLong(int):
    """A 64-bit integer that stays distinct from Int, as AmArg's LongLong does."""

    __slots__ = ()


class OwnArray(list["Value"]):
    """An Array that its maker keeps nowhere: who is given it may empty it while he uses it.

    Half a million elements that are let go at once hold the loop for tens of milliseconds (`interfaces.large`).
    """

    __slots__ = ()


if TYPE_CHECKING:
    Value: TypeAlias = "bool | int | LongLong | float | str | bytes | list[Value] | tuple[Value, ...] | dict[str, Value] | None"
else:
    Value = object  # what the registry finds in the type hints of a published function: any value will do


class ValueKind(enum.IntEnum):
    """AmArg's type ordinals (spec di.md §1.1)."""

    UNDEF = 0
    INT = 1
    LONG_LONG = 2
    BOOL = 3
    DOUBLE = 4
    CSTR = 5
    OBJECT = 6
    DYNINV = 7
    BLOB = 8
    ARRAY = 9
    STRUCT = 10


_KINDS: dict[type, ValueKind] = {
    type(None): ValueKind.UNDEF,
    int: ValueKind.INT,
    LongLong: ValueKind.LONG_LONG,
    bool: ValueKind.BOOL,
    float: ValueKind.DOUBLE,
    str: ValueKind.CSTR,
    bytes: ValueKind.BLOB,
    list: ValueKind.ARRAY,
    OwnArray: ValueKind.ARRAY,
    tuple: ValueKind.ARRAY,
    dict: ValueKind.STRUCT,
}


def kind(value: object) -> ValueKind:
    """Return the AmArg type of a value; anything that is no `Value` is an object."""
    return _KINDS.get(type(value), ValueKind.OBJECT)


def _compared(value: Value) -> ValueKind:
    """The type by which a value is compared: an Int has 32 bits, a larger one, as JSON may bring it, equals the LongLong."""
    k = kind(value)
    return ValueKind.LONG_LONG if k is ValueKind.INT and isinstance(value, int) and not is_int32(value) else k


def equal(a: Value, b: Value) -> bool:
    """Compare as AmArg does: types must be identical, containers element by element (spec di.md §1.3)."""
    ka = _compared(a)
    if ka is not _compared(b):
        return False
    if ka is ValueKind.OBJECT:
        return a is b
    if ka is ValueKind.ARRAY:
        assert isinstance(a, (list, tuple)) and isinstance(b, (list, tuple))
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    if ka is ValueKind.STRUCT:
        assert isinstance(a, dict) and isinstance(b, dict)
        return a.keys() == b.keys() and all(equal(x, b[k]) for k, x in a.items())
    return a == b


def index_key(value: Value) -> Hashable:
    """Return a hashable key such that two values have the same key exactly when they are ``equal``.

    NaN, which equals nothing, gets a key of its own each time.
    """
    k = _compared(value)
    if k is ValueKind.OBJECT:
        return (k, id(value))
    if k is ValueKind.ARRAY:
        assert isinstance(value, (list, tuple))
        return (k, tuple(index_key(v) for v in value))
    if k is ValueKind.STRUCT:
        assert isinstance(value, dict)
        return (k, frozenset((name, index_key(v)) for name, v in value.items()))
    if isinstance(value, float) and math.isnan(value):
        return (k, object())
    return (k, value)


def sorted_members(struct: Mapping[str, Value]) -> Iterator[tuple[str, Value]]:
    """Iterate a struct in ascending byte order of its keys, as AmArg's map does."""
    for key in sorted(struct, key=_key_bytes):
        yield key, struct[key]


def _key_bytes(key: str) -> bytes:
    try:
        return key.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte
        return key.encode("utf-8", "surrogatepass")


def is_int32(value: int) -> bool:
    """Whether a whole number fits into 32 bits. (`in range(…)` walks the range for a LongLong.)"""
    return -0x80000000 <= value <= 0x7FFFFFFF


def is_int64(value: int) -> bool:
    """Whether a whole number fits into 64 bits."""
    return -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF


def format_double(value: float) -> str:
    """Print a double as ``%#.16g`` without trailing zeros, at least one digit kept (spec di.md §1.4)."""
    text = f"{value:#.16g}"
    if "." not in text or "e" in text or "n" in text:
        return text
    text = text.rstrip("0")
    return text + "0" if text.endswith(".") else text


def to_text(value: Value) -> str:
    """Print a value as ``AmArg::print`` does (spec di.md §1.4): used by the UDP statistics server, DSM and the log."""
    k = kind(value)
    match k:
        case ValueKind.UNDEF:
            return ""
        case ValueKind.BOOL:
            return "true" if value else "false"
        case ValueKind.INT | ValueKind.LONG_LONG:
            return str(value)
        case ValueKind.DOUBLE:
            assert isinstance(value, float)
            return format_double(value)
        case ValueKind.CSTR:
            assert isinstance(value, str)
            return f"'{value}'"
        case ValueKind.BLOB:
            assert isinstance(value, bytes)
            return f"<Blob of size:{len(value)}>"
        case ValueKind.ARRAY:
            assert isinstance(value, (list, tuple))
            return "[" + ", ".join(to_text(v) for v in value) + "]"
        case ValueKind.STRUCT:
            assert isinstance(value, dict)
            return "{" + ", ".join(f"'{k}': {to_text(v)}" for k, v in sorted_members(value)) + "}"
        case _:
            return "<Object>"
