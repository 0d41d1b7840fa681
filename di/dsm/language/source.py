# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines of a script: comments out, includes in, and every character's origin kept (spec dsm.md §1.1).

    file ─► lines ─► without comment lines ─► with includes spliced in ─► Source(text, origin of each line)

Files are read through a `Loader`, so that this is pure.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Protocol

from di.dsm.language.errors import GrammarError, Position

MAX_DEPTH = 32
"""Includes nest at most so deep; SEMS recurses until it crashes on a file that includes itself."""
MAX_CHARS = 8_000_000
"""A script with its includes may be so long; two files that include each other twice would fill the memory before MAX_DEPTH."""

_INCLUDE = "#include"


class Loader(Protocol):
    """How a script's files are found."""

    def read(self, path: str) -> str:
        """A file's text. Raises OSError."""

    def is_file(self, path: str) -> bool:
        """Whether a regular file is there."""

    def is_directory(self, path: str) -> bool:
        """Whether a folder is there."""

    def names(self, path: str) -> Sequence[str]:
        """The names in a folder. Raises OSError."""


class Source:
    """The text that the tokeniser reads, and where each of its lines came from."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._starts: list[int] = []
        self._origins: list[tuple[str, int]] = []
        self._length = 0

    def add(self, line: str, file: str, number: int) -> None:
        """Append a line."""
        self._lines.append(line)
        self._starts.append(self._length)
        self._origins.append((file, number))
        self._length += len(line) + 1

    @property
    def text(self) -> str:
        """All lines, joined by line feeds."""
        return "\n".join(self._lines)

    @property
    def length(self) -> int:
        """Characters so far."""
        return self._length

    def position(self, offset: int) -> Position:
        """Where the character at `offset` was written."""
        if not self._starts:
            return Position("", 1, 1)
        index = max(bisect_right(self._starts, offset) - 1, 0)
        file, number = self._origins[index]
        return Position(file, number, min(offset - self._starts[index], len(self._lines[index])) + 1)

    def line_at(self, offset: int) -> str:
        """The whole source line around `offset`, for messages."""
        if not self._starts:
            return ""
        return self._lines[max(bisect_right(self._starts, offset) - 1, 0)]


class _Reading:
    """One script on its way in."""

    def __init__(self, loader: Loader, load_path: str) -> None:
        self.loader = loader
        self.load_path = load_path
        self.source = Source()

    def file(self, path: str, text: str, load_path: str, depth: int) -> None:
        """Add a file's lines, following its includes."""
        for number, line in enumerate(text.split("\n"), 1):
            stripped = line.lstrip(" \t")
            if stripped.startswith(_INCLUDE):
                place = Position(path, number, len(line) - len(stripped) + 1)
                load_path = self.include(stripped[len(_INCLUDE) :], line, place, load_path, depth)
            elif not stripped.startswith(("--", "#")):
                self.source.add(line, path, number)

    def include(self, operand: str, line: str, place: Position, load_path: str, depth: int) -> str:
        """Splice in what a directive names. Returns the load path for the lines below it."""
        name = operand.rstrip("\r").strip("'\" ")
        if not name:
            raise GrammarError(place, "#include needs a file or folder name", line)
        if depth >= MAX_DEPTH or self.source.length > MAX_CHARS:
            raise GrammarError(
                place, f"includes nest deeper than {MAX_DEPTH} or grow too long: does {name} include itself?", line
            )
        if name.startswith("/"):
            load_path = name[: name.rindex("/") + 1]
            path = name
        else:
            path = load_path + name
        for found in self._expand(path, place, line):
            self._load(found, place, line, load_path, depth)
        return load_path

    def _expand(self, path: str, place: Position, line: str) -> list[str]:
        """The files that an include means. Folders are read in name order, where SEMS takes the order of the directory."""
        if self.loader.is_directory(path):
            try:
                names = sorted(self.loader.names(path))
            except OSError as error:
                raise GrammarError(place, f"folder {path} cannot be read: {error.strerror or error}", line) from error
            paths = [f"{path.rstrip('/')}/{name}" for name in names if name.endswith(".dsm")]
            return [found for found in paths if self.loader.is_file(found)]
        if not self.loader.is_file(path) and path + ".dsm" != place.file and self.loader.is_file(path + ".dsm"):
            return [path + ".dsm"]
        return [path]

    def _load(self, path: str, place: Position, line: str, load_path: str, depth: int) -> None:
        try:
            text = self.loader.read(path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise GrammarError(place, f"cannot include {path}: {reason}", line) from error
        self.file(path, text, load_path, depth + 1)


def read_source(path: str, text: str, loader: Loader, load_path: str = "") -> Source:
    """Read a script's text with all its includes. Raises GrammarError for an include that cannot be followed."""
    reading = _Reading(loader, load_path)
    reading.file(path, text, load_path, 0)
    return reading.source
