# SPDX-License-Identifier: GPL-2.0-or-later
"""A configured control: which calls it is asked about, with which values, and what becomes of them when nobody answers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from di.calls.change_keys import filled
from di.calls.control import Grant
from di.calls.control_modules import ControlAsk, ControlModule, ControlUnreachable
from di.calls.patterns import values_of
from di.kernel.errors import Refused
from di.modules.call_control.options import Options

if TYPE_CHECKING:
    from di.calls.session import Session
    from di.sip.records import CallEnded

log = logging.getLogger(__name__)
_T = TypeVar("_T")
_OF_WHAT_IS_LEFT = 0.8
_UNREACHABLE = Refused(503, "Service Unavailable", ("Retry-After: 30",))


@dataclass
class ControlFigures:
    """What metrics tell of a control. `waited_s`: in all, of those answers that were waited for."""

    granted: int = 0
    refused: int = 0
    unreachable: int = 0
    waited: int = 0
    waited_s: float = 0.0
    longest_s: float = 0.0


@dataclass(frozen=True)
class Instance:
    """A `di.calls.admission.Control`. `values`: as configured, `filled` when patterns in them are none; `publish(kind, call, …)` writes an event."""

    name: str
    module: ControlModule
    values: Mapping[str, str]
    options: Options
    publish: Callable[..., None]
    figures: ControlFigures = field(default_factory=ControlFigures)
    filled: bool = False
    journal: Callable[[ControlAsk, Grant], None] = lambda ask, grant: None
    """Told of what was granted, for the server's next life."""
    _asks: dict[str, ControlAsk] = field(default_factory=dict)

    def _concerns(self, call: Session) -> bool:
        if self.options.direction not in ("both", call.info.direction):
            return False
        return self.options.second_legs or call.pair is None or call is call.pair.first

    def admit(self, call: Session) -> Grant | Awaitable[Grant]:
        """Ask the module. Raises Refused."""
        if not self._concerns(call):
            return Grant()
        ask = ControlAsk(self.name, call, self.values if self.filled else self._filled(call))
        try:
            answer = self.module.authorize(ask)
        except Refused as refused:
            raise self._refused(call, refused) from refused
        except ControlUnreachable as error:
            return self._unreachable(ask, error)
        if isinstance(answer, Awaitable):
            return self._authorized(ask, answer)
        return self._granted(ask, answer)

    def _filled(self, call: Session) -> Mapping[str, str]:
        variables = {name: str(value) for name, value in call.attributes.items()}
        patterns = values_of(call.info, variables)
        return filled(self.values, patterns)

    async def _authorized(self, ask: ControlAsk, answer: Awaitable[Grant]) -> Grant:
        try:
            return self._granted(ask, await self._in_time(answer, self._deadline_s))
        except Refused as refused:
            raise self._refused(ask.call, refused) from refused
        except (ControlUnreachable, TimeoutError) as error:
            return self._unreachable(ask, error)

    @property
    def _deadline_s(self) -> float:
        return self.options.deadline_ms / 1000

    async def _in_time(self, answer: Awaitable[_T], deadline_s: float) -> _T:
        began_s = time.monotonic()
        try:
            return await asyncio.wait_for(answer, deadline_s)
        finally:
            took_s = time.monotonic() - began_s
            self.figures.waited += 1
            self.figures.waited_s += took_s
            self.figures.longest_s = max(self.figures.longest_s, took_s)

    def _granted(self, ask: ControlAsk, grant: Grant) -> Grant:
        self._asks[ask.call.id] = ask
        self.figures.granted += 1
        self.journal(ask, grant)
        self.publish("control.granted", ask.call.id, control=self.name, seconds=grant.seconds, account=grant.account)
        return grant

    def _refused(self, call: Session, refused: Refused) -> Refused:
        self.figures.refused += 1
        call.log(limit_cause=f"{self.name}: {refused.code} {refused.reason}")
        self.publish("control.refused", call.id, control=self.name, code=refused.code, reason=refused.reason)
        log.info("call %s: control %s refuses with %d %s", call.id, self.name, refused.code, refused.reason)
        return refused

    def _unreachable(self, ask: ControlAsk, error: Exception) -> Grant:
        """A new call, and nobody says whether it may be."""
        self.figures.unreachable += 1
        allowed_s = self.options.on_unreachable.new_s
        what = f"allowed for {allowed_s} s" if allowed_s else "refused"
        log.error("call %s: control %s does not answer (%s): %s", ask.call.id, self.name, _why(error), what)
        if not allowed_s:
            raise self._refused(ask.call, _UNREACHABLE)
        return self._granted(ask, Grant(allowed_s, ask_before_s=min(5.0, allowed_s / 2)))

    def answered(self, call: Session) -> Awaitable[Grant | None] | None:
        """It costs from now on."""
        ask = self._asks.get(call.id)
        answer = self.module.answered(ask) if ask is not None else None
        return None if ask is None or answer is None else self._begun(ask, answer)

    async def _begun(self, ask: ControlAsk, answer: Awaitable[Grant | None]) -> Grant | None:
        """Where nobody answers what was granted before still holds; it will be asked again before that is used up."""
        try:
            grant = await self._in_time(answer, self._deadline_s)
        except Refused as refused:
            raise self._refused(ask.call, refused) from refused
        except (ControlUnreachable, TimeoutError) as error:
            self.figures.unreachable += 1
            log.error("call %s: control %s does not answer (%s): what it granted holds", ask.call.id, self.name, _why(error))
            return None
        return None if grant is None else self._more(ask, grant)

    def renew(self, call: Session, used_s: float) -> Grant | Awaitable[Grant]:
        """Ask for more. Raises Refused."""
        ask = self._asks.get(call.id)
        if ask is None:
            return Grant()
        try:
            answer = self.module.renew(ask, used_s)
        except ControlUnreachable as error:
            return self._goes_on(ask, error)
        return self._renewed(ask, answer) if isinstance(answer, Awaitable) else self._more(ask, answer)

    async def _renewed(self, ask: ControlAsk, answer: Awaitable[Grant]) -> Grant:
        """Whoever is silent until the call would end is unreachable by then, whatever `deadline_ms` says: what it may go on for counts."""
        left_s = ask.call.admission.left_s(self.name) if ask.call.admission is not None else None
        deadline_s = self._deadline_s if left_s is None else min(self._deadline_s, _OF_WHAT_IS_LEFT * left_s)
        try:
            return self._more(ask, await self._in_time(answer, deadline_s))
        except (ControlUnreachable, TimeoutError) as error:
            return self._goes_on(ask, error)

    def _more(self, ask: ControlAsk, grant: Grant) -> Grant:
        self.publish("control.renewed", ask.call.id, control=self.name, seconds=grant.seconds)
        return grant

    def _goes_on(self, ask: ControlAsk, error: Exception) -> Grant:
        """A call that is up, and nobody says whether it may go on."""
        self.figures.unreachable += 1
        more_s = self.options.on_unreachable.up_s
        what = f"it goes on for {more_s} s, then ends" if more_s else "it ends with what was granted"
        log.error("call %s: control %s does not answer (%s): %s", ask.call.id, self.name, _why(error), what)
        if not more_s:
            raise _UNREACHABLE
        return Grant(more_s, final=True)

    def ended(self, call: Session, end: CallEnded, used_s: float) -> None:
        """Tell the module, once."""
        ask = self._asks.pop(call.id, None)
        if ask is not None:
            self.module.ended(ask, end, used_s)


def _why(error: Exception) -> str:
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
