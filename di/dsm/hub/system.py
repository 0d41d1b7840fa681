# SPDX-License-Identifier: GPL-2.0-or-later
"""System DSMs: diagrams that run without a call (spec dsm.md §3.9)."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from di.calls.events import EventPosted, SystemEvent
from di.dsm.hub.call_words import SYSTEM_WORDS, drop_objects, event_objects, posted
from di.dsm.language.event import Event, Kind
from di.dsm.language.model import Call, Steps, Transition
from di.dsm.run.engine import Machine, Run, deliver
from di.dsm.run.ports import B2BPort, DialogPort, HubPort, MediaPort, Unsupported
from di.kernel.ports import TimerHandle

if TYPE_CHECKING:
    from di.dsm.hub.app import DsmServer
    from di.dsm.load.bundles import Bundle

log = logging.getLogger(__name__)


class SystemDsm:
    """One machine with a queue of its own. Media and B2B throw `core`; `stop` ends it when its queue is empty."""

    def __init__(self, server: DsmServer, bundle: Bundle, diagram: str, id: str) -> None:
        self.server = server
        self.bundle = bundle
        self.diagram = diagram
        self.id = f"SystemDSM_{id}"
        self.machine = Machine(bundle.diagrams, self, self)
        self.machine.vars.update(bundle.variables)
        self.media = cast(MediaPort, Unsupported("a system DSM"))
        self.dialog = cast(DialogPort, _SystemDialog(self))
        self.b2b = cast(B2BPort, Unsupported("a system DSM"))
        self.stopped = False
        self._names: set[str] = set()
        self._timers: dict[int, TimerHandle] = {}
        self._queue: deque[Callable[[], Steps]] = deque()
        self._running = False

    @property
    def hub(self) -> HubPort:
        """The rest of the server."""
        return self.server.hub

    def begin(self, kind: Kind) -> None:
        """Queue the start."""
        self.server.services.queues.add(self.id, self.post)
        self._add(lambda: self.machine.start(self.diagram, kind))

    # -------------------------------------------------------------------------------------------------------------- queue
    def post(self, event: object) -> None:
        """Take an event from a queue of its names."""
        if isinstance(event, EventPosted):
            kind, params = posted(event)
            if kind is not None:
                self._add(lambda: self._with_objects(Event(kind, params), event_objects(event)))
        elif isinstance(event, SystemEvent):
            self.deliver(Event(Kind.SYSTEM, {"type": SYSTEM_WORDS.get(event.kind, "Unknown")}))

    def deliver(self, event: Event) -> None:
        """Queue an event of the diagram."""
        self._add(lambda: self.machine.run(event))

    def _with_objects(self, event: Event, objects: dict[str, object]) -> Steps:
        self.machine.avars.update(objects)
        taken = yield from self.machine.run(event)
        drop_objects(self.machine.avars, objects)
        return taken

    def _add(self, work: Callable[[], Steps]) -> None:
        self._queue.append(work)
        if not self._running:
            self._running = True
            self.server.services.clock.call_soon(self._drain)

    def _drain(self) -> None:
        while self._queue:
            try:
                waiting = deliver(self._queue.popleft()())
            except Exception as error:  # noqa: BLE001 – a fault in a script ends this script only
                self._failed(error)
                return
            if waiting is not None:
                self.server.services.sessions.spawn(self._continue(waiting))
                return
        self._running = False
        if self.stopped:
            self.close()

    async def _continue(self, waiting: Awaitable[object]) -> None:
        try:
            await waiting
        except Exception as error:  # noqa: BLE001 – a fault in a script ends this script only
            self._failed(error)
            return
        self._drain()

    def _failed(self, error: Exception) -> None:
        log.error("%s (%s) is ended: %s: %s", self.id, self.diagram, type(error).__name__, error, exc_info=error)
        self._queue.clear()
        self.close()

    def close(self) -> None:
        """Give back names and timers."""
        self.stopped = True
        self.remove_timers()
        for name in (self.id, *self._names):
            self.server.services.queues.remove(name)
        self._names.clear()
        run = Run(self.machine, Event(Kind.BEFORE_DESTROY))
        for library in self.server.libraries(self.bundle):
            function = library.hooks.get("on_destroy")
            waiting: Any = function(run) if function is not None else None
            if waiting is not None and not isinstance(waiting, bool):
                self.server.services.sessions.spawn(waiting)
        self.server.system_over(self)

    # --------------------------------------------------------------------------------------------------------- DsmSession
    def select(self, name: str) -> str:
        """Only `@local_tag`."""
        return self.id if name == "local_tag" else ""

    def stop(self, bye_now: bool) -> None:
        """End after the events that are queued."""
        self.stopped = True

    def set_timer(self, id: int, seconds: int) -> None:
        """A timer event."""
        self.remove_timer(id)

        def expired() -> None:
            self._timers.pop(id, None)
            self.deliver(Event(Kind.TIMER, {"id": str(id)}))

        self._timers[id] = self.server.services.clock.call_later(seconds * 1_000_000_000, expired)

    def remove_timer(self, id: int) -> None:
        """Stop a timer."""
        handle = self._timers.pop(id, None)
        if handle is not None:
            handle.cancel()

    def remove_timers(self) -> None:
        """Stop all."""
        for id in list(self._timers):
            self.remove_timer(id)

    def register_queue(self, name: str) -> bool:
        """Another name."""
        if not self.server.services.queues.add(name, self.post):
            return False
        self._names.add(name)
        return True

    def unregister_queue(self, name: str) -> None:
        """Give it back."""
        if name in self._names:
            self._names.discard(name)
            self.server.services.queues.remove(name)

    # ------------------------------------------------------------------------------------------------------------ Watcher
    def position_changed(self, diagram: str, state: str) -> None:
        """Into the store."""
        self.server.system_position(self.id, diagram, state)

    def transition_taken(self, transition: Transition) -> None:
        """For dsm_stategraph."""
        self.server.transition_taken(self.id, transition.name)

    def action_called(self, call: Call) -> None:
        """Not traced in the server."""


class _SystemDialog(Unsupported):
    """No dialog, but new calls can be made."""

    def __init__(self, owner: SystemDsm) -> None:
        super().__init__("a system DSM")
        self._owner = owner

    def dial(self, fields: dict[str, str], variables: dict[str, str]) -> str:
        """As in a call."""
        return self._owner.server.dial(fields, variables)
