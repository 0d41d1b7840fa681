# SPDX-License-Identifier: GPL-2.0-or-later
"""Maps for `$M(value=>map)`: lines `regex=>value`, the first expression that is found in the text counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeAlias

from di.apps.api import ConfigError, map_uri, parse_mapping

RegexMap: TypeAlias = Callable[[str], str]
"""What a text becomes; empty when no expression is found in it."""


class RegexMaps:
    """By name."""

    def __init__(self) -> None:
        self._maps: dict[str, RegexMap] = {}

    def put(self, maps: Mapping[str, RegexMap]) -> None:
        """Take maps, in place of those of the same names."""
        self._maps.update(maps)

    def names(self) -> list[str]:
        """In alphabetical order."""
        return sorted(self._maps)

    def all(self) -> Mapping[str, RegexMap]:
        """For `PatternValues.maps`; always what stands now."""
        return self._maps


def parse_map(text: str, file: str) -> RegexMap:
    """A map of its text. Raises ConfigError with the line that is wrong."""
    return partial(map_uri, parse_mapping(text, file))


def read_map(path: Path) -> str:
    """The text of a map. Raises ConfigError."""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise ConfigError(str(path), 0, "", f"regex map cannot be read: {error.strerror}") from error
