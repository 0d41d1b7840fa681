# SPDX-License-Identifier: GPL-2.0-or-later
"""Until when a call lives unless it is refreshed (RFC 4028), and when it is for us to refresh it. Pure.

pjsip negotiates the interval. Where the peer is to refresh, pjsip would say BYE by itself when it has not; whether the call ends is the hub's
decision (spec dsm.md §3.8, sessionTimeout). Where we are, it would choose the method by itself, and a refusal would end nothing. So its timer
is stopped, of calls of the second kind if they have an interval of our own, and this one runs instead:

    2xx to INVITE or UPDATE ─► fresh ─► taken over ─┬─ half of the interval ─► refresh ─► 2xx │ 501 that counts ─► fresh
                                                    │                             └─ another refusal ─► again later
                                                    └─ its end (peer: a while before it) ─► expired
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from di.calls.selection import Selection, parse_mapping
from di.sip.records import Listen, SessionTimer
from interfaces.sip.message import parse

_SESSION_EXPIRES = re.compile(r"\n(?:session-expires|x)[ \t]*:[ \t]*(\d{1,10})[ \t]*((?:;[^\r\n]*)?)", re.IGNORECASE)
_REFRESHER = re.compile(r";[ \t]*refresher[ \t]*=[ \t]*(uac|uas)\b", re.IGNORECASE)
_MIN_SE = re.compile(r"\nmin-se[ \t]*:[ \t]*(\d{1,10})\b", re.IGNORECASE)
_BUSY_NS = 2_000_000_000
"""A refresh that another transaction stands in the way of is tried again so often (spec core.md §10.1)."""
_GONE = (408, 481)
"""The peer knows the call no more (RFC 4028 §10)."""
_S = 1_000_000_000
METHODS = ("INVITE", "UPDATE")
"""2xx replies to these say how it goes on (RFC 4028 §3)."""


@dataclass(frozen=True, slots=True)
class Interval:
    """What a 2xx says: how long the call lives without a refresh, 0 for ever; `ours`: we are to send it."""

    seconds: int
    ours: bool


NO_INTERVAL = Interval(0, ours=False)


def interval_of(reply: str, we_asked: bool) -> Interval:
    """The session interval of a 2xx to INVITE or UPDATE. `we_asked`: it answers us. Without `refresher` the side that asked refreshes."""
    found = _SESSION_EXPIRES.search(reply.partition("\r\n\r\n")[0])
    if found is None or not int(found[1]):
        return NO_INTERVAL
    refresher = _REFRESHER.search(found[2])
    asker_refreshes = refresher is None or refresher[1].lower() == "uac"
    return Interval(int(found[1]), asker_refreshes is we_asked)


def least_s(reply: str) -> int:
    """Min-SE of a 422; 0 without one."""
    found = _MIN_SE.search(reply.partition("\r\n\r\n")[0])
    return int(found[1]) if found is not None else 0


def allows_update(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether a peer says that it takes UPDATE (RFC 3311 §5.1)."""
    return any(name.lower() == "allow" and "UPDATE" in (word.strip() for word in value.split(",")) for name, value in headers)


def patience_s(interval_s: int) -> int:
    """How long after a refresh the call is given up: min(32 s, a third) before the interval ends (RFC 4028 §10)."""
    return interval_s - min(32, interval_s // 3)


class ChosenTimers:
    """Which interval a call has that comes in: that of the application which will take it, as far as an INVITE says so by itself.

    pjsip answers 422 and negotiates before the hub hears of the call.
    """

    def __init__(self, listen: Listen) -> None:
        self._timers = dict(listen.timers)
        self._selection = Selection(listen.selection, parse_mapping(listen.mapping, "mapping"))

    def select(self, setting: str, mapping: str) -> None:
        """Applications are chosen in another way from now on."""
        self._selection = Selection(setting, parse_mapping(mapping, "mapping"))

    def of(self, text: str) -> SessionTimer | None:
        """The interval for an INVITE; None for other requests, and where the application has none of its own."""
        if not text.startswith("INVITE "):
            return None
        message = parse(text)
        return self._timers.get(self._selection.choose(message.request_uri, message.headers))


@dataclass(slots=True)
class RunningInterval:
    """A call's interval. `refresh_ns` 0: it is not for us to refresh, or has been done."""

    interval: Interval
    ends_ns: int
    refresh_ns: int = 0


class SessionTimers:
    """The intervals by call number."""

    def __init__(self) -> None:
        self._fresh: dict[int, RunningInterval] = {}
        self._running: dict[int, RunningInterval] = {}

    def refreshed(self, call: int, interval: Interval, now_ns: int) -> None:
        """A 2xx set the interval; none: there is none any more."""
        self.forget(call)
        seconds = interval.seconds
        if seconds and interval.ours:
            self._fresh[call] = RunningInterval(interval, now_ns + seconds * _S, now_ns + seconds * _S // 2)
        elif seconds:
            self._fresh[call] = RunningInterval(interval, now_ns + patience_s(seconds) * _S)

    def fresh(self) -> list[int]:
        """Calls whose interval was set since the last time: pjsip's own timer must be stopped. `take_over` follows."""
        return list(self._fresh)

    def take_over(self, call: int, stopped: bool) -> None:
        """pjsip's timer of a call was stopped, and ours counts; or it could not be, and pjsip's does."""
        session = self._fresh.pop(call, None)
        if stopped and session is not None:
            self._running[call] = session

    def due(self, now_ns: int) -> list[int]:
        """Calls that are to be refreshed, each until `answered` once; `in_the_way` when it could not be sent."""
        due = [call for call, session in self._running.items() if 0 < session.refresh_ns <= now_ns < session.ends_ns]
        for call in due:
            self._running[call].refresh_ns = 0
        return due

    def in_the_way(self, call: int, now_ns: int) -> None:
        """A refresh could not be sent."""
        if (session := self._running.get(call)) is not None:
            session.refresh_ns = now_ns + _BUSY_NS

    def answered(self, call: int, code: int, accept_501: bool, now_ns: int) -> None:
        """What became of a refresh. A 2xx has told its interval already (`refreshed`)."""
        session = self._running.get(call)
        if session is None or code < 300:
            return
        if code == 501 and accept_501:
            self._running[call] = RunningInterval(
                session.interval, now_ns + session.interval.seconds * _S, now_ns + session.interval.seconds * _S // 2
            )
        elif code in _GONE:
            session.ends_ns = now_ns
        else:
            session.refresh_ns = now_ns + max((session.ends_ns - now_ns) // 2, _BUSY_NS)

    def expired(self, now_ns: int) -> list[int]:
        """Calls that were not refreshed in time, each once."""
        over = [call for call, session in self._running.items() if now_ns >= session.ends_ns]
        for call in over:
            del self._running[call]
        return over

    def forget(self, call: int) -> None:
        """The call is over."""
        self._fresh.pop(call, None)
        self._running.pop(call, None)
