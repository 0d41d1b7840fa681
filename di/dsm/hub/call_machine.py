# SPDX-License-Identifier: GPL-2.0-or-later
"""A call that has a machine: what the machine sees of it (`DsmSession`, `Watcher`), and how events are run, one after the other.

Which callback of the hub becomes which event is `di.dsm.hub.call`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from di.calls.application import Application
from di.calls.events import Outcome
from di.calls.session import Session
from di.dsm.hub.b2b import CallB2B
from di.dsm.hub.call_media import CallMedia
from di.dsm.hub.call_words import selected
from di.dsm.hub.queue_names import QueueNames
from di.dsm.language.errors import DsmError
from di.dsm.language.event import Event, Kind
from di.dsm.language.model import Steps, Transition
from di.dsm.run.drivers import deliver
from di.dsm.run.engine import Machine
from di.dsm.run.pack import pack, restore
from di.dsm.run.ports import AudioPort, B2BPort, DialogPort, HubPort
from di.kernel.value import Value

if TYPE_CHECKING:
    from di.dsm.hub.call_dialog import CallDialog
    from di.dsm.hub.script_host import ScriptHost
    from di.dsm.language.model import Call
    from di.dsm.load.bundles import Bundle


class MachineCall(QueueNames, Application):
    """One call with its machine; it is the machine's `DsmSession` too."""

    call_dialog: CallDialog

    def __init__(self, session: Session, host: ScriptHost, bundle: Bundle, variables: dict[str, str]) -> None:
        super().__init__(session)
        self.host = host
        self.bundle = bundle
        self.machine = Machine(bundle.diagrams, self, self)
        self.machine.vars.update(bundle.variables)
        self.machine.vars.update(variables)
        self.call_media = CallMedia(self)
        self.second_leg = CallB2B(self)
        self.invited = False
        self.session_begun = False
        self.early_begun = False
        self.own_names(host.services.queues, session.post)
        self._stop_asked = False

    # --------------------------------------------------------------------------------------------------------- DsmSession
    @property
    def id(self) -> str:
        """The session's id."""
        return self.session.id

    @property
    def media(self) -> AudioPort:
        """Playlist and media."""
        return self.call_media

    @property
    def dialog(self) -> DialogPort:
        """SIP."""
        return self.call_dialog

    @property
    def b2b(self) -> B2BPort:
        """The second leg."""
        return self.second_leg

    @property
    def hub(self) -> HubPort:
        """The rest of the server."""
        return self.host.hub

    def select(self, name: str) -> str:
        """`@name`."""
        return selected(self.session, name)

    def stop(self, bye_now: bool) -> None:
        """End the call, at once or after the events that are queued."""
        if bye_now:
            self.session.stop(487)
        if not self._stop_asked:
            self._stop_asked = True
            self.session.run(lambda: self.session.stop(487))

    def set_timer(self, id: int, seconds: int) -> None:
        """A timer event."""
        self.session.timers.set(id, seconds * 1000)

    def remove_timer(self, id: int) -> None:
        """Stop a timer."""
        self.session.timers.remove(id)

    def remove_timers(self) -> None:
        """Stop all."""
        self.session.timers.remove_all()

    def snapshot(self) -> Value:
        """The diagram's part of a call as plain data: position, variables, stack, names, what was begun (`di.calls.snapshot`)."""
        media = self.call_media
        return {
            "bundle": self.bundle.name,
            "machine": pack(self.machine),
            "queues": [*sorted(self.names)],
            "begun": self.session_begun,
            "early_begun": self.early_begun,
            "invited": self.invited,
            "keys": media.keys,
            "prompt_set": media.prompt_set,
            "mixing": media.mixing,
        }

    def restore(self, data: Value) -> None:
        """Take it over. Raises DsmError when the scripts differ."""
        if not isinstance(data, dict):
            raise DsmError("a snapshot of a diagram's call is a struct")
        machine, queues = data.get("machine"), data.get("queues")
        restore(self.machine, machine if isinstance(machine, dict) else {})
        self.session_begun, self.early_begun, self.invited = (
            data.get(name) is True for name in ("begun", "early_begun", "invited")
        )
        self.call_media.keys, self.call_media.mixing = data.get("keys") is True, data.get("mixing") is True
        self.call_media.prompt_set = str(data.get("prompt_set", ""))
        for name in queues if isinstance(queues, list) else ():
            self.register_queue(str(name))

    # ------------------------------------------------------------------------------------------------------------ Watcher
    def position_changed(self, diagram: str, state: str) -> None:
        """Tell the store and the stream."""
        self.host.positions.call_moved(self.session, diagram, state)

    def transition_taken(self, transition: Transition) -> None:
        """For dsm_stategraph."""
        self.host.positions.transition_taken(self.session.id, transition.name)

    def action_called(self, call: Call) -> None:
        """Not traced in the server."""

    # --------------------------------------------------------------------------------------------------------------- runs
    def run_event(self, kind: Kind, params: dict[str, str], after: Callable[[Event], None] | None = None) -> Outcome:
        """Run an event, then its default handling."""
        event = Event(kind, params)

        def steps() -> Steps:
            taken = yield from self.machine.run(event)
            if after is not None:
                after(event)
            return taken

        return cast(Outcome, deliver(steps()))
