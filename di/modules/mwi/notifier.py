# SPDX-License-Identifier: GPL-2.0-or-later
"""Serves phones that subscribe to message-summary themselves: 200, a NOTIFY at once, one after each change, a last one at the end.

A subscription has one NOTIFY under way at a time, so that what was true last comes last. Who does not take one has lost the subscription
(RFC 6665 §4.2.2).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from di.calls.outside import OutsideReply, OutsideRequest
from di.calls.trust import trusts
from di.kernel.seldom import Seldom
from di.modules.mwi.options import Options
from di.modules.mwi.subscriptions import EVENT, MwiSubscription, SubscriptionBook
from di.modules.mwi.summary import CONTENT_TYPE, body
from di.sip.outside_records import OutsideReceived, OutsideReplied
from di.stores.messages import BoxChanged, BoxOwner, Messages, MsgCode

if TYPE_CHECKING:
    from di.kernel.ports import TimerHandle
    from di.server.services import Services

log = logging.getLogger(__name__)
_MS = 1_000_000
_UNREADABLE_MS = 10_000
"""A box that cannot be read now is told of later."""


class MwiNotifier:
    """The subscriptions, and what is under way in them."""

    def __init__(self, services: Services, messages: Messages, options: Options) -> None:
        self._sessions, self._clock, self._messages, self._options = services.sessions, services.clock, messages, options
        self._trusted = options.subscribers or services.core.trusted_peers
        self._book = SubscriptionBook(options.subscribe_least, options.subscribe_most, options.subscriptions)
        self._under_way: set[int] = set()
        self._again: set[int] = set()
        self._gathering: set[BoxOwner] = set()
        self._timer: TimerHandle | None = None
        self._closed = False
        self._strangers = Seldom()

    def __len__(self) -> int:
        return len(self._book)

    def on_subscribe(self, request: OutsideReceived) -> OutsideReply:
        """A SUBSCRIBE came."""
        source = f"{request.source_ip}:{request.source_port}"
        if not trusts(self._trusted, request.source_ip):
            more = self._strangers.line(self._clock.now_ns())
            if more is not None:
                where = request.request_uri
                log.warning("mwi: SUBSCRIBE %s from %s: it is none of subscribers (docs/mwi.md)%s", where, source, more)
            return OutsideReply(403, "Forbidden")
        now_ns = self._clock.now_ns()
        taken = self._book.take(request, self._options.domain, now_ns)
        if isinstance(taken, OutsideReply):
            log.info("mwi: SUBSCRIBE %s from %s: %d %s", request.request_uri, source, taken.code, taken.reason)
            return taken
        self._tell(taken)
        self._set_timer()
        # RFC 6665 §8.3.1: 202 is for those of RFC 3265 only
        return OutsideReply(200, "OK", (f"Expires: {taken.left_s(now_ns)}", f"Allow-Events: {EVENT}"))

    def on_changed(self, change: BoxChanged) -> None:
        """A box has changed: its subscribers are told in a moment, of all that has happened till then."""
        owner = change.owner
        if owner not in self._gathering and self._book.of(owner):
            self._gathering.add(owner)
            self._clock.call_later(self._options.gather_ms * _MS, lambda: self._gathered(owner))

    def _gathered(self, owner: BoxOwner) -> None:
        self._gathering.discard(owner)
        for one in self._book.of(owner):
            self._tell(one)

    def _tell(self, one: MwiSubscription) -> None:
        if self._closed:
            return
        if one.number in self._under_way:
            self._again.add(one.number)
        else:
            self._under_way.add(one.number)
            self._sessions.spawn(self._count_and_tell(one))

    async def _count_and_tell(self, one: MwiSubscription) -> None:
        box = await self._messages.messages(one.owner)
        left_s = one.left_s(self._clock.now_ns())
        if self._closed:
            return
        if box.code is MsgCode.STORAGE and left_s:
            self._under_way.discard(one.number)
            self._clock.call_later(_UNREADABLE_MS * _MS, lambda: self._tell(one) if self._book.find(one.number) is one else None)
            return
        one.cseq += 1
        state = f"active;expires={left_s}" if left_s else "terminated;reason=timeout"
        request = OutsideRequest(
            "NOTIFY",
            one.target,
            one.local,
            one.remote,
            (f"Event: {EVENT}", f"Subscription-State: {state}"),
            "" if box.code is MsgCode.STORAGE else CONTENT_TYPE,
            b"" if box.code is MsgCode.STORAGE else body(one.owner, box.new, box.read),
            call_id=one.call_id,
            cseq=one.cseq,
            from_tag=one.local_tag,
            route=one.route,
        )
        problem = self._sessions.outside.send(request, lambda reply: self._told(one, reply, over=not left_s))
        if problem:
            self._told(one, OutsideReplied(0, 400, problem), over=not left_s)

    def _told(self, one: MwiSubscription, reply: OutsideReplied, *, over: bool) -> None:
        self._under_way.discard(one.number)
        again = one.number in self._again
        self._again.discard(one.number)
        one.cseq = max(one.cseq, reply.cseq)
        if reply.code >= 300 and self._sessions.sip_is_up:
            log.warning(
                "mwi: the subscription of %s to %s is over: its NOTIFY got %d %s", one.target, one.owner, reply.code, reply.reason
            )
            over = True
        elif over and one.left_s(self._clock.now_ns()):
            over = False  # refreshed in the same moment
        if over:
            self._book.forget(one)
            self._set_timer()
        elif again:
            self._tell(one)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_ns = self._book.deadline_ns()
        if due_ns is not None and not self._closed:
            self._timer = self._clock.call_later(max(due_ns - self._clock.now_ns(), _MS), self._end_expired)

    def _end_expired(self) -> None:
        for one in self._book.expired(self._clock.now_ns()):
            if one.number not in self._under_way:
                self._tell(one)
        self._timer = self._clock.call_later(1000 * _MS, self._set_timer) if len(self._book) else None

    def close(self) -> None:
        """Tell of nothing more. Phones that refresh later hear 481, and subscribe anew."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
