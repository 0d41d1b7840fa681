# SPDX-License-Identifier: GPL-2.0-or-later
"""The DI interface `core`: counters, limits, log level, dial-out. The gateways build their built-in methods on it (spec di.md §3.2).

What counts "since the last query" begins anew with a query, as in SEMS, but only with that of a caller who may call `reset_periods`: who
may only read changes nothing by it.
"""

from __future__ import annotations

import asyncio
import re

from di.calls.call_info import CallOut, Dialler
from di.calls.dialling import refusal
from di.calls.sessions import Sessions
from di.kernel import logs
from di.kernel.errors import CallFailed, OutOfBounds
from di.kernel.registry import Caller, Lenient, di_method
from di.kernel.value import LongLong, Value
from di.sip.headers import header_lines

_NOT_PLACED = "the call could not be placed; the log says why"
_LONGEST_RING_S = 600


class CoreInterface:
    """Built-in functions. Numbers come as plain ints; a gateway wraps them as its protocol has it."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._limits = sessions.limits

    @di_method("calls", changes=False)
    def calls(self) -> int:
        """Return how many calls there are."""
        return len(self._sessions)

    @di_method("get_loglevel", changes=False)
    def get_loglevel(self) -> int:
        """Return the log level: 0 error, 1 warning, 2 info, 3 debug."""
        return logs.level()

    @di_method("set_loglevel", dangerous=True)
    def set_loglevel(self, level: int = 0) -> str:
        """Set the log level; what is above 3 means debug, below 0 error."""
        logs.set_level(level)
        return "200 OK"

    @di_method("get_shutdownmode", changes=False)
    def get_shutdownmode(self) -> int:
        """Return 1 while new calls are refused because of a coming shutdown, else 0."""
        return int(self._limits.shutdown_mode)

    @di_method("set_shutdownmode", dangerous=True)
    def set_shutdownmode(self, on: bool = False) -> str:
        """Refuse new calls from now on, or accept them again; running calls go on."""
        self._sessions.set_shutdown_mode(on)
        return "200 OK"

    @di_method("get_sessioncount", changes=False)
    def get_sessioncount(self) -> int:
        """Return how many calls there have been since the start."""
        return self._limits.created

    @di_method("get_callsavg", changes=False)
    def get_callsavg(self, caller: Caller) -> int:
        """Return the average number of calls since the last query, rounded up."""
        now_ns = self._sessions.clock.now_ns()
        return self._limits.take_average(now_ns) if _resets(caller) else self._limits.peek_average(now_ns)

    @di_method("get_callsmax", changes=False)
    def get_callsmax(self, caller: Caller) -> int:
        """Return the most calls at once since the last query."""
        return self._limits.take_max_active() if _resets(caller) else self._limits.peek_max_active()

    @di_method("get_cpsavg", changes=False)
    def get_cpsavg(self) -> int:
        """Return the calls per second over the last 5 s, rounded down."""
        return self._limits.rate(self._sessions.clock.now_ns())

    @di_method("get_cpsmax", changes=False)
    def get_cpsmax(self, caller: Caller) -> int:
        """Return the highest rate of calls since the last query."""
        return self._limits.take_max_cps() if _resets(caller) else self._limits.peek_max_cps()

    @di_method("reset_periods", listed=False)
    def reset_periods(self) -> str:
        """Begin the periods of get_callsavg, get_callsmax and get_cpsmax anew; whoever may call this does so with these, too."""
        self._limits.take_average(self._sessions.clock.now_ns())
        self._limits.take_max_active()
        self._limits.take_max_cps()
        return "200 OK"

    @di_method("get_cpslimit", changes=False)
    def get_cpslimit(self) -> str:
        """Return hard and soft limit of calls per second, separated by a blank."""
        return f"{self._limits.hard_cps} {self._limits.soft_cps}"

    @di_method("set_cpslimit", dangerous=True)
    def set_cpslimit(self, limit: int = 0) -> str:
        """Set hard and soft limit of calls per second; 0 is none."""
        self._limits.set_cps(limit)
        return "200 OK"

    @di_method("set_cpssoftlimit", dangerous=True)
    def set_cpssoftlimit(self, percent: int) -> str:
        """Set the soft limit to a percentage of the present rate; 0 restores the hard one."""
        self._limits.set_soft_cps(percent, self._sessions.clock.now_ns())
        return "200 OK"

    @di_method("statistics", changes=False)
    def statistics(self) -> dict[str, Value]:
        """Return the counters without resetting any of them; made for metrics."""
        now_ns = self._sessions.clock.now_ns()
        limits = self._limits
        return {
            "calls": limits.active,
            "sessions": limits.created,
            "call_ns": LongLong(limits.call_ns(now_ns)),
            "calls_max": limits.peek_max_active(),
            "cps": limits.rate(now_ns),
            "cps_max": limits.peek_max_cps(),
            "cps_hard_limit": limits.hard_cps,
            "cps_soft_limit": limits.soft_cps,
            "session_limit": limits.session_limit.count,
            "shutdown_mode": limits.shutdown_mode,
            "rooms": len(self._sessions.rooms.names()),
        }

    @di_method("dialout", dangerous=True)
    def dialout(
        self,
        caller: Caller,
        application: str,
        user: str,
        request_uri: str,
        from_uri: str,
        headers: Lenient[str] = "",
        params: Value = None,
        id: Lenient[str] = "",
    ) -> str:
        """Place a call for an application and return its id, which may be chosen; From and To are written as `<uri>`."""
        lines = tuple(header_lines(headers, newline=""))
        if not re.fullmatch(r"[A-Za-z0-9._-]{0,64}", id):
            raise CallFailed("an id must be of letters, digits, dots, underscores and hyphens, 64 at most")
        by = Dialler.of("core.dialout", caller)
        order = CallOut(
            application, request_uri, f"<{from_uri}>", f"<{request_uri}>", user, id=id, headers=lines, params=params, by=by
        )
        id = self._sessions.dialout(order)
        if not id:
            raise CallFailed(_NOT_PLACED)
        return id

    @di_method("dial_and_wait", dangerous=True)
    async def dial_and_wait(
        self,
        caller: Caller,
        application: str,
        user: str,
        request_uri: str,
        from_uri: str,
        ring_s: int = 60,
        headers: Lenient[str] = "",
        params: Value = None,
    ) -> dict[str, Value]:
        """Place a call as `dialout` does, and answer when it is known what became of it: `call`, `result`, SIP `code`."""
        if not 1 <= ring_s <= _LONGEST_RING_S:
            raise OutOfBounds(f"ring_s {ring_s} is not within 1 to {_LONGEST_RING_S}")
        by = Dialler.of("core.dial_and_wait", caller)
        lines = tuple(header_lines(headers, newline=""))
        to = f"<{request_uri}>"
        order = CallOut(
            application, request_uri, f"<{from_uri}>", to, user, headers=lines, params=params, ring_ms=ring_s * 1000, by=by
        )
        session = self._sessions.find(self._sessions.dialout(order))
        if session is None:
            raise CallFailed(_NOT_PLACED)
        known: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        session.on_result.append(lambda code: None if known.done() else known.set_result(code))
        code = await known
        return {"call": session.id, "result": session.result.value if session.result is not None else "", "code": code}

    @di_method("dialout_status", changes=False)
    def dialout_status(self) -> dict[str, Value]:
        """Return what the dial control has counted: calls out now by caller, placed, refused by cause."""
        toll = self._sessions.toll
        return {
            "calls": toll.active.total(),
            "of_callers": {caller: count for caller, count in toll.active.items() if caller},
            "placed": toll.placed,
            "refused": dict(toll.refused),
        }

    @di_method("dialout_check", changes=False)
    def dialout_check(self, caller: Caller, request_uri: str) -> dict[str, Value]:
        """Say whether the caller could dial a URI now, and why not; nobody is called and nothing is counted."""
        cause, why = refusal(
            self._sessions, CallOut("", request_uri, "<sip:a@a>", f"<{request_uri}>", by=Dialler.of("check", caller))
        )
        return {"allowed": not cause, "cause": cause, "why": why}

    @di_method("hangup")
    def hangup(self, call: str) -> list[Value]:
        """End a call: BYE if it is up, CANCEL or a final reply if not."""
        session = self._sessions.find(call)
        if session is None:
            return [404, "call does not exist"]
        session.hang_up()
        return [200, "OK"]

    @di_method("post_event", dangerous=True)
    def post_event(self, call: str, params: dict[str, Value]) -> list[Value]:
        """Post named values to a call's application; values are turned into text."""
        session = self._sessions.find(call)
        if session is None:
            return [404, "call does not exist"]
        taken = session.post_event({name: str(value) for name, value in params.items()})
        return [200, "OK"] if taken else [503, "too many events wait in this call"]


def _resets(caller: Caller) -> bool:
    return caller.would_allow("core", "reset_periods")
