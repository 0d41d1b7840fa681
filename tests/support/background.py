# SPDX-License-Identifier: GPL-2.0-or-later
"""Something that a test waits for later: a call, sipp."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def in_background(work: Callable[[], T]) -> Callable[[], T]:
    """Do it beside the test; the result waits for it, and raises what it has raised (TimeoutError where it does not end)."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    Thread(target=run, daemon=True).start()
    return lambda: done.result(90)
