# SPDX-License-Identifier: GPL-2.0-or-later
"""What every worker process and every server of a run would compile for itself, compiled once before they begin.

    the product     bytecode: some hundred servers start in a run, and without it each compiles a tree of modules anew
    the tests       pytest writes each assertion anew, 16 s of a collection's 25 s of computing; all workers collect all tests

Both are written even where the environment says PYTHONDONTWRITEBYTECODE, as images of containers do: what runs then reads them
and writes none of its own. Of an unchanged checkout nothing is compiled again. Each file is put in place whole, by Python and by
pytest, so a run that is killed, or one that compiles beside this one, leaves no half of one. Where nothing can be written (a checkout
that may only be read) nothing is tried.
"""

from __future__ import annotations

import compileall
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

PRODUCT = ("di", "interfaces", "media", "clients")
_HALVES = (("unit",), ("arch", "browser", "compat", "peers", "property"))
_WORTH_FILES = 50
"""Fewer changed ones the workers read faster than two more processes start."""


def compile_ahead(root: Path) -> None:
    """Compile what has changed below a checkout; what does not compile is left to whoever imports it, who says why."""
    if not os.access(Path(importlib.util.cache_from_source(str(root / "tests" / "conftest.py"))).parents[1], os.W_OK):
        return
    for package in PRODUCT:
        compileall.compile_dir(root / package, quiet=2)
    if len(changed_tests(root / "tests")) < _WORTH_FILES:
        return
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-qq", "-p", "no:cacheprovider", "-n0"]
    # (-n0: with PYTEST_ADDOPTS="-n 4" each of these would come by here again, without an end)
    running = [
        subprocess.Popen(
            [*collect, *(f"tests/{folder}" for folder in half)], cwd=root, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for half in _HALVES
    ]  # fmt: skip
    try:
        for process in running:
            process.wait()
    finally:  # whoever breaks off waits for nothing
        for process in running:
            process.kill()


def changed_tests(folder: Path) -> list[Path]:
    """Test files of which pytest has kept no code, or that of an older text."""
    return [path for path in folder.rglob("test_*.py") if not _is_fresh(path)]


def _is_fresh(path: Path) -> bool:
    plain = Path(importlib.util.cache_from_source(str(path)))
    kept = plain.with_name(f"{plain.stem}-pytest-{pytest.__version__}.pyc")
    return kept.exists() and kept.stat().st_mtime >= path.stat().st_mtime
