# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be wrong with a script, and what a running script throws."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Position:
    """Where something stands in a script; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


NO_POSITION = Position("", 0, 0)


class DsmError(Exception):
    """A script, prompt list or module cannot be used. The text names the place and what would be right."""


class GrammarError(DsmError):
    """A script cannot be read at `position`; `expected` says what would be right, `source_line` is shown with a caret."""

    def __init__(self, position: Position, expected: str, source_line: str = "") -> None:
        self.position = position
        self.line, self.column = position.line, position.column
        self.expected = expected
        self.source_line = source_line
        super().__init__(f"{position}: {expected}{caret(source_line, position.column)}")


@dataclass(frozen=True, slots=True)
class Doubt:
    """A finding that does not stop the script from being loaded."""

    position: Position
    text: str
    source_line: str = ""

    def __str__(self) -> str:
        return f"{self.position}: {self.text}"


def caret(source_line: str, column: int) -> str:
    """Two lines that show a place: the source line, and a caret below the column. Empty for an empty line."""
    if not source_line:
        return ""
    shown = source_line.rstrip()[:200]
    blanks = "".join("\t" if char == "\t" else " " for char in shown[: column - 1])
    return f"\n  {shown}\n  {blanks}^"


class DsmException(Exception):
    """Thrown by an action: the script's `exception` transitions see `type` and the other fields as parameters (spec dsm.md §3.4)."""

    def __init__(self, type_: str, **fields: str) -> None:
        super().__init__(f"{type_}: {fields}")
        self.fields: dict[str, str] = {"type": type_, **fields}


class RunawayScript(Exception):
    """A script did not come to an end within one event; its call is ended so that others go on."""
