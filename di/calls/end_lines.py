# SPDX-License-Identifier: GPL-2.0-or-later
"""The line that each call leaves in the log when it is over: who, which application, how long, how it ended, what was lost.

    call 1A2B…: over: in, webconference, <sip:alice@…> to sip:room1@…, 63.2 s, BYE of the peer, 3 of 3161 packets lost (peer: 0 %)

The packets are asked of the media process, just before the leg is closed; when its answer does not come, the line comes without it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from media.control.records import Command, PromptLoaded, QueryStatistics, Statistics

if TYPE_CHECKING:
    from di.calls.session import Session
    from di.kernel.ports import Clock, TimerHandle
    from di.sip.records import CallEnded

log = logging.getLogger(__name__)

LONGEST_PLAYED_MS = 200
"""Packets of more are counted by the media process and not played (`media.engine.arrival`)."""
_PATIENCE_NS = 2_000_000_000
_BY = {
    "remote": "BYE of the peer",
    "local": "ended here",
    "cancel": "CANCEL of the peer",
    "timeout": "the peer did not answer",
    "error": "failed",
}


class MediaAsker(Protocol):
    """Who asks the media process (`di.calls.sessions.Sessions`)."""

    answers: dict[int, Callable[[PromptLoaded | Statistics], None]]

    @property
    def clock(self) -> Clock:
        """Time."""

    @property
    def media_is_up(self) -> bool:
        """Whether there is somebody to ask."""

    def ask_media(self, command: Callable[[int], Command], answer: Callable[[PromptLoaded | Statistics], None]) -> int:
        """Send a command that is answered; it is made with the request's number, which is returned."""


@dataclass(frozen=True, slots=True)
class CallOver:
    """A call that is over: how, when (wall clock), and its leg's counters; None where the media process did not tell them."""

    session: Session
    ended: CallEnded
    at_s: float
    counters: Mapping[str, float] | None


class EndLines:
    """Lines that wait for their numbers. `listeners` hear of each call that is over, exactly once, with the same numbers."""

    def __init__(self, sessions: MediaAsker) -> None:
        self.listeners: list[Callable[[CallOver], None]] = []
        self._sessions = sessions
        self._waiting: dict[int, tuple[int, CallOver]] = {}
        """Request → since when (ns), and all but the numbers."""
        self._timer: TimerHandle | None = None

    def over(self, session: Session, ended: CallEnded) -> None:
        """A call has ended; its leg is still open."""
        if not log.isEnabledFor(logging.INFO) and not self.listeners:
            return
        over = CallOver(session, ended, self._sessions.clock.epoch_s(), None)
        if session.audio.negotiated is None or not self._sessions.media_is_up:
            self._tell(over)
            return
        request = self._sessions.ask_media(_query(session.leg), self._answered)
        self._waiting[request] = (self._sessions.clock.now_ns(), over)
        if self._timer is None:
            self._timer = self._sessions.clock.call_later(_PATIENCE_NS, self._sweep)

    def _answered(self, record: PromptLoaded | Statistics) -> None:
        waiting = self._waiting.pop(record.request, None)
        if waiting is not None and isinstance(record, Statistics):
            self._tell(replace(waiting[1], counters=record.counters))

    def _sweep(self) -> None:
        """Tell of those whose answer has not come; look again while there are others."""
        self._timer = None
        until_ns = self._sessions.clock.now_ns() - _PATIENCE_NS
        for request, (since_ns, over) in list(self._waiting.items()):
            if since_ns <= until_ns:
                del self._waiting[request]
                self._sessions.answers.pop(request, None)
                self._tell(over)
        if self._waiting:
            self._timer = self._sessions.clock.call_later(_PATIENCE_NS, self._sweep)

    def flush(self) -> None:
        """Tell of all that wait: nobody will answer any more."""
        waiting, self._waiting = self._waiting, {}
        for _, over in waiting.values():
            self._tell(over)

    def _tell(self, over: CallOver) -> None:
        if log.isEnabledFor(logging.INFO):
            lost = loss(over.counters) if over.counters is not None else ""
            log.info("call %s: over: %s%s", over.session.id, line(over.session, over.ended, over.at_s), lost)
        for listener in self.listeners:
            listener(over)


def _query(leg: int) -> Callable[[int], QueryStatistics]:
    return lambda request: QueryStatistics(request, leg)


def line(session: Session, ended: CallEnded, now_s: float) -> str:
    """The line without what only the media process knows."""
    info = session.info
    caller = info.from_header.partition(";tag=")[0]
    length = f"{now_s - session.answered_s:.1f} s" if session.answered_s else "not answered"
    how = _BY.get(ended.by, ended.by)
    cause = f"{ended.code} {ended.reason}" if ended.code and ended.code != 200 else session.dialog.why
    cause = f" ({cause})" if cause else ""
    return f"{info.direction}, {session.application}, {caller} to {info.request_uri}, {length}, {how}{cause}"


def loss(counters: Mapping[str, float]) -> str:
    """What was lost on the way in and, as far as the peer reports it (RTCP), on the way out."""
    received, lost = int(counters.get("packets_received", 0)), int(counters.get("packets_lost", 0))
    text = f", {lost} of {received + lost} packets lost" if received or lost else ", no packet came"
    if long := int(counters.get("packets_too_long", 0)):
        text += f", {long} over {LONGEST_PLAYED_MS} ms long and not played"
    peer = counters.get("peer_lost_percent")
    return text if peer is None else f"{text} (peer: {peer:.0f} %)"
