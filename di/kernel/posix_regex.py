# SPDX-License-Identifier: GPL-2.0-or-later
"""POSIX extended regular expressions, as SEMS's configuration has them, on RE2: no pattern can take exponential time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import re2

Search: TypeAlias = Callable[[str], "tuple[str, ...] | None"]


def compile_extended(pattern: str, *, any_case: bool = False) -> Search:
    """Compile a pattern. The result searches a text for its leftmost longest match and returns all groups from 0, or None.

    `any_case`: capital and small letters are alike. Raises ValueError for what is no such expression.
    """
    options = re2.Options()
    options.posix_syntax = True
    options.case_sensitive = not any_case
    options.longest_match = True
    options.perl_classes = True
    options.word_boundary = True
    options.log_errors = False
    try:
        compiled = re2.compile(pattern.encode("utf-8", "surrogateescape"), options)
    except (re2.error, TypeError, ValueError) as error:
        reason = error.args[0] if error.args else error
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"{pattern!r} is no POSIX extended expression: {text}") from error

    def search(text: str) -> tuple[str, ...] | None:
        match = compiled.search(text.encode("utf-8", "surrogateescape"))
        if match is None:
            return None
        return tuple(_text(group) for group in (match.group(0), *match.groups()))

    return search


def _text(group: bytes | None) -> str:
    return "" if group is None else group.decode("utf-8", "surrogateescape")
