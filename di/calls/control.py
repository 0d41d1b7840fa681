# SPDX-License-Identifier: GPL-2.0-or-later
"""May this call be, for how long, and who is told of its end: one chain for calls in, calls out and second legs.

    gate      before there is a session: the server's own limits, by direction, without any waiting
    admit     each control in turn, as the call's first event; one may wait (a billing system), refuse, or grant so many seconds
    answered  the clock runs; whose grant is used up is asked to renew, and gives more or the call is ended
    ended     every control that had admitted the call is told exactly once, also of a call that a later control refused

Time counts from the answer, each grant by itself: while one control thinks about more, the others' grants go on. Controls stand in
`CallControl.controls`; modules add theirs at start.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from di.calls.events import Outcome
from di.calls.limits import CallLimits
from di.kernel.errors import Refused
from di.kernel.ports import Clock
from di.sip.records import CallEnded

if TYPE_CHECKING:
    from di.calls.session import Session

log = logging.getLogger(__name__)
GRANT_TIMER = -1_000_001
"""Number of the timer that runs until a grant is used up; scripts and applications have no reason to use it."""
_USED_UP = ('Reason: Q.850;cause=31;text="granted time is used up"',)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a control allows. `seconds` from the answer, or from when it was asked to renew; None: without limit.

    `account`: who pays; `charge_id`: the control's own name of this charge. Both stand in the call record.
    """

    seconds: float | None = None
    account: str = ""
    charge_id: str = ""


class Control(Protocol):
    """One link of the chain: prepaid, parallel calls, a call timer, somebody's HTTP service."""

    name: str

    def admit(self, call: Session) -> Grant | Awaitable[Grant]:
        """Let a call begin. Raises Refused. `call.info` says who calls whom; `call.dialog.plan.headers` of a call out may be changed."""

    def answered(self, call: Session) -> None:
        """The call was answered: from now on it costs."""

    def renew(self, call: Session, used_s: float) -> Grant | Awaitable[Grant]:
        """The grant is used up. Raises Refused, or grants 0 seconds, to end the call."""

    def ended(self, call: Session, end: CallEnded, used_s: float) -> None:
        """The call is over; `used_s` since its answer, 0 without one. Told exactly once to whoever admitted it."""


class Admission:
    """One call in the chain."""

    def __init__(self, session: Session, controls: tuple[Control, ...]) -> None:
        self._session = session
        self._waiting = list(controls)
        self._admitted: list[Control] = []
        """Whoever is to be told of the end."""
        self._grants: list[Grant] = []
        """What each of them allowed when the call began."""
        self._due_ns: dict[int, int] = {}
        """When the grant of each that gave a limit is used up, by its place among the admitted."""
        self._answered_ns: int | None = None

    # -------------------------------------------------------------------------------------------------------------- begin
    def run(self) -> Outcome:
        """Ask each control in turn. What one raises (Refused) goes to the call, which then ends."""
        while self._waiting:
            control = self._waiting.pop(0)
            answer = control.admit(self._session)
            if not isinstance(answer, Grant):
                return self._wait(control, answer)
            self._admit(control, answer)
        return None

    def _admit(self, control: Control, grant: Grant) -> None:
        self._admitted.append(control)
        self._grants.append(grant)

    async def _wait(self, control: Control, answer: Awaitable[Grant]) -> None:
        self._admit(control, await answer)
        if self._session.dialog.ending:
            return
        following = self.run()
        if following is not None:
            await following

    def answered(self, now_ns: int) -> None:
        """The call is up."""
        self._answered_ns = now_ns
        for number, grant in enumerate(self._grants):
            self._note(number, grant, now_ns)
        for control in self._admitted:
            self._tell(control, lambda one: one.answered(self._session))
        self._set_timer()

    # --------------------------------------------------------------------------------------------------------------- time
    def used_s(self, now_ns: int) -> float:
        """Seconds since the answer."""
        return 0.0 if self._answered_ns is None else (now_ns - self._answered_ns) / 1e9

    def granted_s(self) -> float | None:
        """How many seconds from the answer the controls allow as of now; None: without limit."""
        if self._answered_ns is None:
            return min((grant.seconds for grant in self._grants if grant.seconds is not None), default=None)
        return (min(self._due_ns.values()) - self._answered_ns) / 1e9 if self._due_ns else None

    def charge(self) -> tuple[str, str]:
        """Account and charge id that the controls named; of several the first."""
        accounts = (grant.account for grant in self._grants if grant.account)
        charges = (grant.charge_id for grant in self._grants if grant.charge_id)
        return next(accounts, ""), next(charges, "")

    def _note(self, number: int, grant: Grant, from_ns: int) -> None:
        if grant.seconds is None:
            self._due_ns.pop(number, None)
        else:
            self._due_ns[number] = from_ns + round(max(0.0, grant.seconds) * 1e9)

    def _now_ns(self) -> int:
        return self._session.host.clock.now_ns()

    def _set_timer(self) -> None:
        if self._due_ns:
            left_ns = min(self._due_ns.values()) - self._now_ns()
            self._session.timers.set(GRANT_TIMER, max(0, left_ns) / 1e6)

    def used_up(self) -> Outcome:
        """A grant has run out: ask those whose is, one after the other, for more. A call that is being ended asks nobody."""
        if self._session.dialog.ending:
            return None
        now_ns = self._now_ns()
        over = [number for number, due_ns in self._due_ns.items() if due_ns <= now_ns]
        while over:
            number = over.pop(0)
            try:
                answer = self._admitted[number].renew(self._session, self.used_s(now_ns))
            except Refused as refused:
                self._cut(self._admitted[number], refused)
                return None
            if not isinstance(answer, Grant):
                return self._wait_renewal(number, answer, now_ns)
            if not self._renewed(number, answer, now_ns):
                return None
        self._set_timer()
        return None

    async def _wait_renewal(self, number: int, answer: Awaitable[Grant], asked_ns: int) -> None:
        try:
            grant = await answer
        except Refused as refused:
            self._cut(self._admitted[number], refused)
            return
        if self._renewed(number, grant, asked_ns):
            following = self.used_up()  # those that were due with it, and those that ran out meanwhile
            if following is not None:
                await following

    def _renewed(self, number: int, grant: Grant, asked_ns: int) -> bool:
        self._note(number, grant, asked_ns)
        if grant.seconds is None or grant.seconds > 0:
            return True
        self._cut(self._admitted[number], Refused(402, "Payment Required"))
        return False

    def _cut(self, control: Control, refused: Refused) -> None:
        log.info("call %s: %s ends it: %d %s", self._session.id, control.name, refused.code, refused.reason)
        self._session.stop(refused.code, refused.reason, (*refused.headers, *_USED_UP), by="limit")

    # ---------------------------------------------------------------------------------------------------------------- end
    def ended(self, end: CallEnded, now_ns: int) -> None:
        """Tell everybody who admitted the call."""
        admitted, self._admitted, self._grants = self._admitted, [], []
        used_s = self.used_s(now_ns)
        for control in admitted:
            self._tell(control, lambda one: one.ended(self._session, end, used_s))

    def _tell(self, control: Control, news: Callable[[Control], None]) -> None:
        """A control that fails costs neither the call nor the other controls their news."""
        try:
            news(control)
        except Exception as error:
            log.error("call %s: control %s failed: %s", self._session.id, control.name, error, exc_info=error)


class CallControl:
    """The server's gate and its chain. `controls` are asked in this order."""

    def __init__(self, limits: CallLimits, clock: Clock) -> None:
        self.limits = limits
        self.controls: list[Control] = []
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
