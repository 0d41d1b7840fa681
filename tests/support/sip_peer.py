# SPDX-License-Identifier: GPL-2.0-or-later
"""A SIP phone of a few hundred bytes: UDP, one dialog a call, every step taken by the test.

The contract tests use it against the real SIP process; `fake_sip.FakeSip` offers the same steps in memory.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import cast

from interfaces.sip.message import Message, parse, tag_of, uri_of

_NUMBERS = itertools.count(1)


def description(port: int, direction: str = "sendrecv", codec: str = "PCMU/8000", payload_type: int = 0) -> str:
    """An offer or answer with one audio stream and telephone-event 101."""
    return (
        "v=0\r\no=peer 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {payload_type} 101\r\na=rtpmap:{payload_type} {codec}\r\n"
        f"a=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
    )


def direction_of(body: str) -> str:
    """The direction that a description says, sendrecv without one."""
    found = [line[2:] for line in body.splitlines() if line in ("a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive")]
    return found[0] if found else "sendrecv"


def _name(message: Message) -> tuple[str, ...]:
    """What a message and its retransmissions have in common, and no other."""
    return (message.start_line, *(message.header(name) for name in ("CSeq", "Via", "To")))


class PeerCall:
    """One dialog, ours (`invite`) or theirs (`take_invite`)."""

    def __init__(self, peer: UdpPeer, call_id: str, user: str) -> None:
        self.peer, self.call_id = peer, call_id
        self.user = user
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        self.local = f"<sip:peer@127.0.0.1>;tag=p{next(_NUMBERS)}"
        self.remote = f"<sip:{user}@127.0.0.1>"
        self.target = f"sip:{user}@127.0.0.1:{peer.server_port}"
        self.contact = f"<sip:peer@{peer.host}:{peer.port}>"
        self.cseq = 0
        self.branch = ""
        self._refused = False
        self.invite_message: Message | None = None
        self.acknowledged: Message | None = None
        """The ACK of the last re-INVITE that was taken."""
        self.seen: list[Message] = []
        self._replied: set[str] = set()
        """CSeq of the INVITEs that have our reply."""
        self.repeats: list[Message] = []
        """What came once more, because our reply or ACK took long on a busy machine: requests, final replies to INVITE."""
        self._taken: set[tuple[str, ...]] = set()
        self.max_forwards = 70

    async def next(self, *wanted: int | str, patience_s: float = 30.0) -> Message:
        """The next message that has one of these codes or methods; others are passed over (kept in `seen`), and `repeats`."""
        async with asyncio.timeout(patience_s):
            while True:
                message = await self.messages.get()
                if self.taken(message):
                    self.repeats.append(message)
                    continue
                self.seen.append(message)
                if (message.code or message.method) in wanted:
                    self.take(message)
                    tag = tag_of(message.header("To"))
                    if message.code and tag and self.cseq:
                        self.remote = message.header("To")
                    if message.code and message.header("Contact"):
                        self.target = uri_of(message.header("Contact"))
                    if message.code >= 200 and message.header("CSeq") == f"{self.cseq} INVITE":
                        self._refused = message.code >= 300
                    return message

    def taken(self, message: Message) -> bool:
        """Whether a message is a retransmission of one that the test has taken. (One that was passed over may come once more.)"""
        return _name(message) in self._taken

    def take(self, message: Message) -> None:
        """It has been taken. ACK comes with each 2xx of ours, other replies with each request."""
        if message.method not in ("", "ACK") or (message.code >= 200 and message.header("CSeq").endswith(" INVITE")):
            self._taken.add(_name(message))

    async def final(self) -> int:
        """The code of the final reply."""
        return (await self.next(*range(200, 700))).code

    async def _reply_to_last(self, method: str) -> Message:
        """The final reply to our last request; one that came for another, perhaps once more on a slow machine, is passed over."""
        while True:
            message = await self.next(*range(200, 700))
            if message.header("CSeq") == f"{self.cseq} {method}":
                return message

    async def next_offer(self) -> Message:
        """The server's next re-INVITE; one that it sends once more, because our reply took long, is passed over."""
        began = self.invite_message.header("CSeq") if self.invite_message is not None else ""
        known = self._replied | {began}
        for message in self.seen:  # among what was passed over while something else was waited for
            if message.method == "INVITE" and message.header("CSeq") not in known:
                return message
        while True:
            message = await self.next("INVITE")
            if message.header("CSeq") not in known:
                return message

    def send_request(
        self,
        method: str,
        body: str = "",
        kind: str = "application/sdp",
        cseq: int = 0,
        branch: str = "",
        headers: str = "",
        cut: int = 0,
    ) -> None:
        """Send a request of this dialog. `headers`: further lines, each with its line end; `cut`: bytes that its body lacks."""
        if not cseq:
            self.cseq += 1
        branch = branch or f"z9hG4bK-p{next(_NUMBERS)}"
        if method == "INVITE":
            self.branch = branch
        head = (
            f"{method} {self.target} SIP/2.0\r\nVia: SIP/2.0/UDP {self.peer.host}:{self.peer.port};branch={branch}\r\n"
            f"From: {self.local}\r\nTo: {self.remote}\r\nCall-ID: {self.call_id}\r\nCSeq: {cseq or self.cseq} {method}\r\n"
            f"Max-Forwards: {self.max_forwards}\r\nContact: {self.contact}\r\n{headers}"
        )
        content = body[: len(body) - cut]
        self.peer.send(head + (f"Content-Type: {kind}\r\n" if body else "") + f"Content-Length: {len(body)}\r\n\r\n{content}")

    def reply(
        self, request: Message, code: int, body: str = "", headers: str = "", kind: str = "application/sdp", cut: int = 0
    ) -> None:
        """Answer a request of the other side. `headers`: further lines, each with its line end; `cut`: bytes that its body lacks."""
        if request.method == "INVITE":
            self._replied.add(request.header("CSeq"))
        to = request.header("To")
        to = to if tag_of(to) else f"{to};{self.local.partition(';')[2]}"
        vias = "".join(f"Via: {value}\r\n" for name, value in request.headers if name == "Via")
        head = (
            f"SIP/2.0 {code} Reply\r\n{vias}From: {request.header('From')}\r\nTo: {to}\r\nCall-ID: {self.call_id}\r\n"
            f"CSeq: {request.header('CSeq')}\r\nContact: {self.contact}\r\n{headers}"
        )
        self.peer.send(
            head
            + (f"Content-Type: {kind}\r\n" if body and kind else "")
            + f"Content-Length: {len(body)}\r\n\r\n{body[: len(body) - cut]}"
        )

    # the steps that contract tests take
    def ack(self, body: str = "") -> None:
        """Acknowledge the final reply to our INVITE; one that refuses it in its own transaction (RFC 3261 §17.1.1.3)."""
        self.send_request("ACK", body, cseq=self.cseq, branch=self.branch if self._refused else "")

    def cancel(self) -> None:
        """Take an unanswered INVITE back."""
        self.send_request("CANCEL", cseq=self.cseq, branch=self.branch)

    async def bye(self) -> int:
        """Hang up; the reply's code."""
        return await self.request("BYE")

    async def request(self, method: str, kind: str = "text/plain", body: str = "", headers: str = "") -> int:
        """Send a request inside and wait for its reply's code."""
        return (await self.exchange(method, kind, body, headers)).code

    async def exchange(self, method: str, kind: str = "text/plain", body: str = "", headers: str = "") -> Message:
        """Send a request inside and wait for its reply. `headers`: further lines, each with its line end."""
        self.send_request(method, body, kind, headers=headers)
        return await self._reply_to_last(method)

    async def reoffer(self, direction: str, headers: str = "") -> int:
        """re-INVITE with a direction, acknowledged when accepted."""
        self.send_request("INVITE", description(40000, direction), headers=headers)
        code = (await self._reply_to_last("INVITE")).code
        if code < 300:
            self.ack()
        return code

    async def update(self, direction: str = "", headers: str = "") -> int:
        """UPDATE, without a description when no direction is given."""
        self.send_request("UPDATE", description(40000, direction) if direction else "", headers=headers)
        return (await self._reply_to_last("UPDATE")).code

    async def take_offer(self, code: int = 200, direction: str = "sendrecv") -> str:
        """Wait for the server's re-INVITE and answer it. Returns the direction that it offered, empty for one without an offer."""
        offer = await self.next_offer()
        self.reply(offer, code, description(40000, direction) if code < 300 else "")
        self.acknowledged = await self.next("ACK")
        return direction_of(offer.body.decode()) if offer.body else ""

    def expire(self) -> None:
        """The session interval passes without a refresh of ours: nothing is to be done for it."""

    async def taken_off(self) -> None:
        """Wait for the other side's BYE and confirm it."""
        self.reply(await self.next("BYE"), 200)

    async def accept(self, tag: str = "") -> None:
        """Answer the INVITE that came (`take_invite`) with 200 and SDP, and wait for the ACK. `tag`: of the branch that does."""
        assert self.invite_message is not None
        self._branch(tag)
        self.reply(self.invite_message, 200, description(40000))
        await self.next("ACK")

    async def refuse(self, code: int) -> None:
        """Refuse the INVITE that came."""
        assert self.invite_message is not None
        self.reply(self.invite_message, code)
        await self.next("ACK")

    async def redirect(self, *contacts: str, code: int = 302) -> None:
        """Say where else the INVITE that came may be sent: values of Contact."""
        assert self.invite_message is not None
        request = self.invite_message
        lines = "".join(f"Via: {value}\r\n" for name, value in request.headers if name == "Via")
        lines += f"From: {request.header('From')}\r\nTo: {request.header('To')};tag=moved\r\nCall-ID: {self.call_id}\r\n"
        lines += f"CSeq: {request.header('CSeq')}\r\n" + "".join(f"Contact: {contact}\r\n" for contact in contacts)
        self.peer.send(f"SIP/2.0 {code} Moved\r\n{lines}Content-Length: 0\r\n\r\n")
        await self.next("ACK")

    def ring(self, tag: str = "", body: str = "") -> None:
        """180, of the branch that `tag` names."""
        assert self.invite_message is not None
        self._branch(tag)
        self.reply(self.invite_message, 180, body)

    def fork(self, tag: str) -> PeerCall:
        """A dialog of its own for another branch of the INVITE that came (a fork): it sends with its own tag, and reads the same queue."""
        other = PeerCall(self.peer, self.call_id, "server")
        other.local = f"<sip:peer@127.0.0.1>;tag={tag}"
        other.remote, other.target, other.invite_message = self.remote, self.target, self.invite_message
        other.messages, other._taken = self.messages, self._taken
        return other

    async def next_of(self, method: str, tag: str) -> Message:
        """The next request of a method to the branch with a tag."""
        while True:
            message = await self.next(method)
            if tag_of(message.header("To")) == tag:
                return message

    def _branch(self, tag: str) -> None:
        if tag:
            self.local = f"{self.local.partition(';')[0]};tag={tag}"

    async def cancelled(self) -> None:
        """Wait for CANCEL, confirm it, end the INVITE with 487."""
        assert self.invite_message is not None
        self.reply(await self.next("CANCEL"), 200)
        self.reply(self.invite_message, 487)
        await self.next("ACK")

    async def arrival(self, method: str) -> Message:
        """Wait for a request inside."""
        return await self.next(method)

    async def answer_request(self, method: str, code: int) -> None:
        """Wait for a request inside and answer it."""
        self.reply(await self.arrival(method), code)


class PeerSubscription(PeerCall):
    """A notifier: the server's SUBSCRIBE came (`take_subscribe`), and perhaps others after it."""

    def __init__(self, peer: UdpPeer, message: Message) -> None:
        super().__init__(peer, message.header("Call-ID"), "server")
        self.remote, self.target = message.header("From"), uri_of(message.header("Contact"))
        self.event, self.request_message = message.header("Event"), message
        self.take(message)

    @property
    def expires_s(self) -> int:
        """How long the last SUBSCRIBE wants it."""
        return int(self.request_message.header("Expires"))

    def answer(self, code: int, headers: str = "") -> None:
        """Answer the last SUBSCRIBE; 2xx with its own Expires."""
        if code < 300 and "Expires:" not in headers:
            headers += f"Expires: {self.expires_s}\r\n"
        self.reply(self.request_message, code, headers=headers)

    async def next_subscribe(self) -> int:
        """Wait for a further SUBSCRIBE; how long it wants."""
        self.request_message = await self.next("SUBSCRIBE")
        return self.expires_s

    async def notify(self, state: str, kind: str = "text/plain", body: str = "", event: str = "", cseq: int = 0) -> int:
        """Send a NOTIFY, the code of its answer. `state`: value of Subscription-State."""
        headers = f"Event: {event or self.event}\r\nSubscription-State: {state}\r\n"
        self.send_request("NOTIFY", body, kind, cseq, headers=headers)
        return await self.final()


class PeerOutside(PeerCall):
    """A request of the server's outside any dialog (`take_outside`)."""

    def __init__(self, peer: UdpPeer, message: Message) -> None:
        super().__init__(peer, message.header("Call-ID"), "server")
        self.request_message = message

    @property
    def method(self) -> str:
        """Its method."""
        return self.request_message.method

    @property
    def body(self) -> bytes:
        """Its body."""
        return self.request_message.body

    @property
    def authorized(self) -> bool:
        """Whether it carries credentials."""
        return bool(self.request_message.header("Authorization") or self.request_message.header("Proxy-Authorization"))

    def answer(self, code: int, headers: str = "", body: str = "") -> None:
        """Answer it. `headers`: further lines, each with its line end, the Content-Type of a body among them."""
        if code in (401, 407) and not headers:
            name = "WWW" if code == 401 else "Proxy"
            headers = f'{name}-Authenticate: Digest realm="peer", nonce="n{next(_NUMBERS)}", qop="auth"\r\n'
        self.reply(self.request_message, code, body, headers, kind="" if "Content-Type:" in headers else "text/plain")


class UdpPeer(asyncio.DatagramProtocol):
    """A phone's socket: sorts messages by Call-ID."""

    def __init__(self) -> None:
        self.server_ip, self.server_port = "127.0.0.1", 0
        self.sources: list[tuple[str, int]] = []
        self.call_ids: set[str] = set()
        """Of all messages that came. A free port may have been another phone's a moment ago, whom some server still has to tell something."""
        self.calls: dict[str, PeerCall] = {}
        self.incoming: asyncio.Queue[PeerCall] = asyncio.Queue()
        self.subscribed: asyncio.Queue[PeerSubscription] = asyncio.Queue()
        self.outside: asyncio.Queue[PeerOutside] = asyncio.Queue()
        self._transport: asyncio.DatagramTransport

    @classmethod
    async def open(cls, server_port: int, server_ip: str = "127.0.0.1", ip: str = "127.0.0.1", port: int = 0) -> UdpPeer:
        """Bind a free port, or this one; talk to the server at `server_port`. `sources` keeps where each packet came from."""
        loop = asyncio.get_running_loop()
        _, self = await loop.create_datagram_endpoint(cls, (ip, port))
        self.server_ip, self.server_port = server_ip, server_port
        return self

    @property
    def host(self) -> str:
        """Our own address, as a URI has it."""
        ip = str(self._transport.get_extra_info("sockname")[0])
        return f"[{ip}]" if ":" in ip else ip

    @property
    def port(self) -> int:
        """Our own port."""
        return int(self._transport.get_extra_info("sockname")[1])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.sources.append(addr[:2])
        message = parse(data.decode("utf-8", "surrogateescape"))
        call_id = message.header("Call-ID")
        self.call_ids.add(call_id)
        call = self.calls.get(call_id)
        if isinstance(call, PeerOutside) and message.method and message.header("CSeq") != call.request_message.header("CSeq"):
            call = None  # a further request, no retransmission
        if call is None:
            if message.method == "SUBSCRIBE":
                subscription = self.calls[call_id] = PeerSubscription(self, message)
                self.subscribed.put_nowait(subscription)
                return
            if message.method and message.method != "INVITE" and not tag_of(message.header("To")):
                outside = self.calls[call_id] = PeerOutside(self, message)
                self.outside.put_nowait(outside)
                return
            if message.method != "INVITE":
                return
            call = self.calls[call_id] = PeerCall(self, call_id, "server")
            call.remote, call.invite_message = message.header("From"), message
            call.target = uri_of(message.header("Contact"))
            call.take(message)
            self.incoming.put_nowait(call)
            return
        call.messages.put_nowait(message)

    def send(self, text: str) -> None:
        """Send a message to the server."""
        self._transport.sendto(text.encode("utf-8", "surrogateescape"), (self.server_ip, self.server_port))

    def invite(self, user: str = "test", offer: bool = True, headers: str = "", interval_s: int = 0) -> PeerCall:
        """Place a call; with `interval_s` one that we promise to refresh (RFC 4028)."""
        if interval_s:
            headers += f"Supported: timer\r\nSession-Expires: {interval_s};refresher=uac\r\n"
        call = self.call(user)
        call.send_request("INVITE", description(40000) if offer else "", headers=headers)
        return call

    def call(self, user: str = "test") -> PeerCall:
        """A dialog in which nothing has been sent yet."""
        call = PeerCall(self, f"call{next(_NUMBERS)}@peer", user)
        self.calls[call.call_id] = call
        return call

    async def take_invite(self) -> PeerCall:
        """The next call that the server places."""
        async with asyncio.timeout(30):
            return await self.incoming.get()

    async def take_subscribe(self) -> PeerSubscription:
        """The next subscription that the server begins."""
        async with asyncio.timeout(30):
            return await self.subscribed.get()

    async def take_outside(self) -> PeerOutside:
        """The next request outside dialogs that the server sends."""
        async with asyncio.timeout(30):
            return await self.outside.get()

    async def exchange(
        self, method: str, user: str = "test", kind: str = "text/plain", body: str = "", headers: str = ""
    ) -> Message:
        """Send a request outside dialogs and wait for its final reply."""
        call = PeerCall(self, f"outside{next(_NUMBERS)}@peer", user)
        self.calls[call.call_id] = call
        return await call.exchange(method, kind, body, headers)

    def close(self) -> None:
        """Close the socket."""
        self._transport.close()
