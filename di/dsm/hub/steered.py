# SPDX-License-Identifier: GPL-2.0-or-later
"""A second leg with a diagram of its own: `$b2b_diag` names it before `B2B.connectCallee` (beyond SEMS, whose B legs are bare).

The A leg hears of it as of a bare one. Between the two diagrams `B2B.relayEvent` goes both ways and arrives as `B2Bevent`.
"""

from __future__ import annotations

from collections.abc import Awaitable

from di.calls.application import Application
from di.calls.session import Session
from di.dsm.hub.b2b import BLeg, SecondLeg
from di.dsm.hub.call import DsmCall
from di.dsm.hub.call_machine import MachineCall
from di.dsm.language.errors import DsmException
from di.kernel.errors import Refused
from di.sip.records import CallConfirmed, CallProgressed

Outcome = Awaitable[None] | None

_VARIABLES = "b2b_var."
"""`$b2b_var.name` of the A leg is `$name` of the B leg, as with `dlg.dialout`."""


class FirstLeg(SecondLeg):
    """What a B leg with a diagram knows of its A leg."""

    def __init__(self, call: MachineCall, other: SecondLeg) -> None:
        super().__init__(call)
        self.other: SecondLeg | None = other
        self.known = True

    @property
    def id(self) -> str:
        """The A leg's session id."""
        return self.other.call.session.id if self.other is not None else ""

    def connect(self, party: str, uri: str, *, relayed: bool) -> None:
        """A B leg has no leg of its own."""
        raise DsmException("script", cause="this leg was called by another: it cannot call one itself")

    def terminate(self) -> None:
        """End the A leg, as a BYE of the callee would: the A leg's diagram sees `B2B.otherBye` and may keep its call."""
        self.leave("hung_up", ())

    def relay_event(self, params: dict[str, str]) -> None:
        """Application event to the A leg."""
        if self.other is not None:
            self.other.call.session.post_event(params, "b2b")

    def take_headers(self) -> None:
        """Nothing is called from here."""

    def tell_first(self, what: str, *args: object) -> None:
        """News for the A leg."""
        if self.other is not None:
            self.other.tell(what, *args)

    def leave(self, what: str, *args: object) -> None:
        """The last news."""
        self.tell_first(what, *args)
        self.other = None


class SteeredLeg(DsmCall):
    """The B leg's call."""

    def __init__(self, session: Session, other: SecondLeg) -> None:
        first = other.call
        variables = {
            name.removeprefix(_VARIABLES): value for name, value in first.machine.vars.items() if name.startswith(_VARIABLES)
        }
        super().__init__(session, first.server, first.bundle, other.diagram, variables)
        self.second_leg: FirstLeg = FirstLeg(self, other)
        self.server.calls.add(self)
        other.leg = self

    def detach(self) -> None:
        """The A leg goes on without this one."""
        self.second_leg.other = None

    def on_ringing(self, progress: CallProgressed) -> Outcome:
        self.second_leg.tell_first("progressed", progress.code, progress.reason)
        return super().on_ringing(progress)

    def on_early_session_start(self) -> Outcome:
        self.second_leg.tell_first("early")
        return super().on_early_session_start()

    def on_connected(self, confirmed: CallConfirmed) -> Outcome:
        self.second_leg.tell_first("connected")
        return super().on_connected(confirmed)

    def on_failure(self, code: int, reason: str) -> Outcome:
        self.second_leg.leave("refused", code, reason)
        return super().on_failure(code, reason)

    def on_bye(self, headers: tuple[tuple[str, str], ...]) -> Outcome:
        self.second_leg.leave("hung_up", headers)
        return super().on_bye(headers)

    def on_remote_disappeared(self) -> Outcome:
        self.second_leg.leave("hung_up", ())
        return super().on_remote_disappeared()


def make_leg(session: Session) -> Application:
    """Factory of LEG_APPLICATION."""
    params = session.params
    other = next((item for item in params if isinstance(item, SecondLeg)), None) if isinstance(params, list) else None
    if other is None or session.info.direction == "in":
        raise Refused(404, "Not Found")
    return SteeredLeg(session, other) if other.diagram else BLeg(session, other)
