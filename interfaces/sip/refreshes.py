# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps calls alive whose session interval it is for us to keep, and tells of those whose peer has not (`session_timer` has the rules)."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pjsua2 as pj

from di.sip.records import CallEvent, Reinvite, ReplyReceived, SendRequest, SessionTimedOut, SessionTimer
from interfaces.sip.call import SipCall
from interfaces.sip.exchange import CannotSend
from interfaces.sip.session_timer import NO_INTERVAL, Interval, SessionTimers, least_s
from interfaces.sip.structures import reason_of

log = logging.getLogger(__name__)

_REFRESH = -1
"""Token of the refreshes that are sent here; the hub's are positive."""


class Refreshes:
    """`find` gives a call by its number; `stop(call)` stops pjsip's own timer of a call, False when it could not; `offering(call)` has the
    re-INVITE of a call sent when nothing is in its way.
    """

    def __init__(
        self,
        find: Callable[[int], SipCall | None],
        emit: Callable[[CallEvent], None],
        stop: Callable[[SipCall], bool],
        offering: Callable[[SipCall], None],
        now_ns: Callable[[], int],
    ) -> None:
        self._find, self._emit, self._stop, self._offering, self._now_ns = find, emit, stop, offering, now_ns
        self._timers = SessionTimers()

    def agreed(self, call: SipCall, interval: Interval) -> None:
        """A 2xx says how long a call lives without a refresh. Where it has no interval of ours, pjsip does our part of it."""
        ours_by_pjsip = interval.ours and call.timer is None
        self._timers.refreshed(call.number, NO_INTERVAL if ours_by_pjsip else interval, self._now_ns())

    def forget(self, number: int) -> None:
        """A call is over."""
        self._timers.forget(number)

    def second_passed(self) -> None:
        """Send what is due, tell of what has expired."""
        for number in self._timers.fresh():
            call = self._find(number)
            self._timers.take_over(number, call is not None and self._stop(call))
        for number in self._timers.due(self._now_ns()):
            call = self._find(number)
            if call is not None and call.timer is not None:
                self._send(call, call.timer)
        for number in self._timers.expired(self._now_ns()):
            self._emit(SessionTimedOut(number))

    def _send(self, call: SipCall, timer: SessionTimer) -> None:
        by_update = timer.method == "UPDATE" or (timer.method != "INVITE" and call.allows_update)
        try:
            if by_update:
                call.request(SendRequest(call.number, "UPDATE", _REFRESH))
            else:
                call.offer_again(Reinvite(call.number, "", token=_REFRESH))
                self._offering(call)
        except (pj.Error, CannotSend) as error:
            log.info("call %d: its session cannot be refreshed now: %s", call.number, reason_of(error))
            self._timers.in_the_way(call.number, self._now_ns())

    def takes(self, record: CallEvent) -> bool:
        """Whether a record is the end of a refresh, which the hub need not know."""
        if not isinstance(record, ReplyReceived) or record.token != _REFRESH:
            return False
        call = self._find(record.call)
        timer = call.timer if call is not None else None
        if timer is not None:
            self._timers.answered(record.call, record.code, timer.accept_501, self._now_ns())
            if record.code >= 300:
                counts = " (it counts)" if record.code == 501 and timer.accept_501 else ""
                log.warning(
                    "call %d: a session refresh is answered with %d %s%s", record.call, record.code, record.reason, counts
                )
        return True


def too_long(call: SipCall | None, text: str) -> bool:
    """Whether the interval that a 422 wants is beyond what its call may have: then it is not dialled again."""
    wanted_s = least_s(text)
    if call is None or call.timer is None or not 0 < call.timer.maximum_s < wanted_s:
        return False
    log.warning(
        "call %d: the peer wants a session interval of %d s, beyond maximum_timer=%d", call.number, wanted_s, call.timer.maximum_s
    )
    return True
