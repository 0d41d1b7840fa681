# SPDX-License-Identifier: GPL-2.0-or-later
"""The dispatcher: name → queue (spec core.md §7.2). Names are session ids, module names or ids made up for the occasion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

E = TypeVar("E")


class EventQueues(Generic[E]):
    """Every event queue by name; `E` is what may be posted. A queue is a function that takes an event and returns at once; False says
    that too many wait there and this one was not taken.
    """

    def __init__(self) -> None:
        self._queues: dict[str, Callable[[E], bool | None]] = {}

    def add(self, name: str, queue: Callable[[E], bool | None]) -> bool:
        """Publish a queue. False when the name is taken."""
        if name in self._queues:
            return False
        self._queues[name] = queue
        return True

    def remove(self, name: str) -> None:
        """Withdraw a queue; unknown names are ignored."""
        self._queues.pop(name, None)

    def post(self, name: str, event: E) -> bool:
        """Queue an event. False when nobody has that name (see `in`) or too many wait there."""
        queue = self._queues.get(name)
        return queue is not None and queue(event) is not False

    def broadcast(self, event: E) -> None:
        """Queue an event everywhere."""
        for queue in list(self._queues.values()):
            queue(event)

    def __contains__(self, name: str) -> bool:
        return name in self._queues
