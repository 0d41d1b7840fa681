# SPDX-License-Identifier: GPL-2.0-or-later
"""A call of `fake_sip.FakeSip`: what the hub has done to it, and the steps that a phone can take in it.

The steps are those of `sip_peer.PeerCall`. A re-INVITE of the hub's waits for `take_offer` unless the phone is told to take each by
itself (`FakePeer.takes_offers`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from di.sip.records import (
    Answer,
    CallConfirmed,
    CallEnded,
    CallIdentified,
    CallProgressed,
    Dial,
    Hangup,
    MediaNegotiated,
    Reinvite,
    ReplyReceived,
    RequestReceived,
    SendReply,
    SendRequest,
    SessionTimedOut,
)
from interfaces.sip.message import Message, parse

if TYPE_CHECKING:
    from tests.support.fake_sip import FakeSip

DIRECTIONS = {"sendrecv": (True, True), "sendonly": (False, True), "recvonly": (True, False), "inactive": (False, False)}
"""A peer's direction → what we then do (send, receive)."""
PATIENCE_S = 5
_LAST_WORDS = "SIP/2.0 487 Request Terminated\r\n\r\n"


def message_of(code: int, reason: str, lines: tuple[str, ...], content_type: str, body: bytes) -> Message:
    """The reply that a phone would see of a SendReply or ReplyOutside."""
    kind = f"Content-Type: {content_type}\r\n" if body else ""
    head = f"SIP/2.0 {code} {reason}\r\n" + "".join(f"{line}\r\n" for line in lines) + kind
    return parse(head + "\r\n" + body.decode("utf-8", "surrogateescape"))


def header_pairs(lines: str) -> tuple[tuple[str, str], ...]:
    """Header lines as the records carry what was received."""
    return parse(f"SIP/2.0 200 OK\r\n{lines}\r\n").headers


class FakeCall:
    """Both ends of a call: what the hub has done to it, and the steps a phone can take."""

    def __init__(self, sip: FakeSip, number: int, outgoing: bool, offer: bool = True) -> None:
        self.sip, self.number, self.outgoing, self.offer = sip, number, outgoing, offer
        self.codes: asyncio.Queue[int] = asyncio.Queue()
        self.seen_codes: list[int] = []
        self.arrived: asyncio.Queue[object] = asyncio.Queue()
        self.offers: deque[Reinvite] = deque()
        """Re-INVITEs of the hub's: the first is under way, the others wait for it."""
        self.offered: asyncio.Queue[Reinvite] = asyncio.Queue()
        self.remote_tag: str | None = None
        self.requests: set[int] = set()
        self.negotiated = self.answered = self.confirmed = self.ended = False
        self.waiting: dict[int, asyncio.Queue[Message]] = {}
        self.media: tuple[str, int] = ("", 0)
        self.dialled: Dial | None = None

    # ------------------------------------------------------------------------------------------------- towards the hub
    def identify(self, remote_tag: str = "peer-tag") -> None:
        if remote_tag != self.remote_tag:
            self.remote_tag = remote_tag
            self.sip.emit(CallIdentified(self.number, f"call{self.number}@fake", f"tag{self.number}", remote_tag))

    def negotiate(self, send: bool = True, receive: bool = True, codec: str = "PCMU") -> None:
        self.negotiated = True
        self.sip.emit(MediaNegotiated(self.number, "127.0.0.1", 40000, codec, 8000, 1, 0, 0, 20, 101, 101, send, receive))

    def end(self, code: int, reason: str, by: str) -> None:
        if self.ended:
            return
        self.ended = True
        for queue in self.waiting.values():
            queue.put_nowait(parse(_LAST_WORDS))
        for token in (*self.requests, *(offer.token for offer in self.offers)):
            if token:
                self.sip.emit(ReplyReceived(self.number, token, 481, "Call/Transaction Does Not Exist"))
        self.sip.calls.pop(self.number, None)
        self.sip.emit(CallEnded(self.number, code, reason, by))

    def tell(self, code: int) -> None:
        self.seen_codes.append(code)
        self.codes.put_nowait(code)

    # --------------------------------------------------------------------------------------------------- a phone's steps
    async def final(self) -> int:
        """The code of the final reply."""
        return await self.next(*range(200, 700))

    async def next(self, *wanted: int) -> int:
        """The next of these replies."""
        async with asyncio.timeout(PATIENCE_S):
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

    async def request(self, method: str, kind: str = "text/plain", body: str = "", headers: str = "") -> int:
        """Send a request inside and wait for its reply's code."""
        return (await self.exchange(method, kind, body, headers)).code

    async def exchange(self, method: str, kind: str = "text/plain", body: str = "", headers: str = "") -> Message:
        """Send a request inside and wait for its reply. `headers`: further lines, each with its line end."""
        reply: asyncio.Queue[Message] = asyncio.Queue()
        self.waiting[self._arrives(method, kind, body, headers, True)] = reply
        async with asyncio.timeout(PATIENCE_S):
            return await reply.get()

    async def reoffer(self, direction: str, headers: str = "") -> int:
        """re-INVITE with a direction."""
        return self._offer("INVITE", direction, headers)

    async def update(self, direction: str = "", headers: str = "") -> int:
        """UPDATE, without a description when no direction is given."""
        return self._offer("UPDATE", direction, headers)

    def _offer(self, method: str, direction: str, headers: str) -> int:
        kind, body = ("application/sdp", f"v=0\r\na={direction}\r\n") if direction else ("", "")
        self._arrives(method, kind, body, headers, False)
        if direction:
            self.negotiate(*DIRECTIONS[direction])
        return 200

    def _arrives(self, method: str, kind: str, body: str, headers: str, wanted: bool) -> int:
        token = self.sip.next_token() if wanted else 0
        found = header_pairs(headers)
        self.sip.emit(RequestReceived(self.number, token, method, found, kind if body else "", body.encode(), wanted))
        return token

    async def take_offer(self, code: int = 200, direction: str = "sendrecv") -> str:
        """Wait for the hub's re-INVITE and answer it. Returns the direction that it offered, empty for one without an offer."""
        async with asyncio.timeout(PATIENCE_S):
            reinvite = await self.offered.get()
        self.answer_offer(code, direction)
        return reinvite.direction if reinvite.offer else ""

    def answer_offer(self, code: int = 200, direction: str = "sendrecv") -> None:
        """Answer the re-INVITE that is under way; after a 491 it comes again."""
        reinvite = self.offers[0]
        if code == 491:
            self.offered.put_nowait(reinvite)
            return
        self.offers.popleft()
        if code < 300:
            wished, theirs = DIRECTIONS[reinvite.direction], DIRECTIONS[direction]
            # ours as we offered it (send, receive), cut to what the peer takes and gives
            codec = reinvite.payloads[0].partition("/")[0] if reinvite.payloads else "PCMU"
            self.negotiate(wished[1] and theirs[0], wished[0] and theirs[1], codec)
        if reinvite.token:
            self.sip.emit(ReplyReceived(self.number, reinvite.token, code, "Reply"))
        if self.offers:
            self._offer_out(self.offers[0])

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
        async with asyncio.timeout(PATIENCE_S):
            while await self.arrived.get() != wanted:
                pass

    def ring(self, tag: str = "peer-tag") -> None:
        """180, of the branch that `tag` names."""
        self.identify(tag)
        self.sip.emit(CallProgressed(self.number, 180, "Reply"))

    async def accept(self, tag: str = "peer-tag") -> None:
        """Answer a dialled call, in the branch that `tag` names."""
        self.answered = True
        self.identify(tag)
        self.negotiate()
        self.confirmed = True
        self.sip.emit(CallConfirmed(self.number, 200, "Reply"))

    async def refuse(self, code: int) -> None:
        """Refuse a dialled call."""
        self.end(code, "Reply", "remote")

    async def arrival(self, method: str) -> SendRequest:
        """Wait for a request inside."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                request = await self.arrived.get()
                if isinstance(request, SendRequest) and request.method == method:
                    return request

    async def answer_request(self, method: str, code: int) -> None:
        """Wait for a request inside and answer it."""
        request = await self.arrival(method)
        self.requests.discard(request.token)
        self.sip.emit(ReplyReceived(self.number, request.token, code, "Reply"))

    # ---------------------------------------------------------------------------------------------------- the hub's steps
    def take(self, command: Answer | Hangup | Reinvite | SendRequest | SendReply) -> None:
        """Carry out a command."""
        match command:
            case Answer():
                self._answer(command)
            case Hangup():
                self._hang_up(command)
            case Reinvite():
                self._reinvite(command)
            case SendRequest():
                self.requests.add(command.token)
                self.arrived.put_nowait(command)
            case SendReply():
                waiting = self.waiting.pop(command.token, None)
                if waiting is not None:
                    waiting.put_nowait(
                        message_of(command.code, command.reason, command.headers, command.content_type, command.body)
                    )

    def _reinvite(self, command: Reinvite) -> None:
        if not self.confirmed:
            if command.token:
                self.sip.emit(ReplyReceived(self.number, command.token, 500, "no confirmed dialog"))
            return
        self.offers.append(command)
        if len(self.offers) == 1:
            self._offer_out(command)

    def _offer_out(self, command: Reinvite) -> None:
        self.offered.put_nowait(command)
        if self.sip.peer.takes_offers:
            self.answer_offer()

    def _answer(self, command: Answer) -> None:
        if self.outgoing or self.answered or command.code == 100:
            return
        if command.code >= 300:
            self.tell(command.code)
            self.end(command.code, command.reason, "local")
            return
        self.identify()
        if command.media_port:
            self.media = (command.media_ip, command.media_port)
            if self.offer and not self.negotiated:
                self.negotiate()
        self.answered = command.code >= 200
        self.tell(command.code if command.code >= 200 or command.media_port else 180)

    def _hang_up(self, command: Hangup) -> None:
        if self.confirmed or self.answered:
            self.arrived.put_nowait("BYE")
            self.end(200, command.reason, "local")
        elif self.outgoing:
            self.arrived.put_nowait("CANCEL")
            self.end(command.code, command.reason, "local")
        else:
            self.tell(command.code)
            self.end(command.code, command.reason, "local")
