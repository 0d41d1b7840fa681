# SPDX-License-Identifier: GPL-2.0-or-later
"""The import arrows of ARCHITECTURE.md hold, and the check would notice if they did not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("di", "interfaces", "media", "clients")


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_arrows_hold() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("media/rtp/stray.py", "import socket", "media cores"),
        ("media/engine/stray.py", "import asyncio", "media cores"),
        ("media/io/stray.py", "import di.kernel.value", "arrows point down"),
        ("di/kernel/stray.py", "import interfaces.web", "arrows point down"),
        ("di/calls/stray.py", "import media.engine", "di reaches media only"),
        ("di/calls/stray.py", "import di.server.plugin", "floors inside di:"),
        ("di/kernel/stray.py", "import di.calls.session", "floors inside di:"),
        ("di/dsm/language/stray.py", "import di.dsm.hub.app", "floors inside di.dsm"),
        ("media/control/stray.py", "import media.rtp", "media.control is a leaf"),
        ("clients/stray.py", "import di.kernel.value", "clients speak"),
        ("di/dsm/stray.py", "import time", "only the named shells"),
        ("interfaces/jsonrpc/stray.py", "from asyncio import Queue", "only the named shells"),
    ],
)
def test_a_stray_import_is_caught(copy: Path, file: str, line: str, contract: str) -> None:
    stray = copy / file
    stray.write_text(line + "\n")
    try:
        result = lint(copy)
    finally:
        stray.unlink()
    broken = [text for text in result.stdout.splitlines() if " BROKEN" in text]
    assert result.returncode == 1, result.stdout + result.stderr
    assert any(contract in text for text in broken), broken
