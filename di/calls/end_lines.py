# SPDX-License-Identifier: GPL-2.0-or-later
"""The line that each call leaves in the log when it is over: who, which application, how long, how it ended, what was lost.

    call 1A2B…: over: in, webconference, <sip:alice@…> to sip:room1@…, 63.2 s, BYE of the peer, 3 of 3161 packets lost (peer: 0 %)

The packets are asked of the media process, just before the leg is closed; when its answer does not come, the line comes without it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from media.control.records import Command, PromptLoaded, QueryStatistics, Statistics

if TYPE_CHECKING:
    from di.calls.session import Session
    from di.kernel.ports import Clock, TimerHandle
    from di.sip.records import CallEnded

log = logging.getLogger(__name__)

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


class EndLines:
    """Lines that wait for their numbers."""

    def __init__(self, sessions: MediaAsker) -> None:
        self._sessions = sessions
        self._waiting: dict[int, tuple[int, str, str]] = {}
        """Request → since when (ns), call, line."""
        self._timer: TimerHandle | None = None

    def over(self, session: Session, ended: CallEnded) -> None:
        """A call has ended; its leg is still open."""
        if not log.isEnabledFor(logging.INFO):
            return
        text = line(session, ended, self._sessions.clock.epoch_s())
        if session.audio.negotiated is None or not self._sessions.media_is_up:
            _write(session.id, text)
            return
        request = self._sessions.ask_media(_query(session.leg), self._answered)
        self._waiting[request] = (self._sessions.clock.now_ns(), session.id, text)
        if self._timer is None:
            self._timer = self._sessions.clock.call_later(_PATIENCE_NS, self._sweep)

    def _answered(self, record: PromptLoaded | Statistics) -> None:
        waiting = self._waiting.pop(record.request, None)
        if waiting is not None and isinstance(record, Statistics):
            _, call, text = waiting
            _write(call, text + loss(record.counters))

    def _sweep(self) -> None:
        """Write those whose answer has not come; look again while there are others."""
        self._timer = None
        until_ns = self._sessions.clock.now_ns() - _PATIENCE_NS
        for request, (since_ns, call, text) in list(self._waiting.items()):
            if since_ns <= until_ns:
                del self._waiting[request]
                self._sessions.answers.pop(request, None)
                _write(call, text)
        if self._waiting:
            self._timer = self._sessions.clock.call_later(_PATIENCE_NS, self._sweep)

    def flush(self) -> None:
        """Write all that wait: nobody will answer any more."""
        waiting, self._waiting = self._waiting, {}
        for _, call, text in waiting.values():
            _write(call, text)


def _query(leg: int) -> Callable[[int], QueryStatistics]:
    return lambda request: QueryStatistics(request, leg)


def _write(call: str, text: str) -> None:
    log.info("call %s: over: %s", call, text)


def line(session: Session, ended: CallEnded, now_s: float) -> str:
    """The line without what only the media process knows."""
    info = session.info
    caller = info.from_header.partition(";tag=")[0]
    length = f"{now_s - session.answered_s:.1f} s" if session.answered_s else "not answered"
    how = _BY.get(ended.by, ended.by)
    cause = f"{ended.code} {ended.reason}" if ended.code and ended.code != 200 else session.dialog.why
    cause = f" ({cause})" if cause else ""
    return f"{info.direction}, {session.application}, {caller} to {info.request_uri}, {length}, {how}{cause}"


def loss(counters: dict[str, float]) -> str:
    """What was lost on the way in and, as far as the peer reports it (RTCP), on the way out."""
    received, lost = int(counters.get("packets_received", 0)), int(counters.get("packets_lost", 0))
    text = f", {lost} of {received + lost} packets lost" if received or lost else ", no packet came"
    peer = counters.get("peer_lost_percent")
    return text if peer is None else f"{text} (peer: {peer:.0f} %)"
