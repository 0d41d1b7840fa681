# SPDX-License-Identifier: GPL-2.0-or-later
"""Something that a test waits for later: a call, sipp."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def in_background(work: Callable[[], T]) -> Callable[[], T]:
    """Do it beside the test; the result waits for it."""
    results: list[T] = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()

    def result() -> T:
        thread.join(90)
        assert results, "it did not end"
        return results[0]

    return result
