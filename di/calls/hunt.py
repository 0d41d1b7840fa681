# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls several targets for a pair's first leg, all at once or in turn, until one answers (RFC 3261 §16.7 calls it a search).

targets ─► INVITEs ─► replies, early media ─► the pair
             ├ the first 2xx wins ─► the others get a CANCEL, or a BYE if they answered in the same moment
             └ all fail, or none can be called ─► the best failure: a 6xx, else one of the lowest class
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from di.calls.call_info import CallOut, Dialler, Target
from di.calls.changed import change_target
from di.calls.events import SipReply
from di.calls.timer_numbers import RING_TIMER
from di.sip.records import CallEnded

if TYPE_CHECKING:
    from di.calls.application import Application, Factory
    from di.calls.session import Session

ELSEWHERE = ('Reason: SIP;cause=200;text="Call completed elsewhere"',)


class Found(Protocol):
    """Who wants somebody to be found: the pair. These are called as events of the leg that they are about."""

    def on_progress(self, session: Session, reply: SipReply, has_body: bool) -> None:
        """A provisional reply."""

    def on_early_media(self, session: Session) -> None:
        """One of the legs has early media, the first to have it."""

    def on_early_media_gone(self, session: Session) -> None:
        """That leg was not answered."""

    def on_answer(self, session: Session, reply: SipReply) -> None:
        """The winner. The search is over."""

    def on_nobody(self, reply: SipReply) -> None:
        """Nobody could be reached; the best failure. The search is over."""


class Hunt:
    """One search. `application`: name under which the legs are logged; `factory` makes their applications."""

    def __init__(self, first: Session, found: Found, application: str, in_turn: bool, factory: Factory) -> None:
        self.trying: list[Session] = []
        """Legs that have not answered yet."""
        self._first = first
        self._found = found
        self._application = application
        self._in_turn = in_turn
        self._factory = factory
        self._queue: list[Target] = []
        self._early: list[Session] = []
        self._failure: SipReply | None = None

    def start(self, targets: list[Target]) -> None:
        """Call them. What cannot be called at all counts as 503."""
        self._queue = list(targets)
        if not self._call_next():
            self._found.on_nobody(SipReply("INVITE", 503, "Service Unavailable"))

    def stop(self, headers: tuple[str, ...] = ()) -> None:
        """Call nobody else, cancel those who ring; nothing is told of them any more."""
        self._queue = []
        trying, self.trying = self.trying, []
        for session in trying:
            session.pair = None
            session.stop(487, "", headers)

    def _call_next(self) -> bool:
        """Call what is in turn. False when nothing could be called, or nobody is there to be called for."""
        while self._queue and not self._first.dialog.ending:
            count = 1 if self._in_turn else len(self._queue)
            batch, self._queue = self._queue[:count], self._queue[count:]
            for target in batch:
                self._call(target)
            if self.trying:
                return True
        return False

    def _call(self, target: Target) -> None:
        first = self._first
        target = change_target(first, target)
        order = CallOut(
            application=self._application,
            request_uri=target.uri,
            from_header=target.from_header or first.info.remote_party.split(";tag=")[0],
            to_header=target.to_header or f"<{target.uri}>",
            user=target.user,
            headers=target.headers,
            next_hop=target.next_hop,
            credential=target.credential,
            prefer=first.audio.codec_in_use,
            near_leg=first.leg,
            params=target.params,
            by=Dialler("pair", call=first.id),
            interface=target.interface,
            media_interface=target.media_interface,
            hops=target.hops,
        )
        session = first.host.dial(order, self._make_leg)
        if session is not None:
            for told in first.on_second_leg:
                told(session)
        if session is not None and target.ring_ms:
            session.timers.set(RING_TIMER, target.ring_ms)

    def _make_leg(self, session: Session) -> Application:
        session.pair = self._first.pair
        application = self._factory(session)
        self.trying.append(session)
        return application

    # ---------------------------------------------------------------------------------------------------- what the legs tell
    def progressed(self, session: Session, reply: SipReply, has_body: bool) -> None:
        """A provisional reply of a leg."""
        if session in self.trying:
            self._found.on_progress(session, reply, has_body)

    def early(self, session: Session) -> None:
        """A leg has early media; of several the first one is heard, and when it fails the next."""
        if session in self.trying:
            self._early.append(session)
            if len(self._early) == 1:
                self._found.on_early_media(session)

    def answered(self, session: Session, reply: SipReply) -> None:
        """A leg is up: the first to be so wins."""
        if session not in self.trying:
            session.pair = None
            session.stop(487, "", ELSEWHERE)
            return
        self.trying.remove(session)
        session.timers.remove(RING_TIMER)
        self.stop(ELSEWHERE)
        self._found.on_answer(session, reply)

    def rung_out(self, session: Session) -> None:
        """A leg has rung for as long as its target allows."""
        if session in self.trying:
            session.stop(408, "Request Timeout", by="timeout")

    def failed(self, session: Session, event: CallEnded) -> None:
        """A leg was not answered; the next in turn is called."""
        self.trying.remove(session)
        if session in self._early:
            heard = self._early[0] is session
            self._early.remove(session)
            if heard:
                self._found.on_early_media_gone(session)
                for following in self._early[:1]:
                    self._found.on_early_media(following)
        reply = SipReply("INVITE", event.code if event.code >= 300 else 400, event.reason, event.headers)
        if self._failure is None or _rank(reply) <= _rank(self._failure):
            self._failure = reply
        if not self.trying and not self._call_next():
            self._found.on_nobody(self._failure)


def _rank(reply: SipReply) -> int:
    """Which failure of several counts: a 6xx, for everybody it names, before the lowest class; the later of two alike (RFC 3261 §16.7)."""
    return 0 if reply.code >= 600 else reply.code // 100
