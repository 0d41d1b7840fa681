# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole server with the test application `desk`, and phones of which each has exact SIP steps and a tone of its own.

board = await Switchboard.of(server)
anna, ben = await board.phone(), await board.phone()
one, two = await board.pair(anna, ben)             # both up; one is anna's dialog, two ben's
await board.hear({anna: {ben}, ben: {anna}})       # who hears whom
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from interfaces.sip.message import Message
from media import codecs
from tests.support import tones
from tests.support.codec_peer import CodecPeer
from tests.support.rtp_peer import NAMES, PCMU, Peer, PeerGroup
from tests.support.sdp import audio_address
from tests.support.server import Server, wait_until
from tests.support.sip_peer import PeerCall, UdpPeer, description

MAPPING = "^sip:desk=>desk\n"
PLUGINS = "monitoring;desk;xmlrpc2di;web"
TONES_HZ = (400.0, 600.0, 900.0, 1300.0)
_NUMBERS = itertools.count(1)


class Talker:
    """A phone. `calls`: its dialogs, the ones it took included."""

    def __init__(self, sip: UdpPeer, rtp: Peer, hz: float) -> None:
        self.sip, self.rtp, self.hz = sip, rtp, hz
        self.calls: list[PeerCall] = []

    @property
    def uri(self) -> str:
        """Where it can be called."""
        return f"sip:phone@127.0.0.1:{self.sip.port}"

    def description(self, direction: str = "sendrecv", codec: int = -1, ip: str = "127.0.0.1") -> str:
        """An offer or answer of its own. `ip` 0.0.0.0 holds as RFC 2543 did."""
        codec = self.rtp.payload_type if codec < 0 else codec
        of_peer = self.rtp.codec if isinstance(self.rtp, CodecPeer) else None
        name = f"{of_peer.rtpmap}/{of_peer.clock_hz}" if of_peer else f"{NAMES[codec]}/8000"
        return description(self.rtp.port, direction, name, codec).replace("c=IN IP4 127.0.0.1", f"c=IN IP4 {ip}")

    def hears(self) -> set[float]:
        """Whose tones it has heard since `forget`."""
        if isinstance(self.rtp, CodecPeer):
            assert self.rtp.codec is not None
            return tones.heard(self.rtp.sounds(), list(TONES_HZ), self.rtp.codec.rate_hz)
        return tones.heard(self.rtp.heard(), list(TONES_HZ))

    def invite(self, headers: str = "", user: str = "desk", offer: bool = True) -> PeerCall:
        """Send an INVITE. `headers`: lines with their ends."""
        call = PeerCall(
            self.sip, f"{next(_NUMBERS)}-{self.sip.port}@talker", user
        )  # a port may be an earlier phone's, whose record is still there
        self.sip.calls[call.call_id] = call
        self.calls.append(call)
        call.send_request("INVITE", self.description() if offer else "", headers=headers)
        return call

    async def answered(self, call: PeerCall, code: int = 200) -> Message:
        """Wait for the final reply to an INVITE and acknowledge it."""
        reply = await call.next(*range(200, 700))
        assert reply.code == code, reply.start_line
        if code < 300:
            call.ack()
            self.hears_of(reply)
        else:
            call.send_request("ACK", cseq=call.cseq, branch=call.branch)
        return reply

    def hears_of(self, message: Message) -> None:
        """Send its audio to where a description says."""
        if message.body:
            self.rtp.remote = audio_address(message.body.decode())

    async def called(self) -> PeerCall:
        """The next call to it; 100 is said so that it is not sent again."""
        call = await self.sip.take_invite()
        self.calls.append(call)
        assert call.invite_message is not None
        self.hears_of(call.invite_message)
        call.reply(call.invite_message, 100)
        return call

    async def accept(self, call: PeerCall, headers: str = "", direction: str = "sendrecv") -> None:
        """Answer a call to it."""
        assert call.invite_message is not None
        call.reply(call.invite_message, 200, self.description(direction), headers)
        await call.next("ACK")

    async def reoffer(self, call: PeerCall, direction: str, codec: int = -1, headers: str = "", ip: str = "127.0.0.1") -> Message:
        """re-INVITE, acknowledged; the reply."""
        call.send_request("INVITE", self.description(direction, codec, ip), headers=headers)
        return await self.answered(call)

    async def take_offer(self, call: PeerCall, direction: str = "sendrecv", codec: int = -1) -> Message:
        """Wait for the server's re-INVITE and accept it; the offer."""
        offer = await call.next_offer()
        call.reply(offer, 200, self.description(direction, codec))
        self.hears_of(offer)
        call.acknowledged = await call.next("ACK")
        return offer


class Switchboard:
    """`server`: with `desk`, at `PLUGINS`."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.group = PeerGroup()
        self.phones: list[Talker] = []

    async def phone(self, payload_type: int = PCMU, codec: str = "") -> Talker:
        """A new phone. `codec`: one that is not G.711, by its rtpmap (`G722/8000`)."""
        hz = TONES_HZ[len(self.phones)]
        talker = Talker(await UdpPeer.open(self.server.sip_port), self._rtp(hz, payload_type, codec), hz)
        self.phones.append(talker)
        return talker

    def _rtp(self, hz: float, payload_type: int, codec: str) -> Peer:
        if not codec:
            return self.group.peer(hz, payload_type)
        name, _, clock = codec.partition("/")
        found = codecs.find(name, int(clock))
        assert found is not None, codec
        peer = CodecPeer(tones.tone(hz, 1000, found.rate_hz), payload_type, codec=found)
        self.group.peers.append(peer)
        return peer

    async def ring(self, caller: Talker, *callees: Talker, desk: str = "", headers: str = "") -> tuple[PeerCall, list[PeerCall]]:
        """The caller calls the desk, which calls the others: all INVITEs have come. Answered unless `desk` says `relay` or `invite`."""
        targets = "".join(f"X-Target: {callee.uri}\r\n" for callee in callees)
        call = caller.invite(f"X-Desk: {desk}\r\n{targets}{headers}")
        if not {"relay", "invite"} & set(desk.split()):
            await caller.answered(call)
        return call, [await callee.called() for callee in callees]

    async def pair(self, caller: Talker, callee: Talker, desk: str = "", headers: str = "") -> tuple[PeerCall, PeerCall]:
        """Both up and connected."""
        call, (other,) = await self.ring(caller, callee, desk=desk, headers=headers)
        await callee.accept(other)
        if {"relay", "invite"} & set(desk.split()):
            await caller.answered(call)
        await self.logged(call, "replies", lambda text: text.endswith("200"))
        return call, other

    async def run(self, length_ms: int) -> None:
        """Let every phone talk for so long."""
        await asyncio.to_thread(self.group.run_ms, length_ms)

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Let every phone talk until it is so. Fails naming `what`."""
        await asyncio.to_thread(self.group.run_until, condition, what)

    async def hear(self, whom: Mapping[Talker, set[Talker]]) -> None:
        """Let everybody talk until each hears just those. Fails naming what was heard."""
        wanted = {who.hz: {other.hz for other in others} for who, others in whom.items()}
        found: dict[float, set[float]] = {}
        for _ in range(20):
            await self.run(200)
            for phone in self.phones:
                phone.rtp.forget()
            await self.run(600)
            found = {who.hz: who.hears() for who in whom}
            if found == wanted:
                return
        raise AssertionError(f"heard {found}, wanted {wanted}\n{self.server.log[-3000:]}")

    async def record(self, call: PeerCall) -> dict[str, Any]:
        """A call's record in the monitoring store."""
        ids = await asyncio.to_thread(self.server.xml.listByFilter, ["callid", call.call_id])
        return self.server.xml.di("monitoring", "get", ids[0])[0] if ids else {}

    async def logged(self, call: PeerCall, name: str, wanted: Any = bool) -> str:
        """Wait for what a call's application has logged."""
        text = ""
        for _ in range(800):
            text = str((await self.record(call)).get(name, ""))
            if wanted(text):
                return text
            await asyncio.sleep(0.05)
        raise AssertionError(f"{name} is {text!r}\n{self.server.log[-3000:]}")

    async def media(self) -> dict[str, float]:
        """The counters that the media process last reported."""
        (only,) = await asyncio.to_thread(self.server.json, "status.media")
        return dict(only)

    async def all_gone(self) -> None:
        """Nothing is left: no call, no leg. What a failed test has left is ended, so that the next ones do not wait for it too."""
        try:
            await asyncio.to_thread(wait_until, lambda: self.server.xml.calls() == 0, "no call is left")
        except AssertionError:
            for id in await asyncio.to_thread(self.server.xml.listActive):
                with contextlib.suppress(AssertionError):  # it has just gone
                    await asyncio.to_thread(self.server.json, "core.hangup", id)
            raise
        await asyncio.to_thread(
            wait_until, lambda: all(one["legs"] == 0 for one in self.server.json("status.media")), "no leg is left"
        )

    async def hang_up(self, call: PeerCall, *others: PeerCall, headers: str = "") -> None:
        """One side hangs up, the others get a BYE each; nothing is left."""
        assert await call.request("BYE", headers=headers) == 200
        for other in others:
            await other.taken_off()
        await self.all_gone()

    def close(self) -> None:
        """Close every socket."""
        for phone in self.phones:
            phone.sip.close()
            phone.rtp.close()
