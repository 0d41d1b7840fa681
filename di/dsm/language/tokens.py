# SPDX-License-Identifier: GPL-2.0-or-later
"""Tokens of a script, and the two ways in which a token's parameters are split (spec dsm.md §1.2, §1.10)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SINGLE = ";{}[]"
_BLANKS = " \t\n\r"
_STOP = re.compile(r"[ \t\n\r;{}\[\]\"'(]")
_NEXT = re.compile(r"[^ \t\n\r]")
_IN_PARENTHESES = re.compile(r"[()\"']")


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its text without a leading and trailing quote, and where it starts."""

    text: str
    offset: int


def tokenise(text: str) -> list[Token]:
    """Split a script into tokens. Never fails: an open quote or parenthesis reaches to the end of the text."""
    tokens: list[Token] = []
    at = 0
    while (found := _NEXT.search(text, at)) is not None:
        start = found.start()
        at = start + 1 if text[start] in _SINGLE else _end_of_token(text, start)
        token = text[start:at]
        if token[0] in "\"'":
            token = token[1:-1]
        if token:
            tokens.append(Token(token, start))
    return tokens


def _end_of_token(text: str, at: int) -> int:
    while (stop := _STOP.search(text, at)) is not None:
        at = stop.start()
        char = text[at]
        if char == "(":
            at = _after_parenthesis(text, at)
        elif char in "\"'":
            at = _after_quote(text, at)
        else:
            return at
    return len(text)


def _after_quote(text: str, at: int) -> int:
    """The place behind the quote that opens at `at`; a quote after a backslash does not close."""
    quote = text[at]
    end = text.find(quote, at + 1)
    while end > 0 and text[end - 1] == "\\":
        end = text.find(quote, end + 1)
    return len(text) if end < 0 else end + 1


def _after_parenthesis(text: str, at: int) -> int:
    depth = 0
    while (found := _IN_PARENTHESES.search(text, at)) is not None:
        char, at = found.group(), found.end()
        if char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if not depth:
                return at
        else:
            at = _after_quote(text, at - 1)
    return len(text)


def split_call(token: str) -> tuple[str, str]:
    """Split `name(parameters)` at the first `(` and the last `)`; without `(` there are no parameters."""
    name, parenthesis, rest = token.partition("(")
    if not parenthesis:
        return token, ""
    end = rest.rfind(")")
    return name, rest if end < 0 else rest[:end]


def split_one(parameters: str) -> str:
    """The parameter of a one-parameter action: trimmed, quotes of the first kind off both ends."""
    text = parameters.strip(" \t")
    return text.strip(text[0]) if text[:1] in ("'", '"') else text


def split_two(parameters: str, separator: str, optional: bool) -> tuple[str, str, str]:
    """The parameters of a two-parameter action, and what is wrong with them (empty: nothing)."""
    at = _first_separator(parameters, separator)
    if at < 0:
        if not optional:
            return "", "", f"two parameters separated by {separator!r} are needed; both are taken as empty"
        first, second = parameters, ""
    else:
        first, second = parameters[:at], parameters[at + 1 :]
    first, second = _unquote(first), _unquote(second)
    if not optional and not (first and second):
        return first, second, "a parameter is empty"
    return first, second, ""


def _first_separator(text: str, separator: str) -> int:
    """The first separator outside quotes. A quote after a backslash counts as well, as it does in SEMS (Q29)."""
    quote = ""
    for at, char in enumerate(text):
        if quote:
            if char == quote:
                quote = ""
        elif char in "\"'":
            quote = char
        elif char == separator:
            return at
    return -1


def _unquote(part: str) -> str:
    part = part.strip(" \t")
    if part[:1] not in ("'", '"') or not part:
        return part
    quote = part[0]
    return part.strip(quote).replace("\\" + quote, quote)
