# SPDX-License-Identifier: GPL-2.0-or-later
"""The *sql-tpl* rule (spec dsm.md §2.3) with one change: what is put into a quoted SQL text is escaped.

SEMS inserts values as they are and looks at inserted text again, so that a caller's name can end the quote. Here a value inside `'…'` or
`"…"` is escaped and not looked at again; outside quotes nothing changes, and a value that `mysql.escape` made is not escaped twice.

The 2009 presentation writes `where userid=@user`. To the database that is a user variable, never set. Here a select outside quotes becomes
a quoted, escaped text, unless the call itself has assigned the user variable of that name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container

from di.dsm.language.values import Scope

_SIGIL = re.compile(r"[$#@]")
_SELECT = re.compile(
    r"(?<![@\w.'\"`])@(local_tag|remote_tag|user|domain|callid|local_uri|remote_uri|local_party|remote_party)(?![\w.$@])"
)
_ASSIGNED = re.compile(r"@(\w+)\s*:=|\binto\s+@(\w+)", re.IGNORECASE)
_SET = re.compile(r"\s*set\s+@", re.IGNORECASE)
_SET_NAME = re.compile(r"(?:\bset|,)\s*@(\w+)\s*:?=", re.IGNORECASE)
_END = re.compile(r"[ \t,()$#;'\"]")
_ESCAPES = {"\0": "\\0", "\n": "\\n", "\r": "\\r", "\x1a": "\\Z", "'": "\\'", '"': '\\"', "\\": "\\\\"}
MAX_SUBSTITUTIONS = 1000
"""Inserted text may hold references again; one that refers to itself must come to an end …"""
MAX_CHARS = 4_000_000
"""… and must not have filled the memory by then."""


def escape(text: str) -> str:
    """Text that can stand between quotes."""
    return "".join(_ESCAPES.get(char, char) for char in text)


def escape_bytes(data: bytes) -> bytes:
    """The same for binary data."""
    table = {ord(char): replacement.encode() for char, replacement in _ESCAPES.items()}
    return b"".join(table.get(byte, bytes((byte,))) for byte in data)


def assigned_names(text: str) -> set[str]:
    """User variables that a statement assigns: `SET @a = …`, `@a := …`, `INTO @a`."""
    names = {name for found in _ASSIGNED.findall(text) for name in found if name}
    return names | set(_SET_NAME.findall(text)) if _SET.match(text) else names


def substitute_sql(
    text: str, scope: Scope, escaped: Container[str] = (), escaper: Callable[[str], str] = escape, assigned: Container[str] = ()
) -> str:
    """Fill in a query. `escaped`: values that need no escaping; `assigned`: user variables of the database that are no selects."""
    at, quote, scanned = 0, "", 0
    for _ in range(MAX_SUBSTITUTIONS):
        found = _SIGIL.search(text, at) if len(text) < MAX_CHARS else None
        if found is None:
            return text
        at = found.start()
        quote, scanned = _quote_at(text, scanned, at, quote), at
        if text[at] == "@":
            select = None if quote else _SELECT.match(text, at)
            if select is None or select[1] in assigned:
                at += 1
                continue
            value = "'" + escaper(scope.select(select[1])) + "'"
            text = text[:at] + value + text[select.end() :]
            at = scanned = at + len(value)
            continue
        if at and text[at - 1] == "\\":
            at += 1
            continue
        stop = _END.search(text, at + 1)
        end = len(text) if stop is None else stop.start()
        name = text[at + 1 : end]
        value = scope.vars.setdefault(name, "") if text[at] == "$" else (scope.params or {}).get(name, "")
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
