# SPDX-License-Identifier: GPL-2.0-or-later
"""The names under which a script has its events: a queue of its session, of its system DSM (`registerEventQueue`, spec dsm.md §3.7)."""

from __future__ import annotations

from collections.abc import Callable

from di.calls.events import QueueEvent
from di.kernel.event_queues import EventQueues


class QueueNames:
    """The part of what an engine runs for that keeps names (`di.dsm.run.ports`). `names` are those that it has; call `own_names` first."""

    names: set[str]

    def own_names(self, queues: EventQueues[QueueEvent], post: Callable[[QueueEvent], bool]) -> None:
        """Begin with none. `post` takes the events, whichever name they came by."""
        self.names = set()
        self._queues, self._take = queues, post

    def register_queue(self, name: str) -> bool:
        """One more name. False: somebody has it."""
        if not self._queues.add(name, self._take):
            return False
        self.names.add(name)
        return True

    def unregister_queue(self, name: str) -> None:
        """Give it back; only a name of its own."""
        if name in self.names:
            self.names.discard(name)
            self._queues.remove(name)

    def give_names_back(self) -> None:
        """All of them."""
        for name in list(self.names):
            self.unregister_queue(name)
