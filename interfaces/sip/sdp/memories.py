# SPDX-License-Identifier: GPL-2.0-or-later
"""What is remembered of descriptions, and when it is all forgotten.

Phones of one model write the same in each call, so what is worked out about lines, streams and formats is kept by text, some thousand of each.
Those of nearly everybody have some hundred characters. A stranger's may have as many as a message: thousands of such, no two alike, would be
kept for ever, some hundred MB. So they are counted, and after a few all is worked out anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

LONG, MOST_LONG = 4000, 1 << 20
"""Characters: of a description that counts, and of all that have counted when everything is forgotten."""


class Memory(Protocol):
    """As functools.lru_cache makes one."""

    def cache_clear(self) -> None:
        """Forget everything."""


M = TypeVar("M", bound=Memory)
_forget: list[Callable[[], None]] = []


def bounded(memory: M) -> M:
    """Let a memory that is keyed by what descriptions say be forgotten with the others."""
    _forget.append(memory.cache_clear)
    return memory


class LongOnes:
    """The long descriptions that one reader has read."""

    def __init__(self) -> None:
        self._characters = 0

    def is_too_much(self, text: str) -> bool:
        """To be asked before a description is read. True: all memories have just been emptied, and the reader's own is to be."""
        if len(text) <= LONG:
            return False
        self._characters += len(text)
        if self._characters <= MOST_LONG:
            return False
        self._characters = 0
        for forget in _forget:
            forget()
        return True
