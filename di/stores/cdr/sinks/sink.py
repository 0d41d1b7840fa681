# SPDX-License-Identifier: GPL-2.0-or-later
"""What a way out is, and how it says that it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from di.stores.cdr.spool import DueRecord


class SinkDown(Exception):
    """Nothing can be delivered now: the receiver is down, slow, or out of room. It will be tried again; the text is the cause."""


class EntryRefused(Exception):
    """The receiver will never take the first entry that it does not have; `taken` of the batch stand before it."""

    def __init__(self, taken: int, cause: str) -> None:
        super().__init__(cause)
        self.taken = taken


class Sink(Protocol):
    """A way out. `batch`: how many entries it takes at a time."""

    name: str
    batch: int

    async def deliver(self, entries: Sequence[DueRecord]) -> None:
        """Deliver all, or raise SinkDown (some may have arrived and come again) or EntryRefused."""

    async def close(self) -> None:
        """Give back what it holds. May be called without a delivery before."""
