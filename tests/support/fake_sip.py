# SPDX-License-Identifier: GPL-2.0-or-later
"""The SIP process in memory: takes the commands of `di.sip.records`, gives the same events, at once.

`FakeSip` is the hub's `SipPort`; `FakeSip.peer` stands for the phones out there and takes the same steps as `sip_peer.UdpPeer`,
so one suite (tests/peers/test_sip_contract.py) holds the fake and the real process to the same behaviour. Commands are carried
out synchronously: events come before `send` returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from di.sip.records import (
    Answer,
    CallConfirmed,
    CallEnded,
    CallIdentified,
    CallOffered,
    CallProgressed,
    Dial,
    Hangup,
    Listen,
    Listening,
    MediaNegotiated,
    RefreshSubscription,
    Reinvite,
    ReplyReceived,
    RequestReceived,
    SendReply,
    SendRequest,
    SessionTimedOut,
    SetOptionsReply,
    Stop,
    Subscribe,
    SubscriptionChanged,
    Unsubscribe,
)

DIRECTIONS = {"sendrecv": (True, True), "sendonly": (False, True), "recvonly": (True, False), "inactive": (False, False)}
"""A peer's direction → what we then do (send, receive)."""


class FakeCall:
    """Both ends of a call: what the hub has done to it, and the steps a phone can take."""

    def __init__(self, sip: FakeSip, number: int, outgoing: bool, offer: bool = True) -> None:
        self.sip, self.number, self.outgoing, self.offer = sip, number, outgoing, offer
        self.codes: asyncio.Queue[int] = asyncio.Queue()
        self.seen_codes: list[int] = []
        self.arrived: asyncio.Queue[object] = asyncio.Queue()
        self.identified: set[str] = set()
        self.negotiated = self.answered = self.confirmed = self.ended = False
        self.waiting: dict[int, asyncio.Queue[int]] = {}
        self.media: tuple[str, int] = ("", 0)
        self.dialled: Dial | None = None

    # ------------------------------------------------------------------------------------------------- towards the hub
    def identify(self, remote_tag: str = "peer-tag") -> None:
        if remote_tag not in self.identified:
            self.identified.add(remote_tag)
            self.sip.emit(CallIdentified(self.number, f"call{self.number}@fake", f"tag{self.number}", remote_tag))

    def negotiate(self, send: bool = True, receive: bool = True) -> None:
        self.negotiated = True
        self.sip.emit(MediaNegotiated(self.number, "127.0.0.1", 40000, "PCMU", 8000, 1, 0, 0, 20, 101, 101, send, receive))

    def end(self, code: int, reason: str, by: str) -> None:
        if self.ended:
            return
        self.ended = True
        for queue in self.waiting.values():
            queue.put_nowait(487)
        self.sip.calls.pop(self.number, None)
        self.sip.emit(CallEnded(self.number, code, reason, by))

    def tell(self, code: int) -> None:
        self.seen_codes.append(code)
        self.codes.put_nowait(code)

    # --------------------------------------------------------------------------------------------------- a phone's steps
    async def final(self) -> int:
        """The code of the final reply."""
        async with asyncio.timeout(5):
            while (code := await self.codes.get()) < 200:
                pass
        return code

    async def next(self, *wanted: int) -> int:
        """The next of these replies."""
        async with asyncio.timeout(5):
            while (code := await self.codes.get()) not in wanted:
                pass
        return code

    def ack(self, body: str = "") -> None:
        """Acknowledge a 2xx, with the answer when the server offered."""
        if self.confirmed or self.ended:
            return
        if not self.negotiated:
            self.negotiate()
        self.confirmed = True
        self.sip.emit(CallConfirmed(self.number, 200, "OK"))

    def cancel(self) -> None:
        """Take an unanswered INVITE back."""
        if not self.answered and not self.ended:
            self.tell(200)
            self.tell(487)
            self.end(487, "Request Terminated", "cancel")

    async def bye(self) -> int:
        """Hang up."""
        self.end(200, "BYE", "remote")
        return 200

    async def request(self, method: str, kind: str = "text/plain", body: str = "") -> int:
        """Send a request inside and wait for its reply."""
        if method == "OPTIONS":
            return self.sip.options.code
        token = self.sip.next_token()
        reply = self.waiting[token] = asyncio.Queue()
        self.sip.emit(RequestReceived(self.number, token, method, (), kind if body else "", body.encode(), True))
        async with asyncio.timeout(5):
            return await reply.get()

    async def reoffer(self, direction: str) -> int:
        """re-INVITE with a direction."""
        self.negotiate(*DIRECTIONS[direction])
        return 200

    def expire(self) -> None:
        """The session interval passes without a refresh of the phone's."""
        if self.confirmed and not self.ended:
            self.sip.emit(SessionTimedOut(self.number))

    async def taken_off(self) -> None:
        """Wait for the hub's hanging up."""
        await self._arrival("BYE")

    async def cancelled(self) -> None:
        """Wait for the hub's CANCEL."""
        await self._arrival("CANCEL")

    async def _arrival(self, wanted: str) -> None:
        async with asyncio.timeout(5):
            while await self.arrived.get() != wanted:
                pass

    def ring(self) -> None:
        """180."""
        self.identify()
        self.sip.emit(CallProgressed(self.number, 180, "Reply"))

    async def accept(self) -> None:
        """Answer a dialled call."""
        self.answered = True
        self.identify()
        self.negotiate()
        self.confirmed = True
        self.sip.emit(CallConfirmed(self.number, 200, "Reply"))

    async def refuse(self, code: int) -> None:
        """Refuse a dialled call."""
        self.end(code, "Reply", "remote")

    async def answer_request(self, method: str, code: int) -> None:
        """Wait for a request inside and answer it."""
        async with asyncio.timeout(5):
            while True:
                request = await self.arrived.get()
                if isinstance(request, SendRequest) and request.method == method:
                    break
        self.sip.emit(ReplyReceived(self.number, request.token, code, "Reply"))


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
        async with asyncio.timeout(5):
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


class FakePeer:
    """The phones."""

    def __init__(self, sip: FakeSip) -> None:
        self._sip = sip
        self.incoming: asyncio.Queue[FakeCall] = asyncio.Queue()
        self.subscribed: asyncio.Queue[FakeSubscription] = asyncio.Queue()

    def invite(
        self, user: str = "test", offer: bool = True, headers: tuple[tuple[str, str], ...] = (), interval_s: int = 0
    ) -> FakeCall:
        """Place a call; with `interval_s` one that we promise to refresh."""
        return self._sip.offer(user, offer, headers)

    async def take_invite(self) -> FakeCall:
        """The next call that the hub dials."""
        async with asyncio.timeout(5):
            return await self.incoming.get()

    async def take_subscribe(self) -> FakeSubscription:
        """The next subscription that the hub begins."""
        async with asyncio.timeout(5):
            return await self.subscribed.get()

    def close(self) -> None:
        """Nothing to close."""


class FakeSip:
    """A `SipPort`. `commands` keeps what was sent; `on_event` gets the events."""

    def __init__(self, on_event: Callable[[object], None]) -> None:
        self.emit = on_event
        self.commands: list[object] = []
        self.calls: dict[int, FakeCall] = {}
        self.subscriptions: dict[int, FakeSubscription] = {}
        self.peer = FakePeer(self)
        self.options = SetOptionsReply(200, "OK")
        self._number = -1
        self._token = 0

    def next_token(self) -> int:
        """For RequestReceived."""
        self._token += 1
        return self._token

    def offer(self, user: str, offer: bool = True, headers: tuple[tuple[str, str], ...] = ()) -> FakeCall:
        """An INVITE arrives."""
        self._number += 2
        call = self.calls[self._number] = FakeCall(self, self._number, False, offer)
        self.emit(
            CallOffered(
                self._number, f"sip:{user}@127.0.0.1", "<sip:peer@127.0.0.1>;tag=peer-tag", f"<sip:{user}@127.0.0.1>",
                f"call{self._number}@fake", "peer-tag", "sip:peer@127.0.0.1", "127.0.0.1", 5060, headers, b"", offer,
                "127.0.0.1" if offer else "", 40000 if offer else 0,
            )
        )  # fmt: skip
        return call

    def send(self, command: object) -> None:
        """Carry out a command at once."""
        self.commands.append(command)
        if isinstance(command, Listen):
            self.emit(
                Listening((("udp", command.ip, command.port), ("tcp", command.ip, command.port)), command.max_calls, "fake")
            )
        elif isinstance(command, SetOptionsReply):
            self.options = command
        elif isinstance(command, Dial):
            call = self.calls[command.call] = FakeCall(self, command.call, True)
            call.dialled = command
            call.identify("")
            self.peer.incoming.put_nowait(call)
        elif isinstance(command, Subscribe):
            subscription = self.subscriptions[command.subscription] = FakeSubscription(self, command)
            self.peer.subscribed.put_nowait(subscription)
        elif isinstance(command, (RefreshSubscription, Unsubscribe)):
            if command.subscription in self.subscriptions:
                self.subscriptions[command.subscription].take(command)
        elif isinstance(command, Stop):
            for call in list(self.calls.values()):
                self._hang_up(call, Hangup(call.number, 503, "Service Unavailable"))
        elif isinstance(command, (Answer, Hangup, Reinvite, SendRequest, SendReply)) and command.call in self.calls:
            self._inside(self.calls[command.call], command)

    def _inside(self, call: FakeCall, command: Answer | Hangup | Reinvite | SendRequest | SendReply) -> None:
        match command:
            case Answer():
                self._answer(call, command)
            case Hangup():
                self._hang_up(call, command)
            case Reinvite():
                call.arrived.put_nowait("INVITE")
                call.negotiate(True, command.direction in ("sendrecv", "recvonly"))
            case SendRequest():
                call.arrived.put_nowait(command)
            case SendReply():
                waiting = call.waiting.pop(command.token, None)
                if waiting is not None:
                    waiting.put_nowait(command.code)

    def _answer(self, call: FakeCall, command: Answer) -> None:
        if call.outgoing or call.answered or command.code == 100:
            return
        if command.code >= 300:
            call.tell(command.code)
            call.end(command.code, command.reason, "local")
            return
        call.identify()
        if command.media_port:
            call.media = (command.media_ip, command.media_port)
            if call.offer and not call.negotiated:
                call.negotiate()
        call.answered = command.code >= 200
        call.tell(command.code if command.code >= 200 or command.media_port else 180)

    def _hang_up(self, call: FakeCall, command: Hangup) -> None:
        if call.confirmed or call.answered:
            call.arrived.put_nowait("BYE")
            call.end(200, command.reason, "local")
        elif call.outgoing:
            call.arrived.put_nowait("CANCEL")
            call.end(command.code, command.reason, "local")
        else:
            call.tell(command.code)
            call.end(command.code, command.reason, "local")
