# SPDX-License-Identifier: GPL-2.0-or-later
"""System DSMs: diagrams that run without a call (spec dsm.md §3.9)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from di.calls.events import EventPosted, Outcome, QueueEvent, TimerExpired
from di.calls.mailbox import Mailbox
from di.dsm.hub.call_words import SYSTEM_WORDS, drop_objects, event_objects, posted
from di.dsm.hub.module_hooks import give_back
from di.dsm.hub.queue_names import QueueNames
from di.dsm.language.event import Event, Kind
from di.dsm.language.model import Call, Steps, Transition
from di.dsm.run.drivers import deliver
from di.dsm.run.engine import Machine
from di.dsm.run.ports import AudioPort, B2BPort, DialogPort, HubPort, Unsupported

if TYPE_CHECKING:
    from di.dsm.hub.script_host import ScriptHost
    from di.dsm.load.bundles import Bundle

log = logging.getLogger(__name__)


class SystemDsm(QueueNames):
    """One machine with a queue of its own. Media and B2B throw `core`; `stop` ends it when its queue is empty."""

    def __init__(self, host: ScriptHost, bundle: Bundle, diagram: str, id: str, on_end: Callable[[SystemDsm], None]) -> None:
        self.host = host
        self.bundle = bundle
        self.diagram = diagram
        self.id = f"SystemDSM_{id}"
        self.machine = Machine(bundle.diagrams, self, self)
        self.machine.vars.update(bundle.variables)
        self.media = cast(AudioPort, Unsupported("a system DSM"))
        self.dialog = cast(DialogPort, _SystemDialog(self))
        self.b2b = cast(B2BPort, Unsupported("a system DSM"))
        self.stopped = False
        self.own_names(host.services.queues, self.post)
        self._on_end = on_end
        self._mailbox: Mailbox[Callable[[], Steps]] = Mailbox(
            self.id, host.services.clock, host.services.sessions.spawn, self._handle, self._failed, self._idle
        )

    @property
    def hub(self) -> HubPort:
        """The rest of the server."""
        return self.host.hub

    def begin(self, kind: Kind) -> None:
        """Queue the start."""
        self.host.services.queues.add(self.id, self.post)
        self._add(lambda: self.machine.start(self.diagram, kind))

    # -------------------------------------------------------------------------------------------------------------- queue
    def post(self, event: QueueEvent) -> bool:
        """Take an event from a queue of its names. False when too many wait already."""
        if isinstance(event, EventPosted):
            if self._mailbox.is_full():
                return False
            kind, params = posted(event)
            if kind is not None:
                self._add(lambda: self._with_objects(Event(kind, params), event_objects(event)))
        else:
            self.deliver(Event(Kind.SYSTEM, {"type": SYSTEM_WORDS.get(event.kind, "Unknown")}))
        return True

    def deliver(self, event: Event) -> None:
        """Queue an event of the diagram."""
        self._add(lambda: self.machine.run(event))

    def _with_objects(self, event: Event, objects: dict[str, object]) -> Steps:
        self.machine.avars.update(objects)
        taken = yield from self.machine.run(event)
        drop_objects(self.machine.avars, objects)
        return taken

    def _add(self, work: Callable[[], Steps]) -> None:
        self._mailbox.post(work)

    def _handle(self, item: Callable[[], Steps] | TimerExpired) -> Outcome:
        if isinstance(item, TimerExpired):
            return cast(Outcome, deliver(self.machine.run(Event(Kind.TIMER, {"id": str(item.id)}))))
        return cast(Outcome, deliver(item()))

    def _idle(self) -> None:
        if self.stopped:
            self.close()

    def _failed(self, error: Exception) -> None:
        """A fault in a script ends this script only."""
        log.error("%s (%s) is ended: %s: %s", self.id, self.diagram, type(error).__name__, error, exc_info=error)
        self.close()

    def close(self) -> None:
        """Give back names and timers."""
        if self._mailbox.closed:
            return
        self.stopped = True
        self._mailbox.close()
        self.host.services.queues.remove(self.id)
        self.give_names_back()
        self.machine.unhandled.overwritten()
        waiting = cast(Outcome, deliver(give_back(self.machine, self.bundle)))
        if waiting is not None:
            self.host.services.sessions.spawn(waiting)
        self._on_end(self)

    # --------------------------------------------------------------------------------------------------------- DsmSession
    def select(self, name: str) -> str:
        """Only `@local_tag`."""
        return self.id if name == "local_tag" else ""

    def stop(self, bye_now: bool) -> None:
        """End after the events that are queued."""
        self.stopped = True

    def set_timer(self, id: int, seconds: int) -> None:
        """A timer event."""
        self._mailbox.timers.set(id, seconds * 1000)

    def remove_timer(self, id: int) -> None:
        """Stop a timer."""
        self._mailbox.timers.remove(id)

    def remove_timers(self) -> None:
        """Stop all."""
        self._mailbox.timers.remove_all()

    # ------------------------------------------------------------------------------------------------------------ Watcher
    def position_changed(self, diagram: str, state: str) -> None:
        """Into the store."""
        self.host.positions.system_moved(self.id, diagram, state)

    def transition_taken(self, transition: Transition) -> None:
        """For dsm_stategraph."""
        self.host.positions.transition_taken(self.id, transition.name)

    def action_called(self, call: Call) -> None:
        """Not traced in the server."""


class _SystemDialog(Unsupported):
    """No dialog, but new calls can be made."""

    def __init__(self, owner: SystemDsm) -> None:
        super().__init__("a system DSM")
        self._owner = owner

    def dial(self, fields: dict[str, str], variables: dict[str, str]) -> str:
        """As in a call."""
        return self._owner.host.dial(fields, variables)
