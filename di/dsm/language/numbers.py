# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers in scripts: how text is read as one, and how one is written (spec dsm.md §2.6)."""

from __future__ import annotations

import math
import re

_UNSIGNED = re.compile(r" *([0-9]{0,10})(?:[ \r\n].*)?", re.DOTALL | re.ASCII)
_SIGNED = re.compile(r" *(-?)([0-9]{0,10})(?:[ \r\n].*)?", re.DOTALL | re.ASCII)
_C_LONG = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]+)", re.ASCII)
_C_FLOAT = re.compile(r"[ \t\n\v\f\r]*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)", re.ASCII)
_C_INF = re.compile(r"[ \t\n\v\f\r]*([+-]?)(inf|nan)", re.IGNORECASE)
_LONG_MAX = 2**63 - 1


def unsigned(text: str) -> int | None:
    """An unsigned 32-bit number, or None. Reading stops at a blank; empty text is 0."""
    found = _UNSIGNED.fullmatch(text)
    if found is None:
        return None
    value = int(found.group(1) or "0")
    return value if value < 2**32 else None


def signed(text: str) -> int | None:
    """A signed 32-bit number, or None. Reading stops at a blank; empty text is 0."""
    found = _SIGNED.fullmatch(text)
    if found is None:
        return None
    value = int(found.group(2) or "0") * (-1 if found.group(1) else 1)
    return value if -(2**31) <= value < 2**31 else None


def c_long(text: str) -> int | None:
    """C's strtol with base 10 over the whole text, or None; empty text is 0."""
    if not text:
        return 0
    found = _C_LONG.fullmatch(text)
    if found is None:
        return None
    digits = found.group(1)
    if len(digits) > 20:
        return -_LONG_MAX - 1 if digits[0] == "-" else _LONG_MAX
    return max(min(int(digits), _LONG_MAX), -_LONG_MAX - 1)


def c_float(text: str) -> float:
    """C's atof: what can be read at the start of the text, else 0."""
    found = _C_FLOAT.match(text)
    if found is not None:
        return float(found.group(1))
    special = _C_INF.match(text)
    return float(special.group(1) + special.group(2)) if special else 0.0


def format_float(value: float) -> str:
    """Sixteen digits without trailing zeros, but one is kept: `3.0`, `1.50`, `0.250`."""
    if not math.isfinite(value):
        return str(value)
    text = f"{value:#.16g}"
    return text.rstrip("0") + "0" if text.endswith("0") else text
