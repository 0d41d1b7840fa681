# SPDX-License-Identifier: GPL-2.0-or-later
"""A second leg with a diagram of its own: `$b2b_diag` names it before `B2B.connectCallee` (beyond SEMS, whose B legs are bare).

The A leg hears of it as of a bare one. Between the two diagrams `B2B.relayEvent` goes both ways and arrives as `B2Bevent`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from di.calls.second_leg import PASSED_ON
from di.dsm.hub.b2b import CallB2B
from di.dsm.hub.call import DsmCall
from di.dsm.language.errors import DsmException

if TYPE_CHECKING:
    from di.calls.session import Session
    from di.dsm.hub.script_host import ScriptedCall

_VARIABLES = "b2b_var."
"""`$b2b_var.name` of the A leg is `$name` of the B leg, as with `dlg.dialout`."""


class CalledB2B(CallB2B):
    """What a B leg with a diagram knows of its A leg."""

    def connect(self, party: str, uri: str, *, relayed: bool) -> None:
        """A B leg has no leg of its own."""
        raise DsmException("script", cause="this leg was called by another: it cannot call one itself")

    def terminate(self) -> None:
        """Leave the A leg, as a BYE of the callee would: its diagram sees `B2B.otherBye` and may keep its call."""
        if self.pair is not None:
            self.pair.leave(self.call.session)


class SteeredLeg(DsmCall):
    """The B leg's call."""

    def __init__(self, session: Session, first: ScriptedCall, diagram: str) -> None:
        variables = {
            name.removeprefix(_VARIABLES): value for name, value in first.machine.vars.items() if name.startswith(_VARIABLES)
        }
        super().__init__(session, first.host, first.bundle, diagram, variables)
        self.further_methods = PASSED_ON
        self.second_leg = CalledB2B(self)
        self.second_leg.known = True
        self.second_leg.headers = []

    def on_other_bye(self, headers: tuple[tuple[str, str], ...]) -> None:
        """The A leg has gone."""
        self.session.stop(487)
