# SPDX-License-Identifier: GPL-2.0-or-later
"""The *sql-tpl* rule (spec dsm.md §2.3) with one change: what is put into a quoted SQL text is escaped.

SEMS inserts values as they are and looks at inserted text again, so that a caller's name can end the quote. Here a value inside `'…'` or
`"…"` is escaped and not looked at again; outside quotes nothing changes, and a value that `mysql.escape` made is not escaped twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container

from di.dsm.values import Scope

_SIGIL = re.compile(r"[$#]")
_END = re.compile(r"[ \t,()$#;'\"]")
_ESCAPES = {"\0": "\\0", "\n": "\\n", "\r": "\\r", "\x1a": "\\Z", "'": "\\'", '"': '\\"', "\\": "\\\\"}
MAX_SUBSTITUTIONS = 1000
"""Inserted text may hold references again; one that refers to itself must come to an end."""


def escape(text: str) -> str:
    """Text that can stand between quotes."""
    return "".join(_ESCAPES.get(char, char) for char in text)


def escape_bytes(data: bytes) -> bytes:
    """The same for binary data."""
    table = {ord(char): replacement.encode() for char, replacement in _ESCAPES.items()}
    return b"".join(table.get(byte, bytes((byte,))) for byte in data)


def substitute_sql(text: str, scope: Scope, escaped: Container[str] = (), escaper: Callable[[str], str] = escape) -> str:
    """Fill in a query. `escaped`: values that need no escaping."""
    at, quote, scanned = 0, "", 0
    for _ in range(MAX_SUBSTITUTIONS):
        found = _SIGIL.search(text, at)
        if found is None:
            return text
        at = found.start()
        quote, scanned = _quote_at(text, scanned, at, quote), at
        if at and text[at - 1] == "\\":
            at += 1
            continue
        stop = _END.search(text, at + 1)
        end = len(text) if stop is None else stop.start()
        name = text[at + 1 : end]
        if text[at] == "$":
            value = scope.vars.setdefault(name, "")
        else:
            value = scope.params.get(name, "") if scope.params is not None else ""
        if quote:
            value = value if value in escaped else escaper(value)
            text = text[:at] + value + text[end:]
            at = scanned = at + len(value)
        else:
            text = text[:at] + value + text[end:]
            at += 1
    return text


def _quote_at(text: str, start: int, end: int, quote: str) -> str:
    """The quote that is open at `end`, given the one open at `start`."""
    at = start
    while at < end:
        char = text[at]
        if char == "\\" and quote in ("'", '"'):
            at += 1
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"`":
            quote = char
        at += 1
    return quote
