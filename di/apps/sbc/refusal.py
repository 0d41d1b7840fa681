# SPDX-License-Identifier: GPL-2.0-or-later
"""`code reason`, as `refuse_with` and translations write a reply. Pure."""

from __future__ import annotations

from collections.abc import Callable

from di.apps.api import Refused


def parse_reply(text: str) -> tuple[int, str]:
    """Code and reason. Raises ValueError."""
    code, _, reason = text.strip().partition(" ")
    if not (code.isdecimal() and len(code) == 3 and 100 <= int(code) < 700):
        raise ValueError("right is `code reason`, e.g. 404 Not Found")
    return int(code), reason.strip()


def parse_refusal(text: str, wrong: Callable[[str], Exception]) -> Refused | None:
    """The final reply of `refuse_with`, filled in: None where nothing is written. What is wrong is raised as `wrong(why)`.

    A `$` in it is no pattern any more: a caller may have written it.
    """
    if not text.strip():
        return None
    try:
        code, reason = parse_reply(text)
    except ValueError as error:
        raise wrong(f"{text!r} cannot be used: {error}") from error
    if code < 300:
        raise wrong(f"{text!r} refuses nothing: right is a code from 300 to 699")
    return Refused(code, reason or "Refused")
