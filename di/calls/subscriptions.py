# SPDX-License-Identifier: GPL-2.0-or-later
"""Subscriptions to other servers' events, outside calls (spec dsm.md §5.14): who asked for which, and where its news goes.

    create ─► Subscribe ─► SIP process ─► SubscriptionChanged ─► EventPosted("subscription") in the owner's queue

The SIP process refreshes; what to do when one is over is the owner's business. An owner that goes takes its subscriptions with it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from di.calls.events import EventPosted
from di.sip.headers import is_sip_uri
from di.sip.outside_records import RefreshSubscription, Subscribe, SubscriptionChanged, Unsubscribe
from di.sip.port import SipPort

log = logging.getLogger(__name__)

KIND = "subscription"
"""`EventPosted.kind` of what comes."""
DEFAULT_EXPIRES_S = 600
"""As SEMS asks for when nothing is said."""
_MAX_EXPIRES_S = 2**31 - 1
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")


@dataclass(frozen=True, slots=True)
class SubscriptionOrder:
    """What to subscribe to. `proxy`: a URI or `host[:port]`; `expires_s` 0: the default. `password` may be empty."""

    user: str
    domain: str
    from_user: str
    event: str
    password: str = ""
    proxy: str = ""
    accept: str = ""
    id: str = ""
    expires_s: int = 0


@dataclass(frozen=True, slots=True)
class _Known:
    number: int
    handle: str
    owner: str


class SubscriptionsHost(Protocol):
    """What this needs of `di.calls.sessions.Sessions`."""

    @property
    def sip(self) -> SipPort:
        """The way to the SIP process."""

    @property
    def sip_is_up(self) -> bool:
        """Whether anything can be sent."""

    def new_id(self) -> str:
        """A handle that nothing else has."""


class Subscriptions:
    """`post(queue, event)` brings news to an owner's queue, `default_hop()` is where requests go that name no proxy."""

    def __init__(
        self, sessions: SubscriptionsHost, post: Callable[[str, EventPosted], bool], default_hop: Callable[[], str]
    ) -> None:
        self._sessions = sessions
        self._post = post
        self._default_hop = default_hop
        self._by_handle: dict[str, _Known] = {}
        self._by_number: dict[int, _Known] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._by_handle)

    def create(self, order: SubscriptionOrder, owner: str) -> tuple[str, str]:
        """Subscribe for the queue `owner`. Returns the handle and "", or "" and why it cannot be."""
        if not self._sessions.sip_is_up:
            return "", "the SIP process is not up"
        command, reason = self._command(order)
        if command is None:
            return "", reason
        self._number += 1
        known = _Known(self._number, self._sessions.new_id(), owner)
        self._by_handle[known.handle] = self._by_number[known.number] = known
        self._sessions.sip.send(command)
        return known.handle, ""

    def refresh(self, handle: str, expires_s: int = 0) -> bool:
        """Refresh now. False when there is no such subscription."""
        known = self._by_handle.get(handle)
        if known is not None:
            self._sessions.sip.send(RefreshSubscription(known.number, min(max(expires_s, 0), _MAX_EXPIRES_S)))
        return known is not None

    def remove(self, handle: str) -> bool:
        """Unsubscribe; `terminated` follows. False when there is no such subscription."""
        known = self._by_handle.get(handle)
        if known is not None:
            self._sessions.sip.send(Unsubscribe(known.number))
        return known is not None

    def remove_all(self, owner: str) -> None:
        """The owner goes: nothing comes to its queue any more."""
        for known in [known for known in self._by_handle.values() if known.owner == owner]:
            self._forget(known)
            self._sessions.sip.send(Unsubscribe(known.number))

    def on_changed(self, record: SubscriptionChanged) -> None:
        """News from the SIP process."""
        known = self._by_number.get(record.subscription)
        if known is None:
            return
        if record.final:
            self._forget(known)
        body = record.body.decode("utf-8", "surrogateescape")
        params = {
            "status": record.state, "code": str(record.code), "reason": record.reason, "expires": str(record.expires_s),
            "has_body": "true" if body else "false", "handle": known.handle,
        }  # fmt: skip
        if record.retry_after_s:
            params["retry_after"] = str(record.retry_after_s)
        if body:
            params["content_type"] = record.content_type
        self._post(known.owner, EventPosted(params, KIND, body if body else None))

    def sip_lost(self, reason: str) -> None:
        """The SIP process is gone, and every subscription with it."""
        for known in list(self._by_number.values()):
            self.on_changed(SubscriptionChanged(known.number, "failed", 503, reason, final=True))

    def _forget(self, known: _Known) -> None:
        del self._by_handle[known.handle], self._by_number[known.number]

    def _command(self, order: SubscriptionOrder) -> tuple[Subscribe | None, str]:
        target, ours = f"sip:{order.user}@{order.domain}", f"sip:{order.from_user}@{order.domain}"
        missing = [name for name in ("user", "domain", "from_user", "event") if not getattr(order, name)]
        if missing:
            return None, f"{', '.join(missing)} must be given"
        for uri in (target, ours):
            if not is_sip_uri(uri) or "?" in uri:
                return None, f"{uri!r} is no SIP URI"
        if not _TOKEN.fullmatch(order.event):
            return None, f"event {order.event!r} is no event package"
        if order.id and not _TOKEN.fullmatch(order.id):
            return None, f"id {order.id!r} must be a token"
        if any(ord(character) < 32 or character == "\x7f" for character in order.accept):
            return None, "accept must not hold control characters"
        hop = order.proxy or self._default_hop()
        if hop and not is_sip_uri(hop):
            hop = f"sip:{hop}"
        if hop and (not is_sip_uri(hop) or "?" in hop):
            return None, f"proxy {order.proxy!r} is no SIP URI"
        if hop and ";lr" not in hop:
            hop += ";lr"
        event = f"{order.event};id={order.id}" if order.id else order.event
        expires_s = min(order.expires_s, _MAX_EXPIRES_S) if order.expires_s > 0 else DEFAULT_EXPIRES_S
        return Subscribe(
            self._number + 1, target, f"<{ours}>", f"<{target}>", event, expires_s, order.accept, (), hop, "",
            order.from_user if order.password else "", order.password,
        ), ""  # fmt: skip
