# SPDX-License-Identifier: GPL-2.0-or-later
"""What a DI call can raise, and what stops a start. Each gateway holds one table from these classes to its codes."""

from __future__ import annotations


class DIError(Exception):
    """A DI call failed in one of the ways that spec di.md §2.2 lists."""


class NotImplementedInDI(DIError):
    """The module has no such function; ``what`` is its name."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class OutOfBounds(DIError):
    """An argument is missing."""


class TypeMismatch(DIError):
    """An argument has another type than the function declares; nothing is converted."""


class CallFailed(DIError):
    """The function itself gave up, with a text for the caller (SEMS: a thrown plain string)."""


class NoSuchModule(DIError):
    """No module of that name is loaded; ``what`` is the name asked for."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Forbidden(DIError):
    """The caller's roles do not include ``module.method`` (access control, not in SEMS)."""

    def __init__(self, what: str) -> None:
        super().__init__(f"not allowed: {what}")
        self.what = what


class ConfigError(Exception):
    """A configuration that cannot be used. The text names file, line, key and what would be right."""

    def __init__(self, file: str, line: int, key: str, hint: str) -> None:
        where = f"{file}:{line}" if line else file
        super().__init__(f"{where}: {key}: {hint}" if key else f"{where}: {hint}")
        self.file, self.line, self.key, self.hint = file, line, key, hint


class Refused(Exception):
    """Ends a call attempt with a final SIP reply: code, reason phrase and extra header lines."""

    def __init__(self, code: int, reason: str, headers: tuple[str, ...] = ()) -> None:
        super().__init__(f"{code} {reason}")
        self.code, self.reason, self.headers = code, reason, headers
