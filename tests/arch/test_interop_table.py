# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/interop.md names tests: each is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_NAMED = re.compile(r"`((?:peers|compat)/\S+?\.py)?(?:::(\w+))?`")


def named() -> list[tuple[str, str]]:
    """File and test; a name without a file is in the one named before it in its line."""
    found: list[tuple[str, str]] = []
    for line in (ROOT / "docs" / "interop.md").read_text().splitlines():
        file = ""
        for match in _NAMED.finditer(line):
            if match[1] or match[2]:
                file = match[1] or file
                found.append((file, match[2] or ""))
    return found


def test_every_named_test_is_there() -> None:
    missing = []
    for file, test in named():
        path = ROOT / "tests" / file
        if not file or not path.is_file() or (test and not re.search(rf"^(async )?def {test}\(", path.read_text(), re.M)):
            missing.append(f"{file}::{test}")
    assert not missing and len(named()) > 40, missing
