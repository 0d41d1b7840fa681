# SPDX-License-Identifier: GPL-2.0-or-later
"""For all tests: Hypothesis asserts no times, because a busy machine is not a fault of the code; at full size it tries more.

Under parallel workers a file is one worker's, so that what its tests share is started once. Files come in this order: what talks
to real programs and mostly waits, what computes, long files before the many short ones, so that all workers come to the end together.
What must be alone comes before the short ones: they wait for their turn at little cost, and run beside what in the end only waits.
"""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.ahead import compile_ahead
from tests.support.sizes import size
from tests.support.turns import turn

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=size(100, 5_000))
settings.load_profile("patient")

pytest_plugins = ["clients.app.testing.plugin"]
"""What the wheel of `clients/app` brings to those who write applications; here it tests itself and the examples."""

_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")
_LET_GO = pytest.StashKey[Callable[[], None]]()
_FOLDERS = ("browser", "peers", "compat", "arch", "property", "unit/media", _ALONE := "what must be alone", "unit")


def _turns() -> Path:
    folder = Path(tempfile.gettempdir()) / f"cordboard-test-turns-{os.getuid()}" / _RUN
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    root = Path(__file__).parent
    lonely = {item.path for item in items if item.get_closest_marker("alone")}
    waiting = {item.path for item in items if "others_may_run" in getattr(item, "fixturenames", ())}

    def rank(item: pytest.Item) -> tuple[int, bool]:
        path = item.path.relative_to(root).as_posix()
        if item.path in lonely:
            return _FOLDERS.index(_ALONE), item.path not in waiting
        return next((number for number, name in enumerate(_FOLDERS) if path.startswith(f"{name}/")), len(_FOLDERS)), False

    items.sort(key=rank)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: Python's collector takes 0.3 s to look through it, in which no phone of a test sends a packet."""
    gc.collect()
    gc.freeze()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Once, before the workers start: what all of them would compile; and the prompts of a checkout where set-up has not run."""
    root = Path(__file__).parents[1]
    if not _RUN and not (root / "etc" / "prompts" / "default.wav").exists():
        subprocess.run([sys.executable, "-m", "di", "prompts", "build"], cwd=root, check=False)
    if not _RUN and session.config.getoption("numprocesses", None):
        compile_ahead(root)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Iterator[Any]:
    """What a worker tells of a test, its log too, goes as UTF-8: half a surrogate pair in it would end the run of all workers."""
    return _in_characters((yield))


def _in_characters(told: Any) -> Any:
    if isinstance(told, str):
        return told if told.isascii() else told.encode("utf-8", "backslashreplace").decode()
    if isinstance(told, dict):
        return {key: _in_characters(value) for key, value in told.items()}
    return type(told)(map(_in_characters, told)) if isinstance(told, (list, tuple)) else told


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Outside the hook that counts a test's time."""
    alone = item.get_closest_marker("alone") is not None
    with turn(_turns(), alone) if _RUN else contextlib.nullcontext(lambda: None) as let_go:
        item.stash[_LET_GO] = let_go
        return (yield)


@pytest.fixture
def others_may_run(request: pytest.FixtureRequest) -> Callable[[], None]:
    """To be called by a test that is `alone`, once it only waits for something to pass."""
    let_go: Callable[[], None] = request.node.stash[_LET_GO]
    return let_go
