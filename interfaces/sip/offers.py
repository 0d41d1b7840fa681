# SPDX-License-Identifier: GPL-2.0-or-later
"""The re-INVITEs of one call, one under way at a time (RFC 3261 §14.1). Pure: time and randomness come from outside.

    add ─► due ─► the call sends it ─► sent ─► answered ─► ReplyReceived, the next is due
                                    └► busy: another transaction of the dialog is not over, again soon
                                      answered(491): again after a random wait, a few times

Each re-INVITE with a token gets exactly one ReplyReceived, whatever happens.
"""

from __future__ import annotations

from collections import deque
from random import Random

from di.sip.records import Reinvite, ReplyReceived
from interfaces.sip.message import Message
from interfaces.sip.sdp.crypto import without_keys

_MS = 1_000_000
_BUSY_AGAIN_NS = 50 * _MS
_BUSY_PATIENCE_NS = 32_000 * _MS
"""64·T1: by then every other transaction is over (RFC 3261 §17)."""
MOST_ATTEMPTS = 5
"""How often one is sent when each time a 491 comes."""
_OWNER_WAIT, _OTHER_WAIT = (210, 400), (0, 200)
"""Units of 10 ms that who made the Call-ID waits after a 491, and the other one (RFC 3261 §14.1)."""


class Offers:
    """`owner`: whether the Call-ID is ours."""

    def __init__(self, call: int, owner: bool, random: Random) -> None:
        self._call, self._owner, self._random = call, owner, random
        self._queue: deque[Reinvite] = deque()
        self._attempts = 0
        self._busy_until_ns = self._due_ns = 0
        self.under_way = False

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, wish: Reinvite) -> None:
        """One more, after those that are there."""
        self._queue.append(wish)

    def due(self, now_ns: int) -> Reinvite | None:
        """The one to be sent now. `sent`, `busy` or `answered` says what became of it."""
        return self._queue[0] if self._queue and not self.under_way and now_ns >= self._due_ns else None

    def sent(self) -> None:
        """It is on its way; `busy` when it was not taken."""
        self.under_way = True

    def busy(self, now_ns: int) -> ReplyReceived | None:
        """It could not leave yet. The reply when that has been so for too long."""
        self.under_way = False
        self._busy_until_ns = self._busy_until_ns or now_ns + _BUSY_PATIENCE_NS
        if now_ns >= self._busy_until_ns:
            return self._over(491, "Request Pending", None)
        self._due_ns = now_ns + _BUSY_AGAIN_NS
        return None

    def answered(self, code: int, reason: str, message: Message | None, now_ns: int) -> ReplyReceived | None:
        """Its final reply, or the lack of one. None when it goes out again, and when nobody wants to know."""
        self._attempts += 1
        if code == 491 and self._attempts < MOST_ATTEMPTS:
            self.under_way = False
            self._busy_until_ns = 0
            self._due_ns = now_ns + self._random.randint(*(_OWNER_WAIT if self._owner else _OTHER_WAIT)) * 10 * _MS
            return None
        return self._over(code, reason, message)

    def abandon(self, code: int, reason: str) -> list[ReplyReceived]:
        """The call is over: the replies that are still owed."""
        replies = []
        while self._queue:
            reply = self._over(code, reason, None)
            replies += [reply] if reply is not None else []
        return replies

    def _over(self, code: int, reason: str, message: Message | None) -> ReplyReceived | None:
        wish = self._queue.popleft()
        self.under_way = False
        self._attempts = self._busy_until_ns = self._due_ns = 0
        if not wish.token:
            return None
        if message is None:
            return ReplyReceived(self._call, wish.token, code, reason)
        return ReplyReceived(self._call, wish.token, message.code, message.reason, message.headers, without_keys(message.body))
