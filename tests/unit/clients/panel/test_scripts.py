# SPDX-License-Identifier: GPL-2.0-or-later
"""The panel's pure JavaScript, by Node's own test runner. Without Node a test skips on a desk and fails under CI."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PANEL = Path(__file__).parents[4] / "clients" / "panel"


def node() -> str:
    found = shutil.which("node")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("node is missing: install the package nodejs")
        pytest.skip("node is missing (Debian package nodejs)")
    return found


def run(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([node(), *arguments], input=text, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("name", ["model", "live"])
def test_in_node(name: str) -> None:
    result = run("--test", str(HERE / f"{name}.test.mjs"))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "# fail 0" in result.stdout and "# tests 0" not in result.stdout


@pytest.mark.parametrize("script", sorted(PANEL.glob("*.js")), ids=lambda path: path.name)
def test_every_script_can_be_read(script: Path) -> None:
    result = run("--check", "--input-type=module", "-", text=script.read_text())
    assert result.returncode == 0, result.stderr
