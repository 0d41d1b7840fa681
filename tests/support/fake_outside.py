# SPDX-License-Identifier: GPL-2.0-or-later
"""What `fake_sip.FakeSip` holds outside calls: subscriptions, and requests of the hub's that wait for their reply."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from di.sip.outside_records import OutsideReplied, RefreshSubscription, SendOutside, Subscribe, SubscriptionChanged, Unsubscribe
from tests.support.fake_call import header_pairs

if TYPE_CHECKING:
    from tests.support.fake_sip import FakeSip


class FakeOutside:
    """A request outside dialogs that the hub has sent (`FakePeer.take_outside`)."""

    def __init__(self, sip: FakeSip, command: SendOutside, authorized: bool = False) -> None:
        self._sip, self._command = sip, command
        self.method, self.body = command.method, command.body
        self.authorized = authorized
        """Whether it carries credentials: a second time after a challenge."""

    def answer(self, code: int, headers: str = "", body: str = "") -> None:
        """Answer it; a challenge brings it again when the hub gave a password. `headers`: lines, each with its line end."""
        command = self._command
        if code in (401, 407) and command.username and not self.authorized:
            self._sip.peer.outside.put_nowait(FakeOutside(self._sip, command, True))
            return
        found = header_pairs(headers)
        kind = next((value for name, value in found if name.lower() == "content-type"), "")
        contact = f"sip:{command.contact_user}@127.0.0.1:5060" if command.contact_user else ""
        self._sip.emit(
            OutsideReplied(command.token, code, "Reply", found, kind, body.encode(), "127.0.0.1", command.cseq or 1, contact)
        )


class FakeSubscription:
    """Both ends of a subscription: what the hub has done to it, and the steps of a notifier."""

    def __init__(self, sip: FakeSip, wish: Subscribe) -> None:
        self.sip, self.wish, self.event = sip, wish, wish.event
        self.expires_s = self.asked_s = wish.expires_s
        self.subscribes: asyncio.Queue[int] = asyncio.Queue()
        self.ending = self.over = self.active = False

    def take(self, command: RefreshSubscription | Unsubscribe) -> None:
        """A further SUBSCRIBE leaves."""
        if self.over or self.ending:
            return
        self.ending = isinstance(command, Unsubscribe)
        if isinstance(command, RefreshSubscription):
            self.expires_s = command.expires_s or self.expires_s
        if self.active:
            self.asked_s = 0 if self.ending else self.expires_s
            self.subscribes.put_nowait(self.asked_s)

    def tell(self, state: str, final: bool = False, **fields: object) -> None:
        self.over = final
        if final:
            self.sip.subscriptions.pop(self.wish.subscription, None)
        self.sip.emit(SubscriptionChanged(self.wish.subscription, state, final=final, **fields))  # type: ignore[arg-type]

    # ------------------------------------------------------------------------------------------------- a notifier's steps
    def answer(self, code: int, headers: str = "") -> None:
        """Answer the last SUBSCRIBE."""
        if code == 423:
            self.asked_s = int(headers.split(":")[1])
            self.subscribes.put_nowait(self.asked_s)
        elif code >= 300 and not self.over:
            self.tell("terminated" if self.ending else "failed", True, code=code, reason="Reply")

    async def next_subscribe(self) -> int:
        """Wait for a further SUBSCRIBE; how long it wants."""
        async with asyncio.timeout(30):
            return await self.subscribes.get()

    async def notify(self, state: str, kind: str = "text/plain", body: str = "", event: str = "", cseq: int = 0) -> int:
        """Send a NOTIFY, the code of its answer."""
        if self.over:
            return 481
        if event and event != self.event:
            return 489
        word, *rest = state.split(";")
        parameters = dict(part.partition("=")[::2] for part in rest)
        told = {
            "reason": parameters.get("reason", ""), "retry_after_s": int(parameters.get("retry-after", 0)),
            "content_type": kind if body else "", "body": body.encode(),
        }  # fmt: skip
        if word == "terminated":
            self.tell(word, True, **told)
        elif self.ending:
            if not self.active:
                self.subscribes.put_nowait(0)
        else:
            self.tell(word, expires_s=int(parameters.get("expires", self.expires_s)), **told)
        self.active = True
        return 200
