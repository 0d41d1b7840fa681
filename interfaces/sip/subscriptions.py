# SPDX-License-Identifier: GPL-2.0-or-later
"""Every subscription of the SIP process: commands and NOTIFYs find theirs, requests go out, time is looked at once a second."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable

from di.sip.outside_records import RefreshSubscription, Subscribe, Unsubscribe
from di.sip.records import Event
from interfaces.sip.exchange import CannotSend, Done, OutRequest
from interfaces.sip.message import Message
from interfaces.sip.subscription import Reply, Subscription

log = logging.getLogger(__name__)


class SubscriptionUsages:
    """`send` gives a request to pjsip (`Exchanges.send`), `now_ns` is a monotonic clock."""

    def __init__(
        self, emit: Callable[[Event], None], send: Callable[[OutRequest, Done], None], now_ns: Callable[[], int]
    ) -> None:
        self._emit = emit
        self._send = send
        self._now_ns = now_ns
        self._by_number: dict[int, Subscription] = {}
        self._by_dialog: dict[tuple[str, str], Subscription] = {}

    def handle(self, command: Subscribe | RefreshSubscription | Unsubscribe) -> None:
        """Carry out a command; one for a subscription that is over does nothing."""
        if isinstance(command, Subscribe):
            self._begin(command)
            return
        subscription = self._by_number.get(command.subscription)
        if subscription is None:
            log.debug("%s for subscription %d came after its end", type(command).__name__, command.subscription)
        elif isinstance(command, RefreshSubscription):
            subscription.refresh(command.expires_s, self._now_ns())
            self._work(subscription)
        else:
            subscription.unsubscribe(self._now_ns())
            self._work(subscription)

    def _begin(self, command: Subscribe) -> None:
        if command.subscription in self._by_number:
            log.error("subscription %d is there already", command.subscription)
            return
        call_id, tag = secrets.token_hex(16), secrets.token_hex(8)
        subscription = Subscription(command, call_id, tag, lambda: secrets.token_hex(8))
        self._by_number[command.subscription] = self._by_dialog[(call_id, tag)] = subscription
        subscription.start(self._now_ns())
        self._work(subscription)

    def notified(self, call_id: str, tag: str, message: Message) -> Reply | None:
        """The answer to a NOTIFY; None when it belongs to no subscription."""
        subscription = self._by_dialog.get((call_id, tag))
        if subscription is None:
            return None
        reply = subscription.handle_notify(message, self._now_ns())
        self._work(subscription)
        return reply

    def second_passed(self) -> None:
        """Refresh what is due, end what has run out, forget what is over."""
        now_ns = self._now_ns()
        for number, subscription in list(self._by_number.items()):
            deadline_ns = subscription.deadline_ns()
            if deadline_ns is None or now_ns < deadline_ns:
                continue
            subscription.handle_timeout(now_ns)
            self._work(subscription)
            if subscription.forgotten(now_ns):
                del self._by_number[number], self._by_dialog[(subscription.call_id, subscription.local_tag)]

    def end_all(self) -> None:
        """Say to every notifier that we leave."""
        for subscription in list(self._by_number.values()):
            subscription.unsubscribe(self._now_ns())
            self._work(subscription)

    def busy(self) -> bool:
        """Whether replies are still to come."""
        return any(subscription.in_flight for subscription in self._by_number.values())

    def _work(self, subscription: Subscription) -> None:
        """Do what a subscription wants done."""
        while subscription.requests:
            request = subscription.requests.popleft()
            try:
                self._send(request, lambda *answer: self._answered(subscription, *answer))
            except CannotSend as error:
                log.error("subscription %d: %s", subscription.number, error)
                self._answered(subscription, 500, str(error), None, "")
        while subscription.news:
            self._emit(subscription.news.popleft())

    def _answered(self, subscription: Subscription, code: int, reason: str, message: Message | None, source: str) -> None:
        subscription.handle_reply(code, reason, message, source, self._now_ns())
        self._work(subscription)
