# SPDX-License-Identifier: GPL-2.0-or-later
"""The server's gate, which every new call comes to, and the chain of controls that each goes through (`di.calls.control`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from di.calls.admission import Admission, Control
from di.calls.admitted import EndLead
from di.calls.limits import CallLimits
from di.kernel.errors import Refused
from di.kernel.ports import Clock
from di.sip.records import CallEnded

if TYPE_CHECKING:
    from di.calls.session import Session


class CallControl:
    """The server's gate and its chain. `controls` are asked in this order."""

    def __init__(self, limits: CallLimits, clock: Clock) -> None:
        self.limits = limits
        self.controls: list[Control] = []
        self.lead = EndLead()
        self._clock = clock

    def gate(self) -> Refused | None:
        """Why no new call may begin now, in whichever direction: a limit, shutdown mode."""
        refusal = self.limits.refusal(self._clock.now_ns())
        return None if refusal is None else Refused(*refusal)

    def begin(self, session: Session) -> None:
        """A call is counted from here on; `ended` follows once."""
        self.limits.begin(self._clock.now_ns())
        session.admission = Admission(session, tuple(self.controls), self.lead)

    def answered(self, session: Session) -> None:
        """The call was answered."""
        if session.admission is not None:
            session.admission.answered(self._clock.now_ns())

    def ended(self, session: Session, end: CallEnded) -> None:
        """The call is over."""
        self.limits.end(self._clock.now_ns())
        if session.admission is not None:
            session.admission.ended(end, self._clock.now_ns())
