# SPDX-License-Identifier: GPL-2.0-or-later
"""The SIP process in memory: takes the commands of `di.sip.records`, gives the same events, at once.

`FakeSip` is the hub's `di.sip.port.SipPort`; `FakeSip.peer` stands for the phones out there and takes the same steps as `sip_peer.UdpPeer`,
so one suite (tests/peers/test_sip_contract*.py) holds the fake and the real process to the same behaviour. Commands are carried
out synchronously: events come before `send` returns. Calls are in `fake_call`, what is outside calls in `fake_outside`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from di.sip.outside_records import (
    OutsideReceived,
    OutsideReplied,
    RefreshSubscription,
    ReplyOutside,
    SendOutside,
    Subscribe,
    TakeOutside,
    Unsubscribe,
)
from di.sip.records import (
    Answer,
    CallOffered,
    Dial,
    Hangup,
    Listen,
    Listening,
    Reinvite,
    SendReply,
    SendRequest,
    SetOptionsReply,
    Stop,
)
from interfaces.sip.message import Message
from tests.support.fake_call import PATIENCE_S, FakeCall, header_pairs, message_of
from tests.support.fake_outside import FakeOutside, FakeSubscription

UNTAKEN = {"REFER": 488, "NOTIFY": 481, "BYE": 481, "PRACK": 481, "UPDATE": 481}
"""What a request outside dialogs is refused with, when it is not 501 (spec core.md §5, §6.4)."""


class FakePeer:
    """The phones. With `takes_offers` they accept each re-INVITE at once, else `FakeCall.take_offer` does."""

    def __init__(self, sip: FakeSip) -> None:
        self._sip = sip
        self.takes_offers = False
        self.incoming: asyncio.Queue[FakeCall] = asyncio.Queue()
        self.subscribed: asyncio.Queue[FakeSubscription] = asyncio.Queue()
        self.outside: asyncio.Queue[FakeOutside] = asyncio.Queue()

    def invite(self, user: str = "test", offer: bool = True, headers: str = "", interval_s: int = 0) -> FakeCall:
        """Place a call; with `interval_s` one that we promise to refresh. `headers`: further lines, each with its line end."""
        return self._sip.offer(user, offer, header_pairs(headers))

    async def take_invite(self) -> FakeCall:
        """The next call that the hub dials."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.incoming.get()

    async def take_subscribe(self) -> FakeSubscription:
        """The next subscription that the hub begins."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.subscribed.get()

    async def take_outside(self) -> FakeOutside:
        """The next request outside dialogs that the hub sends."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.outside.get()

    async def exchange(
        self, method: str, user: str = "test", kind: str = "text/plain", body: str = "", headers: str = ""
    ) -> Message:
        """Send a request outside dialogs and wait for its final reply."""
        reply = self._sip.request(method, user, header_pairs(headers), kind if body else "", body.encode())
        async with asyncio.timeout(PATIENCE_S):
            return await reply.get()

    def close(self) -> None:
        """Nothing to close."""


class FakeSip:
    """A `di.sip.port.SipPort`. `commands` keeps what was sent; `on_event` gets the events."""

    def __init__(self, on_event: Callable[[object], None]) -> None:
        self.emit = on_event
        self.commands: list[object] = []
        self.calls: dict[int, FakeCall] = {}
        self.subscriptions: dict[int, FakeSubscription] = {}
        self.peer = FakePeer(self)
        self.options = SetOptionsReply(200, "OK")
        self.taken: frozenset[str] = frozenset()
        self._waiting: dict[int, asyncio.Queue[Message]] = {}
        self._number = -1
        self._token = 0

    def next_token(self) -> int:
        """For RequestReceived and OutsideReceived."""
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

    def request(
        self, method: str, user: str, headers: tuple[tuple[str, str], ...] = (), kind: str = "", body: bytes = b""
    ) -> asyncio.Queue[Message]:
        """A request outside dialogs arrives; its reply comes into the queue."""
        reply: asyncio.Queue[Message] = asyncio.Queue()
        if method in self.taken:
            token = self.next_token()
            self._waiting[token] = reply
            self.emit(
                OutsideReceived(
                    token, method, f"sip:{user}@127.0.0.1", "<sip:peer@127.0.0.1>;tag=peer-tag", f"<sip:{user}@127.0.0.1>",
                    f"outside{token}@fake", "127.0.0.1", 5060, headers, kind, body,
                )
            )  # fmt: skip
        elif method == "OPTIONS":
            reply.put_nowait(message_of(self.options.code, self.options.reason, (), "", b""))
        else:
            reply.put_nowait(message_of(UNTAKEN.get(method, 501), "Refused", ("Allow: INVITE",), "", b""))
        return reply

    def send(self, command: object) -> None:
        """Carry out a command at once."""
        self.commands.append(command)
        match command:
            case Listen():
                places = (("udp", command.ip, command.port), ("tcp", command.ip, command.port))
                self.emit(Listening(places, command.max_calls, "fake"))
            case SetOptionsReply():
                self.options = command
            case Dial():
                self._dial(command)
            case Subscribe():
                subscription = self.subscriptions[command.subscription] = FakeSubscription(self, command)
                self.peer.subscribed.put_nowait(subscription)
            case RefreshSubscription() | Unsubscribe():
                if command.subscription in self.subscriptions:
                    self.subscriptions[command.subscription].take(command)
            case TakeOutside():
                self.taken = frozenset(command.methods)
            case SendOutside():
                self._send_outside(command)
            case ReplyOutside():
                waiting = self._waiting.pop(command.token, None)
                if waiting is not None:
                    waiting.put_nowait(
                        message_of(command.code, command.reason, command.headers, command.content_type, command.body)
                    )
            case Stop():
                for call in list(self.calls.values()):
                    call.take(Hangup(call.number, 503, "Service Unavailable"))
            case Answer() | Hangup() | Reinvite() | SendRequest() | SendReply():
                if command.call in self.calls:
                    self.calls[command.call].take(command)

    def _dial(self, command: Dial) -> None:
        call = self.calls[command.call] = FakeCall(self, command.call, True)
        call.dialled = command
        call.identify("")
        self.peer.incoming.put_nowait(call)

    def _send_outside(self, command: SendOutside) -> None:
        if not command.request_uri.startswith(("sip:", "sips:")):
            self.emit(OutsideReplied(command.token, 500, "no such address"))
            return
        self.peer.outside.put_nowait(FakeOutside(self, command))
