# SPDX-License-Identifier: GPL-2.0-or-later
"""The two readings of P-App-Param (spec core.md §5): keyed look-up for most applications, the session's map for DSM and webconference."""

from __future__ import annotations

from collections.abc import Iterable

from di.sip.headers import first_header

HEADER = "P-App-Param"


def lookup(headers: Iterable[tuple[str, str]], name: str, long_name: str = "") -> str:
    """A parameter's value, empty when missing. Keys match without case; a value may stand in quotes, which may hold `;`."""
    text = first_header(headers, HEADER)
    if text is None:
        return ""
    for wanted in (name, long_name):
        if not wanted:
            continue
        for part in text.split(","):
            for key, value in _entries(part):
                if key.lower() == wanted.lower():
                    return value
    return ""


def order_param(headers: Iterable[tuple[str, str]], *names: tuple[str, str], default: str = "") -> str:
    """The first of these parameters that says something, each by its short and its long name; what orders of message services are read by.

    Without control characters and halves of characters, which neither a mail nor a folder nor a database takes.
    """
    headers = tuple(headers)
    return next(filter(None, (printable(lookup(headers, *name)) for name in names)), default)


def printable(text: str) -> str:
    """A text without what cannot be shown, and without blanks around it."""
    return "".join(sign for sign in text if sign >= " " and sign != "\x7f" and not "\ud800" <= sign <= "\udfff").strip()


def _entries(text: str) -> Iterable[tuple[str, str]]:
    """(key, value) pairs separated by `;`, quotes removed."""
    at, equals = 0, text.find("=")
    while equals != -1:
        end = text.find(";", at, equals)
        if end != -1:  # a bare word
            at = end + 1
            continue
        key = text[at:equals].strip()
        value, at = _value(text, equals + 1)
        yield key, value
        equals = text.find("=", at)


def _value(text: str, at: int) -> tuple[str, int]:
    """A value from `at`, and where the next entry begins."""
    while at < len(text) and text[at] in " \t":
        at += 1
    if at < len(text) and text[at] in "'\"":
        quote, begin = text[at], at + 1
        end = begin
        while end < len(text) and not (text[end] == quote and text[end - 1] != "\\"):
            end += 1
        following = text.find(";", end)
        return text[begin:end], len(text) if following == -1 else following + 1
    end = text.find(";", at)
    end = len(text) if end == -1 else end
    return text[at:end].rstrip(" \t"), end + 1


def session_map(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """All parameters as `getAppParam` sees them: keys with case, quotes kept, entries with two `=` dropped, bare words with an empty value."""
    text, params = first_header(headers, HEADER), dict[str, str]()
    if not text:
        return params
    for part in text.split(";"):
        pieces = part.split("=")
        key = pieces[0].strip()
        if key and len(pieces) <= 2:
            params[key] = pieces[1].strip() if len(pieces) == 2 else ""
    return params
