# SPDX-License-Identifier: GPL-2.0-or-later
"""Maps for `$M(value=>map)`: lines `regex=>value`, the first expression that is found in the text counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from di.apps.api import ConfigError, map_uri, parse_mapping


class RegexMaps:
    """By name."""

    def __init__(self) -> None:
        self._maps: dict[str, Callable[[str], str | None]] = {}

    def set(self, name: str, text: str, file: str) -> None:
        """Take a map, in place of one of that name. Raises ConfigError with the line that is wrong."""
        self._maps[name] = partial(map_uri, parse_mapping(text, file))

    def names(self) -> list[str]:
        """In alphabetical order."""
        return sorted(self._maps)

    def all(self) -> Mapping[str, Callable[[str], str | None]]:
        """For `PatternValues.maps`; always what stands now."""
        return self._maps


def read_map(path: Path) -> str:
    """The text of a map. Raises ConfigError."""
    try:
        return path.read_text("utf-8", "surrogateescape")
    except OSError as error:
        raise ConfigError(str(path), 0, "", f"regex map cannot be read: {error.strerror}") from error
