# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the scripts of a test lie."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The configuration's folder, with an empty one for scripts."""
    (tmp_path / "dsm").mkdir()
    return tmp_path
