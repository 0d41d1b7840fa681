# SPDX-License-Identifier: GPL-2.0-or-later
"""Waiting until something is so, on whichever clock the loop has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Waiting:
    """`changed` wakes who waits; they look again."""

    def __init__(self) -> None:
        self._news = asyncio.Event()

    def changed(self) -> None:
        """Something is different now."""
        self._news.set()

    async def until(self, condition: Callable[[], object], within_s: float, complaint: Callable[[], str]) -> None:
        """Wait until the condition holds. Raises AssertionError with the complaint after so many seconds."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + within_s
        while not condition():
            self._news.clear()
            left_s = end_s - loop.time()
            try:
                async with asyncio.timeout(max(left_s, 0)):
                    await self._news.wait()
            except TimeoutError:
                if condition():
                    return
                raise AssertionError(f"{complaint()} (within {within_s:g} s)") from None
