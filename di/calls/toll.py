# SPDX-License-Identifier: GPL-2.0-or-later
"""May this number be dialled, now, on whose behalf: one place for every way to dial (toll fraud).

    DI function ─┐                       ┌ off? · most calls at once · a minute · destinations · what this caller may
    script       │                       │
    second leg   ├─► dialling.dial ─► Toll.refusal ─► placed or refused ─► Toll.noted: one audit line, counters
    keypad, REFER│
    redirection  ┘

    request outside calls (MESSAGE) ─► Toll.request

Off, unless `dialout_limit` says how many calls may go out at once, where anybody else than this machine can reach SIP or an RPC gateway.
Who dials on behalf of a caller of RPC has that caller's own limits, too, and so have the second legs of his calls. Pure: time comes in.
"""

from __future__ import annotations

import logging
import re
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass

from di.access.log import show_value
from di.calls.call_info import CallOut, Dialler
from di.calls.destination import Unclear, normal_form
from di.calls.outside import OutsideRequest
from di.kernel.posix_regex import Search, compile_extended
from di.kernel.seldom import Seldom
from di.kernel.server_options import CallerLimit, CoreOptions, parse_caller_limit

log = logging.getLogger("cordboard.audit")
MINUTE_NS = 60_000_000_000
_CALLERS = 10_000
"""So many callers' minutes are kept; of more the one who dialled longest ago begins anew."""
_CALLER_KEY = "dialout_caller_"


def patterns(texts: tuple[str, ...]) -> tuple[Search, ...]:
    """Compile destinations; names are compared without regard to case. Raises ValueError."""
    return tuple(compile_extended(text, any_case=True) for text in texts)


@dataclass(frozen=True, slots=True)
class CallerRules:
    """What one caller of RPC may. `calls` at once, `per_minute`: 0 is no limit of his own; `allow` empty: what everybody may."""

    calls: int = 0
    per_minute: int = 0
    allow: tuple[Search, ...] = ()


def _caller(limit: CallerLimit) -> CallerRules:
    return CallerRules(limit.calls, limit.per_minute, patterns(limit.allow))


class Minute:
    """When the calls of the last minute were placed; at most `most` are kept."""

    def __init__(self) -> None:
        self._placed_ns: deque[int] = deque()

    def is_full(self, most: int, now_ns: int) -> bool:
        """Whether so many were placed within a minute; 0: never."""
        placed = self._placed_ns
        while placed and placed[0] <= now_ns - MINUTE_NS:
            placed.popleft()
        return bool(most) and len(placed) >= most

    def add(self, most: int, now_ns: int) -> None:
        """One more, where somebody asks for them."""
        if most:
            self._placed_ns.append(now_ns)


class Toll:
    """`exposed`: what of the server others can reach, as the gateways tell it."""

    def __init__(self, core: CoreOptions) -> None:
        self.exposed: list[str] = []
        self.placed = 0
        self.refused: Counter[str] = Counter()
        """Attempts by cause: off, calls, minute, destination, malformed, gate, process, application."""
        self.active: Counter[str] = Counter()
        """Calls out now, by caller; "" are those of no caller of RPC."""
        self._all = Minute()
        self._requests = Minute()
        self._told = Seldom()
        self._minutes: OrderedDict[str, Minute] = OrderedDict()
        self.take(core)

    def take(self, core: CoreOptions) -> None:
        """Use these options from now on. What is counted stays. Raises ValueError for a bad pattern, and keeps what it had."""
        allow, deny = patterns(core.dialout_allow), patterns(core.dialout_deny)
        each = _caller(core.dialout_each_caller)
        named = {key.removeprefix(_CALLER_KEY): _caller(parse_caller_limit(text)) for key, text in core.dialout_callers.items()}
        self._core, self._allow, self._deny, self._each, self._named = core, allow, deny, each, named

    # ----------------------------------------------------------------------------------------------------------- decision
    def refusal(self, uri: str, by: Dialler, now_ns: int, replacing: int = 0) -> tuple[str, str]:
        """(cause, text) why a call must not be placed; two empty texts when it may. `replacing`: calls there are already that it replaces."""
        core, rules = self._core, self._rules(by)
        most = core.dialout_limit
        if off := self._off():
            return "off", off
        if most and self.active.total() - replacing >= most:
            return "calls", f"dialout_limit={most} is reached"
        if rules.calls and self.active[by.caller] - replacing >= rules.calls:
            return "calls", f"caller {by.caller} may have {rules.calls} calls out at once"
        if self._all.is_full(core.dialout_per_minute, now_ns):
            return "minute", f"dialout_per_minute={core.dialout_per_minute} is reached"
        if self._minute(by.caller).is_full(rules.per_minute, now_ns):
            return "minute", f"caller {by.caller} may place {rules.per_minute} calls a minute"
        return self._of_destination(uri, rules)

    def _off(self) -> str:
        if self._core.dialout_limit or not self.exposed:
            return ""
        return f"set dialout_limit in sems.conf to allow calls out (they are off: {self.exposed[0]} is not on loopback)"

    def _of_destination(self, uri: str, rules: CallerRules) -> tuple[str, str]:
        if not (self._allow or self._deny or rules.allow):
            return "", ""
        try:
            form = normal_form(uri, self._core.dialout_international)
        except Unclear as unclear:
            return "destination", f"it cannot be judged by dialout_allow and dialout_deny: {unclear}"
        if any(search(form) is not None for search in self._deny):
            return "destination", f"{form} is denied by dialout_deny"
        if self._allow and not any(search(form) is not None for search in self._allow):
            return "destination", f"{form} is not among dialout_allow"
        if rules.allow and not any(search(form) is not None for search in rules.allow):
            return "destination", f"{form} is not among what its caller may dial"
        return "", ""

    def _rules(self, by: Dialler) -> CallerRules:
        return self._named.get(by.caller, self._each) if by.caller else CallerRules()

    def _minute(self, caller: str) -> Minute:
        minute = self._minutes.get(caller)
        if minute is None:
            minute = self._minutes[caller] = Minute()
            if len(self._minutes) > _CALLERS:
                self._minutes.popitem(last=False)
        self._minutes.move_to_end(caller)
        return minute

    # ------------------------------------------------------------------------------------------------------------- record
    def noted(self, order: CallOut, call: str, cause: str, why: str, now_ns: int) -> None:
        """An attempt was decided: count it, and write its line. `call`: the new call's id; `cause` empty: it is placed."""
        by = order.by
        if cause:
            self.refused[cause] += 1
        else:
            self.placed += 1
            self._all.add(self._core.dialout_per_minute, now_ns)
            self._minute(by.caller).add(self._rules(by).per_minute, now_ns)
        shown = f"way={_word(by.way)} caller={_word(by.caller)} of={_word(by.call)} app={_word(order.application)}"
        shown += self._ends(order.from_header, order.request_uri)
        if cause:
            log.warning("audit dialout %s decision=refused cause=%s why=%s", shown, cause, show_value("why", why, 240))
        else:
            log.info("audit dialout %s decision=placed call=%s", shown, _word(call))

    def request(self, request: OutsideRequest, application: str, now_ns: int) -> str:
        """Ask about a request outside calls, count it and write its line. Why it must not go out; empty when it may.

        What holds for calls holds for it, but for their number at once; `dialout_per_minute` counts such requests apart from calls. Of
        those that are refused ten a second have a line.
        """
        most = self._core.dialout_per_minute
        cause, why = ("off", off) if (off := self._off()) else self._of_destination(request.uri, CallerRules())
        if not cause and self._requests.is_full(most, now_ns):
            cause, why = "minute", f"dialout_per_minute={most} is reached"
        shown = f"way={_word(request.method.lower())} caller=- of=- app={_word(application)}"
        shown += self._ends(request.from_header, request.uri)
        if not cause:
            self._requests.add(most, now_ns)
            log.info("audit dialout %s decision=placed call=-", shown)
            return ""
        self.refused[cause] += 1
        more = self._told.line(now_ns)
        if more is not None:
            log.warning("audit dialout %s decision=refused cause=%s why=%s%s", shown, cause, show_value("why", why, 240), more)
        return why

    def _ends(self, from_header: str, uri: str) -> str:
        return f" from={show_value('from', from_header)} to={show_value('to', uri)} {self._as(uri)}"

    def _as(self, uri: str) -> str:
        try:
            return f"as={ascii(normal_form(uri, self._core.dialout_international))[:80]}"
        except Unclear:
            return "as=-"

    def began(self, caller: str) -> None:
        """A call out is there; `ended` follows once."""
        self.active[caller] += 1

    def ended(self, caller: str) -> None:
        """It is over."""
        self.active[caller] -= 1
        if self.active[caller] <= 0:
            del self.active[caller]


def _word(text: str) -> str:
    """A text as one word of the line: ids and names of applications may come from outside."""
    return re.sub(r"[^!-~]", "?", text[:64]) or "-"
