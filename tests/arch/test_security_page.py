# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/security.md names a test for every row: each is there, and no row is without."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_NAMED = re.compile(r"`([a-z]\S+?\.py)?::(test_\w+)`")


def rows() -> list[str]:
    """Lines of the tables below the headline about tests, without their heads."""
    text = (ROOT / "docs" / "security.md").read_text().partition("## What was found")[2]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [line for line in lines if not line.startswith(("|---", "| What is right"))]


def test_every_row_has_tests_and_they_are_there() -> None:
    missing, found = [], 0
    for row in rows():
        file, before = "", found
        for match in _NAMED.finditer(row):
            file = match[1] or file
            path = ROOT / "tests" / file
            found += 1
            if not path.is_file() or not re.search(rf"^(async )?def {match[2]}\(", path.read_text(), re.MULTILINE):
                missing.append(f"{file}::{match[2]}")
        assert found > before, f"no test: {row}"
    assert not missing, missing
    assert found > 80
