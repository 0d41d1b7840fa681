# SPDX-License-Identifier: GPL-2.0-or-later
"""Until when a call lives unless its peer refreshes it (RFC 4028). Pure.

pjsip negotiates the interval and refreshes where that is our part. Where it is the peer's, pjsip would say BYE by itself; whether the
call ends is the hub's decision (spec dsm.md §3.8, sessionTimeout), so that timer of pjsip's is stopped and this one runs instead.
"""

from __future__ import annotations

import re

from di.calls.selection import Selection, parse_mapping
from di.sip.records import Listen, SessionTimer
from interfaces.sip.message import parse

_SESSION_EXPIRES = re.compile(r"\r?\n(?:session-expires|x)[ \t]*:[ \t]*(\d{1,10})[ \t]*((?:;[^\r\n]*)?)", re.IGNORECASE)
_REFRESHER = re.compile(r";[ \t]*refresher[ \t]*=[ \t]*(uac|uas)\b", re.IGNORECASE)
METHODS = ("INVITE", "UPDATE")
"""2xx replies to these say how it goes on (RFC 4028 §3)."""


def interval_of_peer_s(reply: str, we_asked: bool) -> int:
    """The session interval when the peer is to refresh; 0 when nobody is, or we are.

    `reply`: text of a 2xx to INVITE or UPDATE, `we_asked`: whether it answers us. Without `refresher` the side that asked does it.
    """
    found = _SESSION_EXPIRES.search(reply.partition("\r\n\r\n")[0])
    if found is None:
        return 0
    refresher = _REFRESHER.search(found[2])
    asker_refreshes = refresher is None or refresher[1].lower() == "uac"
    return 0 if asker_refreshes is we_asked else int(found[1])


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


class SessionTimers:
    """Deadlines by call number."""

    def __init__(self) -> None:
        self._fresh: dict[int, int] = {}
        self._deadlines_ns: dict[int, int] = {}

    def refreshed(self, call: int, interval_s: int, now_ns: int) -> None:
        """A 2xx set the interval that the peer has to keep; 0: there is none any more."""
        self.forget(call)
        if interval_s:
            self._fresh[call] = now_ns + patience_s(interval_s) * 1_000_000_000

    def fresh(self) -> list[int]:
        """Calls whose interval was set since the last time: pjsip's own timer must be stopped. `take_over` follows."""
        return list(self._fresh)

    def take_over(self, call: int, stopped: bool) -> None:
        """pjsip's timer of a call was stopped, and ours counts; or it could not be, and pjsip's does."""
        deadline_ns = self._fresh.pop(call, None)
        if stopped and deadline_ns is not None:
            self._deadlines_ns[call] = deadline_ns

    def expired(self, now_ns: int) -> list[int]:
        """Calls that were not refreshed in time, each once."""
        over = [call for call, deadline_ns in self._deadlines_ns.items() if now_ns >= deadline_ns]
        for call in over:
            del self._deadlines_ns[call]
        return over

    def forget(self, call: int) -> None:
        """The call is over."""
        self._fresh.pop(call, None)
        self._deadlines_ns.pop(call, None)
