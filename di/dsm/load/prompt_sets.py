# SPDX-License-Identifier: GPL-2.0-or-later
"""Prompts by name (spec dsm.md §8.1): a default collection and named sets, each a map from name to file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

log = logging.getLogger(__name__)


def parse_prompts(text: str) -> dict[str, str]:
    """Read lines `name=path`; `#` comments, no trimming, later ones win. Others are ignored with a warning, as long as they are not blank."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        pieces = line.split("=")
        if line.startswith("#") or not line.strip():
            continue
        if len(pieces) == 2 and all(pieces):
            found[pieces[0]] = pieces[1]
        else:
            log.warning("prompt list, line %d: %.80r is ignored; right is name=path, with one =", number, line)
    return found


@dataclass
class PromptSets:
    """All prompts of the process; bundles share them, later definitions win."""

    default: dict[str, str] = field(default_factory=dict)
    sets: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, text: str, exists: Callable[[str], bool], set_name: str = "") -> list[str]:
        """Add a file's prompts to the default collection or to a set. Returns the paths that were added."""
        target = self.sets.setdefault(set_name, {}) if set_name else self.default
        added = []
        for name, path in parse_prompts(text).items():
            if exists(path):
                target[name] = path
                added.append(path)
            else:
                log.error("prompt %s is left out: %s is no readable file", name, path)
        return added

    def find(self, name: str, set_name: str, fallback: bool) -> str | None:
        """The file of a prompt in the active set (empty: the default collection), or None."""
        active = self.default if not set_name else self.sets.get(set_name, {})
        path = active.get(name)
        return self.default.get(name) if path is None and fallback else path
