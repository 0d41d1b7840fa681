# SPDX-License-Identifier: GPL-2.0-or-later
"""Where each call and system DSM stands in its diagram: told to the store and the stream, and counted."""

from __future__ import annotations

from collections import Counter

from di.calls.session import Session
from di.dsm.options import DsmOptions
from di.kernel.value import Value
from di.server.services import Services


class Positions:
    """`in_state`: how many calls are in each (diagram, state); those with none are left out."""

    def __init__(self, services: Services, options: DsmOptions) -> None:
        self.in_state: Counter[tuple[str, str]] = Counter()
        self._services = services
        self._options = options
        self._of_call: dict[str, tuple[str, str]] = {}

    def call_moved(self, session: Session, diagram: str, state: str) -> None:
        """`dsm_diag` and `dsm_state` in the store, dsm.state on the stream."""
        self._count(session.id, (diagram, state))
        session.log(dsm_diag=diagram, dsm_state=state)
        self._publish(session.id, session.audio.room, diagram, state)
        if self._options.monitoring_full_stategraph:
            self._services.monitoring.log_add(session.id, "dsm_stategraph", f"{diagram}/{state}")

    def call_gone(self, id: str) -> None:
        """A call is no longer counted."""
        self._count(id, None)

    def system_moved(self, id: str, diagram: str, state: str) -> None:
        """The same for a system DSM, which is not counted."""
        self._services.monitoring.log(id, dsm_diag=diagram, dsm_state=state)
        self._publish(id, "", diagram, state)

    def transition_taken(self, id: str, name: str) -> None:
        """In `dsm_stategraph`, when asked for."""
        if self._options.monitoring_full_transitions:
            self._services.monitoring.log_add(id, "dsm_stategraph", f"> {name} >")

    def _publish(self, id: str, room: str, diagram: str, state: str) -> None:
        attributes: dict[str, Value] = {"diagram": diagram, "state": state}
        self._services.events.publish("dsm.state", id, room, attributes)

    def _count(self, id: str, position: tuple[str, str] | None) -> None:
        """Keep how many calls are in each state. `position` None: the call has gone."""
        old = self._of_call.pop(id, None)
        if old is not None:
            self.in_state[old] -= 1
            if not self.in_state[old]:
                del self.in_state[old]
        if position is not None:
            self._of_call[id] = position
            self.in_state[position] += 1
