# SPDX-License-Identifier: GPL-2.0-or-later
"""The pytest plug-in: the fixture `sim`, and tests written as coroutines run in its time. pytest finds it by the wheel's entry point.

`pytest --cordboard-real` runs the same tests against a real server with real phones. Both are made of the parts that cordboard's own
tests have, so that it needs a checkout, set up with `make setup-test`, and is run in its Python.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, cast

import pytest

from clients.app.testing.simulator import Simulator
from clients.app.testing.stage import Stage

REAL_STAGE = "tests.support.app_stage"
"""Of a checkout: has `app_server`, a context manager that gives a server with phones."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """One option."""
    parser.addoption("--cordboard-real", action="store_true", help="run tests with `sim` against a real server with real phones")


@pytest.fixture
def sim(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A stage for calls to applications."""
    if not request.config.getoption("--cordboard-real"):
        yield Simulator()
        return
    yield request.getfixturevalue("cordboard_server").stage()


@pytest.fixture(scope="session")
def cordboard_server() -> Iterator[Server]:
    """A server for all tests, started when the first wants it."""
    with server() as running:
        yield running


class Server(Protocol):
    """A server with phones."""

    def stage(self) -> Stage:
        """For one test."""


def server() -> AbstractContextManager[Server]:
    """A server and phones."""
    try:
        module = importlib.import_module(REAL_STAGE)
    except ModuleNotFoundError as error:
        raise pytest.UsageError(
            f"--cordboard-real: there is no {error.name} here; run pytest in a checkout of cordboard after `make setup-test`"
        ) from error
    return cast(Callable[[], AbstractContextManager[Server]], module.app_server)()


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, name: str, obj: object) -> None:
    """A coroutine with `sim` becomes a plain test before anybody else takes it for theirs."""
    if inspect.iscoroutinefunction(obj) and name.startswith("test") and "sim" in inspect.signature(obj).parameters:
        setattr(collector.obj, name, in_its_time(obj))


def in_its_time(test: Callable[..., object]) -> Callable[..., None]:
    """A plain test that runs a coroutine on the stage's clock."""

    @functools.wraps(test)
    def plain(*arguments: object, **fixtures: object) -> None:
        stage = cast(Stage, fixtures["sim"])
        stage.run(test(*arguments, **fixtures))  # type: ignore[arg-type]  # it is a coroutine function

    return plain
