# SPDX-License-Identifier: GPL-2.0-or-later
"""One call in the chain of controls: they are asked in turn before it, count while it is up, are told of its end (`di.calls.control`)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

from di.calls import late
from di.calls.admitted import Admitted, EndLead
from di.calls.call_changes import NO_CHANGES, CallChanges
from di.calls.chain import then
from di.calls.control import Grant
from di.calls.events import Outcome
from di.calls.timer_numbers import GRANT_TIMER
from di.kernel.clock import current_work
from di.kernel.errors import Refused
from di.sip.records import CallEnded
from media.control.play_items import PlayFile

if TYPE_CHECKING:
    from di.calls.session import Session

log = logging.getLogger(__name__)
_USED_UP = ('Reason: Q.850;cause=31;text="granted time is used up"',)
_ENDED_BY_SERVICE = ('Reason: Q.850;cause=31;text="ended by the billing system"',)
_WARNING_LEVEL = 0.5
_LEAST_S = 0.001
"""A grant of less than that is none: otherwise one of 0.1 ns would be asked for for ever."""


class Control(Protocol):
    """One link of the chain: prepaid, parallel calls, a call timer, somebody's HTTP service."""

    @property
    def name(self) -> str:
        """What it is called in the log."""

    def admit(self, call: Session) -> Grant | Awaitable[Grant]:
        """Let a call begin. Raises Refused. `call.info` says who calls whom; `call.dialog.plan.headers` of a call out may be changed."""

    def answered(self, call: Session) -> Awaitable[Grant | None] | None:
        """The call was answered: from now on it costs.

        One that reserves only now may answer with a grant in the place of that of `admit`, counted from the answer, too; or raise Refused.
        """

    def renew(self, call: Session, used_s: float) -> Grant | Awaitable[Grant]:
        """The grant is, or will soon be, used up. Raises Refused, or grants 0 seconds, for no more."""

    def ended(self, call: Session, end: CallEnded, used_s: float) -> None:
        """The call is over; `used_s` since its answer, 0 without one. Told exactly once to whoever admitted it."""


AdmittedControl: TypeAlias = Admitted[Control]


class Admission:
    """One call in the chain."""

    def __init__(self, session: Session, controls: tuple[Control, ...], lead: EndLead) -> None:
        self._session = session
        self._lead = lead
        self._waiting = list(controls)
        self._admitted: list[AdmittedControl] = []
        """Whoever is to be told of the end."""
        self._answered_ns: int | None = None
        self._cut_ns: int | None = None
        """When it was ended for want of time: what a peer then takes to confirm that costs nobody."""
        self._timer_ns = 0
        self._changes = NO_CHANGES
        self._changes_taken = False
        self._over = False
        self._published: tuple[object, ...] = ()

    # -------------------------------------------------------------------------------------------------------------- begin
    def run(self) -> Outcome:
        """Ask each control in turn. What one raises (Refused) goes to the call, which then ends."""
        while self._waiting:
            control = self._waiting.pop(0)
            answer = control.admit(self._session)
            if isinstance(answer, Awaitable):
                return self._wait(control, answer)
            self._admit(control, answer)
        if self._admitted:
            self._publish()
        return None

    def insert(self, controls: Sequence[Control]) -> None:
        """Ask these next, before those of the chain that wait."""
        self._waiting[:0] = controls

    def add(self, controls: Sequence[Control]) -> Outcome:
        """Ask further controls, at any time before the call's end; of one that is up their time counts from now.

        To be called in a callback of the call, which waits for what this returns. What one raises (Refused) goes to the call.
        """
        self.insert(controls)
        return then(self.run(), self._set_timer)

    def _admit(self, control: Control, grant: Grant) -> None:
        """It lets the call begin. Raises Refused when what it changes cannot be sent."""
        one = AdmittedControl(control, grant)
        self._admitted.append(one)
        if problem := grant.changes.problem():
            log.error("call %s: control %s makes of it what cannot be sent: %s", self._session.id, control.name, problem)
            raise Refused(500, "Server Internal Error")
        self._changes = self._changes.then(grant.changes)
        if self._answered_ns is not None:
            self._begin(one, self._now_ns())

    def _begin(self, one: AdmittedControl, now_ns: int) -> None:
        """Its time counts from now on."""
        one.from_ns = now_ns
        one.count(one.grant, now_ns)
        self._tell(one.control, lambda control: self._begin_to_cost(one, control))

    def _begin_to_cost(self, one: AdmittedControl, control: Control) -> None:
        answer = control.answered(self._session)
        if answer is not None:
            self._session.host.spawn(self._granting_anew(one, answer))

    async def _granting_anew(self, one: AdmittedControl, answer: Awaitable[Grant | None]) -> None:
        try:
            grant = await answer
        except Refused as refused:
            self._session.run(lambda error=refused: self._cut(one, error))  # type: ignore[misc]
        except Exception as error:
            log.error("call %s: control %s failed: %s", self._session.id, one.control.name, error, exc_info=error)
        else:
            if grant is not None:
                self._session.run(lambda: self._granted_anew(one, grant))

    def _granted_anew(self, one: AdmittedControl, grant: Grant) -> None:
        """What counts from the answer is another grant; a question that is out already stays out."""
        assert one.from_ns is not None
        if grant.seconds is not None and grant.seconds < _LEAST_S:
            self._cut(one, Refused(402, "Payment Required"))
            return
        out = one.answer is not None and one.refused is None
        one.count(grant, one.from_ns)
        one.asked = out
        self._publish()
        self.used_up()

    async def _wait(self, control: Control, answer: Awaitable[Grant]) -> None:
        self._admit(control, await answer)
        if self._session.dialog.ending:
            return
        following = self.run()
        if following is not None:
            await following

    def answered(self, now_ns: int) -> None:
        """The call is up: time counts."""
        self._answered_ns = now_ns
        for one in self._admitted:
            self._begin(one, now_ns)
        self._set_timer()

    # --------------------------------------------------------------------------------------------------------------- time
    def used_s(self, now_ns: int) -> float:
        """Seconds since the answer."""
        return 0.0 if self._answered_ns is None else (now_ns - self._answered_ns) / 1e9

    def granted_s(self) -> float | None:
        """How many seconds from the answer the controls allow as of now; None: without limit."""
        if self._answered_ns is None:
            return min((one.grant.seconds for one in self._admitted if one.grant.seconds is not None), default=None)
        dues = [one.due_ns for one in self._admitted if one.due_ns is not None]
        return (min(dues) - self._answered_ns) / 1e9 if dues else None

    def charge(self) -> tuple[str, str]:
        """Account and charge id that the controls named; of several the first."""
        accounts = (one.grant.account for one in self._admitted if one.grant.account)
        charges = (one.grant.charge_id for one in self._admitted if one.grant.charge_id)
        return next(accounts, ""), next(charges, "")

    def vars(self) -> dict[str, str]:
        """What the controls want to stand in the call record; of two of one name the later."""
        return {name: value for one in self._admitted for name, value in one.grant.vars}

    def take_changes(self) -> CallChanges:
        """What the controls change, for an application that carries it out itself: nobody else will."""
        self._changes_taken = True
        return self._changes

    def left_changes(self) -> CallChanges:
        """What they change, as far as no application has taken it."""
        return NO_CHANGES if self._changes_taken else self._changes

    def _publish(self) -> None:
        """The monitoring store learns who pays, and how long it may last, as soon as a control has said so."""
        granted_s, (account, charge_id) = self.granted_s(), self.charge()
        known = (account, charge_id, granted_s)
        if known != self._published and any(value not in ("", None) for value in known):
            self._published = known
            self._session.log(account=account, charge_id=charge_id, granted_s=-1.0 if granted_s is None else round(granted_s, 3))

    def __iter__(self) -> Iterator[AdmittedControl]:
        return iter(self._admitted)

    def extend(self, seconds: float) -> bool:
        """Let the call last so much longer (negative: shorter) than the controls allow. False when it has no limit that counts."""
        counting = [one for one in self._admitted if one.due_ns is not None]
        for one in counting:
            assert one.due_ns is not None
            one.due_ns += round(seconds * 1e9)
            one.warned = False
        self._set_timer()
        self._publish()
        return bool(counting)

    # ----------------------------------------------------------------------------------------- a service speaks up by itself
    def warn(self, control: str) -> bool:
        """Let the call hear the warning of that control, once a grant. False when the call does not count there, as below."""
        return self._for(control, lambda one: None if one.warned else self._warn(one))

    def ask_again(self, control: str) -> bool:
        """Let that control be asked now what it grants, as if its grant would soon be used up."""
        return self._for(control, self._ask_again)

    def left_s(self, control: str) -> float | None:
        """How long the call lasts with what that control has granted it; None where that ends nothing."""
        now_ns = self._now_ns()
        dues = [one.due_ns for one in self._admitted if one.control.name == control and one.due_ns is not None]
        return max(0, min(dues) - self._lead.ns(now_ns) - now_ns) / 1e9 if dues else None

    def limit(self, control: str, seconds: float) -> bool:
        """So many seconds from now on, and no more: what that control says in the place of its grant."""
        return self._for(control, lambda one: self._limit(one, seconds))

    def cut(self, control: str, why: str) -> bool:
        """End the call on behalf of that control."""
        return self._for(control, lambda one: self._cut(one, Refused(480, why), _ENDED_BY_SERVICE))

    def _for(self, control: str, step: Callable[[AdmittedControl], None]) -> bool:
        """Do it as an event of the call's own."""
        one = next((one for one in self._admitted if one.control.name == control and one.from_ns is not None), None)
        if one is None or self._over:
            return False
        self._session.run(lambda: step(one))
        return True

    def _ask_again(self, one: AdmittedControl) -> None:
        if one.answer is None and not self._session.dialog.ending:
            one.refused, one.asked = None, False
            self._ask(one, self._now_ns())
            self.used_up()

    def _limit(self, one: AdmittedControl, seconds: float) -> None:
        grant = replace(one.grant, seconds=seconds, ask_before_s=0.0, go_on_s=0.0, final=True)
        warned = one.warned
        one.count(grant, self._now_ns())
        one.warned = warned
        self._publish()
        self.used_up()

    # ----------------------------------------------------------------------------------------------------------------- timer
    def _now_ns(self) -> int:
        return self._session.host.clock.now_ns()

    def _next_ns(self, one: AdmittedControl) -> int | None:
        patience_ns = self._session.host.callback_timeout_ms * 1_000_000
        return one.next_ns(patience_ns, self._lead.ns(self._now_ns()))

    def _set_timer(self) -> None:
        if not self._admitted:
            return  # nor has there been anybody: most calls need no timers at all
        nexts = [at_ns for at_ns in map(self._next_ns, self._admitted) if at_ns is not None]
        if nexts:
            now_ns = self._now_ns()
            self._timer_ns = max(now_ns, min(nexts))
            self._session.timers.set(GRANT_TIMER, (self._timer_ns - now_ns) / 1e6)
        else:
            self._session.timers.remove(GRANT_TIMER)

    def timer_ran(self) -> None:
        """The timer that was set has run, perhaps late."""
        now_ns = self._now_ns()
        self._lead.note(max(0, now_ns - self._timer_ns), now_ns)
        self.used_up()

    def used_up(self) -> None:
        """Something is to be done about a grant: ask for more, warn, end. A call that is being ended asks nobody."""
        now_ns = self._now_ns()
        for one in self._admitted:
            while not self._session.dialog.ending and (at_ns := self._next_ns(one)) is not None and at_ns <= now_ns:
                self._step(one, now_ns)
        if not self._session.dialog.ending:
            self._set_timer()

    def _step(self, one: AdmittedControl, now_ns: int) -> None:
        assert one.due_ns is not None
        if one.refused is not None and one.grant.warn_s and not one.warned:
            self._warn(one)
        elif one.refused is None and not one.asked:
            self._ask(one, now_ns)
        elif one.refused is None and one.grant.go_on_s and not one.gone_on:
            log.warning("call %s: %s does not answer; %g s more", self._session.id, one.control.name, one.grant.go_on_s)
            one.gone_on, one.due_ns = True, one.due_ns + round(one.grant.go_on_s * 1e9)
        else:
            self._cut(one, one.refused or self._unanswered(one, now_ns))

    def _unanswered(self, one: AdmittedControl, now_ns: int) -> Refused:
        who, where = late.describe(one.answer) if one.answer is not None else (one.control.name, "")
        log.error(
            "call %s: %s of %s has not returned within %d s (it waits in %s): the call is ended. Give what it waits for a time limit of its own",
            self._session.id, who, self._session.application, (now_ns - one.asked_ns) // 1_000_000_000, where,
        )  # fmt: skip
        return Refused(504, "Server Time-out")

    def _warn(self, one: AdmittedControl) -> None:
        one.warned = True
        if one.grant.warn_path:
            self._session.audio.set_up_mix_in(_WARNING_LEVEL, 0)
            self._session.audio.mix_in(PlayFile(one.grant.warn_path), replace=True)

    def _ask(self, one: AdmittedControl, now_ns: int) -> None:
        """Ask for more. An answer that takes its time is waited for beside the call."""
        one.asked, one.asked_ns = True, now_ns
        try:
            answer = one.control.renew(self._session, one.used_s(now_ns))
        except Refused as refused:
            one.refused = refused
            return
        if isinstance(answer, Awaitable):
            one.answer = answer
            self._session.host.spawn(self._thinking(one, answer, now_ns))
        else:
            self._more(one, answer, now_ns)

    async def _thinking(self, one: AdmittedControl, answer: Awaitable[Grant], asked_ns: int) -> None:
        one.work = current_work()
        try:
            grant = await answer
        except Refused as refused:
            self._session.run(lambda error=refused: self._no_more(one, error))  # type: ignore[misc]
        except Exception as error:
            log.error("call %s: control %s failed: %s", self._session.id, one.control.name, error, exc_info=error)
            self._session.run(lambda: self._no_more(one, Refused(500, "Server Internal Error")))
        else:
            self._session.run(lambda: self._answer(one, grant, asked_ns))

    def _answer(self, one: AdmittedControl, grant: Grant, asked_ns: int) -> None:
        one.answer = one.work = None
        if one.refused is None:
            self._more(one, grant, asked_ns)
            self.used_up()

    def _no_more(self, one: AdmittedControl, refused: Refused) -> None:
        one.answer = one.work = None
        one.refused = refused
        self.used_up()

    def _more(self, one: AdmittedControl, grant: Grant, asked_ns: int) -> None:
        """More counts from where the last grant ended; from now where that was passed without an answer."""
        if grant.seconds is not None and grant.seconds < _LEAST_S:
            one.refused = Refused(402, "Payment Required")
            return
        ends_ns = one.due_ns if one.due_ns is not None and one.grant.ask_before_s else asked_ns
        one.count(grant, ends_ns)
        self._publish()

    def _cut(self, one: AdmittedControl, refused: Refused, reason: tuple[str, ...] = _USED_UP) -> None:
        if self._session.dialog.ending:
            return
        self._cut_ns = self._now_ns()
        log.info("call %s: %s ends it: %d %s", self._session.id, one.control.name, refused.code, refused.reason)
        self._session.log(limit_cause=f"{one.control.name}: {refused.code} {refused.reason}")
        self._session.stop(refused.code, refused.reason, (*refused.headers, *reason), by="limit")

    # ---------------------------------------------------------------------------------------------------------------- end
    def ended(self, end: CallEnded, now_ns: int) -> None:
        """Tell everybody who admitted the call."""
        if self._over:
            return
        self._over = True
        now_ns = now_ns if self._cut_ns is None else min(now_ns, self._cut_ns)
        for one in self._admitted:  # they stay: the call record, which may be closed later, asks for account and grant
            one.forget()
            used_s = one.used_s(now_ns)
            self._tell(one.control, lambda control, used_s=used_s: control.ended(self._session, end, used_s))  # type: ignore[misc]

    def _tell(self, control: Control, news: Callable[[Control], None]) -> None:
        """A control that fails costs neither the call nor the other controls their news."""
        try:
            news(control)
        except Exception as error:
            log.error("call %s: control %s failed: %s", self._session.id, control.name, error, exc_info=error)
