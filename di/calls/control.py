# SPDX-License-Identifier: GPL-2.0-or-later
"""May this call be, for how long, and who is told of its end: one chain for calls in, calls out and second legs.

    gate      before there is a session: the server's own limits, by direction, without any waiting
    admit     each control in turn, as the call's first event; one may wait (a billing system), refuse, or grant so many seconds
    answered  the clock runs; before a grant is used up its control is asked for more, or the call ends
    ended     every control that had admitted the call is told exactly once, also of a call that a later control refused

Time counts from the answer, each grant by itself (`di.calls.admission`). Controls stand in `CallControl.controls`; modules add theirs at
start.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from di.calls.admission import Admission
from di.calls.limits import CallLimits
from di.kernel.errors import Refused
from di.kernel.ports import Clock
from di.sip.records import CallEnded

if TYPE_CHECKING:
    from di.calls.session import Session


@dataclass(frozen=True, slots=True)
class Grant:
    """What a control allows. `seconds` from the answer, or from where the last grant ended; None: without limit.

    `ask_before_s`: how long before its end the control is asked for more, so that one that thinks has the time; it goes on meanwhile.
    `go_on_s`: how long the call may go on when the control has not answered by then. `final`: there will be no more, nobody is asked.
    `warn_s`, `warn_path`: a sound that the call hears so long before its end, once it is certain that there is no more.
    `account`: who pays; `charge_id`: the control's own name of this charge; both stand in the call record.
    """

    seconds: float | None = None
    ask_before_s: float = 0.0
    go_on_s: float = 0.0
    final: bool = False
    warn_s: float = 0.0
    warn_path: str = ""
    account: str = ""
    charge_id: str = ""


class Control(Protocol):
    """One link of the chain: prepaid, parallel calls, a call timer, somebody's HTTP service."""

    @property
    def name(self) -> str:
        """What it is called in the log."""

    def admit(self, call: Session) -> Grant | Awaitable[Grant]:
        """Let a call begin. Raises Refused. `call.info` says who calls whom; `call.dialog.plan.headers` of a call out may be changed."""

    def answered(self, call: Session) -> None:
        """The call was answered: from now on it costs."""

    def renew(self, call: Session, used_s: float) -> Grant | Awaitable[Grant]:
        """The grant is, or will soon be, used up. Raises Refused, or grants 0 seconds, for no more."""

    def ended(self, call: Session, end: CallEnded, used_s: float) -> None:
        """The call is over; `used_s` since its answer, 0 without one. Told exactly once to whoever admitted it."""


@dataclass(frozen=True, slots=True)
class ControlAsk:
    """One call at one configured control: `values` are those of the configuration, patterns filled in."""

    instance: str
    call: Session
    values: Mapping[str, str]

    @property
    def key(self) -> str:
        """Names the charge: one a call and instance."""
        return f"{self.call.id}/{self.instance}"


class ControlUnreachable(Exception):
    """The service that decides does not answer; the configuration says what then becomes of the call."""


class ControlModule(Protocol):
    """What stands behind a configured control (`di.modules.call_control`): a balance, a counter, somebody's service.

    `mandatory`: values that a configuration must give.
    """

    mandatory: tuple[str, ...]

    def authorize(self, ask: ControlAsk) -> Grant | Awaitable[Grant]:
        """Let a call begin. Raises Refused, ControlUnreachable."""

    def answered(self, ask: ControlAsk) -> None:
        """It costs from now on."""

    def renew(self, ask: ControlAsk, used_s: float) -> Grant | Awaitable[Grant]:
        """Its grant will be used up. Raises Refused, ControlUnreachable."""

    def ended(self, ask: ControlAsk, end: CallEnded, used_s: float) -> None:
        """It is over, once for each that was authorized."""


class CallControl:
    """The server's gate and its chain. `controls` are asked in this order."""

    def __init__(self, limits: CallLimits, clock: Clock) -> None:
        self.limits = limits
        self.controls: list[Control] = []
        self.modules: dict[str, ControlModule] = {}
        """What a configuration may name as the `module` of a control, by name; plug-ins add theirs."""
        self._clock = clock

    def gate(self) -> Refused | None:
        """Why no new call may begin now, in whichever direction: a limit, shutdown mode."""
        refusal = self.limits.refusal(self._clock.now_ns())
        return None if refusal is None else Refused(*refusal)

    def begin(self, session: Session) -> None:
        """A call is counted from here on; `ended` follows once."""
        self.limits.begin(self._clock.now_ns())
        if self.controls:
            session.admission = Admission(session, tuple(self.controls))

    def answered(self, session: Session) -> None:
        """The call was answered."""
        if session.admission is not None:
            session.admission.answered(self._clock.now_ns())

    def ended(self, session: Session, end: CallEnded) -> None:
        """The call is over."""
        self.limits.end(self._clock.now_ns())
        if session.admission is not None:
            session.admission.ended(end, self._clock.now_ns())
