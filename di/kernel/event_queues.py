# SPDX-License-Identifier: GPL-2.0-or-later
"""The dispatcher: name → queue (spec core.md §7.2). Names are session ids, module names or ids made up for the occasion."""

from __future__ import annotations

from collections.abc import Callable

Queue = Callable[[object], None]


class EventQueues:
    """Every event queue by name. A queue is a function that takes an event and returns at once."""

    def __init__(self) -> None:
        self._queues: dict[str, Queue] = {}

    def add(self, name: str, queue: Queue) -> bool:
        """Publish a queue. False when the name is taken."""
        if name in self._queues:
            return False
        self._queues[name] = queue
        return True

    def remove(self, name: str) -> None:
        """Withdraw a queue; unknown names are ignored."""
        self._queues.pop(name, None)

    def post(self, name: str, event: object) -> bool:
        """Queue an event. False when nobody has that name."""
        queue = self._queues.get(name)
        if queue is None:
            return False
        queue(event)
        return True

    def broadcast(self, event: object) -> None:
        """Queue an event everywhere."""
        for queue in list(self._queues.values()):
            queue(event)

    def __contains__(self, name: str) -> bool:
        return name in self._queues
