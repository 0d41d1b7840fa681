# SPDX-License-Identifier: GPL-2.0-or-later
"""What a program sends with an operation, checked before anything is done with it."""

from __future__ import annotations

from di.kernel.value import Value
from di.sip.headers import header_problem, is_sip_uri


class BadOperation(Exception):
    """What the program asks for cannot be done; the text goes back to it."""


class Arguments:
    """What stands in an operation's `with`. Each raises BadOperation when it is of another kind."""

    def __init__(self, values: object) -> None:
        self._values = values if isinstance(values, dict) else {}

    def text(self, name: str, default: str = "") -> str:
        """A text of one line: it may become part of a SIP message."""
        value = self._values.get(name, default)
        if not isinstance(value, str) or any(ord(letter) < 32 or letter == "\x7f" for letter in value):
            raise BadOperation(f"{name} must be a text of one line")
        return value

    def number(self, name: str, default: int = 0, most: int = 1 << 31) -> int:
        """A whole number from 0 up."""
        value = self._values.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise BadOperation(f"{name} must be a number from 0 to {most}")
        return value

    def flag(self, name: str) -> bool:
        """Whether."""
        return self._values.get(name) is True

    def has(self, name: str) -> bool:
        """Whether it is there."""
        return name in self._values

    def given(self, name: str) -> object:
        """Whatever it is; None without it."""
        return self._values.get(name)

    def data(self, name: str) -> bytes:
        """Bytes; a text becomes UTF-8."""
        value = self._values.get(name, b"")
        if isinstance(value, str):
            return value.encode("utf-8", "surrogateescape")
        if not isinstance(value, bytes):
            raise BadOperation(f"{name} must be bytes")
        return value

    def headers(self) -> tuple[str, ...]:
        """Header lines that may be sent."""
        lines = self._values.get("headers", [])
        if not isinstance(lines, (list, tuple)) or not all(isinstance(line, str) for line in lines):
            raise BadOperation("headers must be a list of lines")
        for line in lines:
            if problem := header_problem(line):
                raise BadOperation(problem)
        return tuple(lines)

    def uris(self, name: str) -> list[str]:
        """SIP or tel URIs, at least one."""
        values = self._values.get(name)
        if (
            not isinstance(values, (list, tuple))
            or not values
            or not all(isinstance(uri, str) and is_sip_uri(uri) for uri in values)
        ):
            raise BadOperation(f"{name} must be SIP URIs")
        return list(values)

    def values(self) -> dict[str, Value]:
        """All of it."""
        return {str(name): value for name, value in self._values.items() if isinstance(value, (str, int, float, bool))}
