# SPDX-License-Identifier: GPL-2.0-or-later
"""Named prompts of a module (spec core.md §9.8): a missing file is an error in the log at start and is skipped when used."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

log = logging.getLogger(__name__)


class Prompts:
    """Prompt name → file."""

    def __init__(self, module: str, files: Mapping[str, Path | None]) -> None:
        """`files`: what the configuration names; None for prompts that are switched off."""
        self._module = module
        self._files: dict[str, str] = {}
        for name, path in files.items():
            if path is None:
                continue
            if path.is_file():
                self._files[name] = str(path)
            else:
                log.error("%s: prompt %s: there is no file %s", module, name, path)

    def find(self, name: str) -> str:
        """The file of a prompt; empty, with a warning, when there is none."""
        path = self._files.get(name, "")
        if not path:
            log.warning("%s: prompt %s is not there; nothing is played", self._module, name)
        return path

    def paths(self) -> list[str]:
        """All files, for loading them beforehand."""
        return list(dict.fromkeys(self._files.values()))
