# SPDX-License-Identifier: GPL-2.0-or-later
"""Who waits to be called back, or is being called: each number once, and not more than so many. Pure."""

from __future__ import annotations

import re
from enum import Enum, auto

_NUMBER = re.compile(r"[A-Za-z0-9+*#._-]{1,64}")


class CallbackVerdict(Enum):
    """What becomes of a call that came in."""

    SCHEDULE = auto()
    KNOWN = auto()
    """It is being called back already."""
    FULL = auto()
    NO_NUMBER = auto()
    """The caller's user cannot be called."""


class WaitingCallers:
    """The list. `most`: how many may stand in it."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._numbers: set[str] = set()

    def __len__(self) -> int:
        return len(self._numbers)

    def ask(self, number: str) -> CallbackVerdict:
        """Enter a caller, if he may be."""
        if not _NUMBER.fullmatch(number):
            return CallbackVerdict.NO_NUMBER
        if number in self._numbers:
            return CallbackVerdict.KNOWN
        if len(self._numbers) >= self.most:
            return CallbackVerdict.FULL
        self._numbers.add(number)
        return CallbackVerdict.SCHEDULE

    def done(self, number: str) -> None:
        """His call back is over, or could not be placed."""
        self._numbers.discard(number)
