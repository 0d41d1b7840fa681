# SPDX-License-Identifier: GPL-2.0-or-later
"""Many prepaid calls at once, measured at the phone: from its ACK, and from the 200 that it got, to the BYE, by the kernel's clock.

    calls = await place(server.sip_port, {"acc0": 5, …}, purse, troubles=("slow", "lie", "dead"))
    judge(calls, purse)

A purse is whoever keeps the credit, seen from its own side: what it granted, what it has charged. Small in the suite; 1000 calls of 5 to
30 s, with the purse slow, lying and gone in between, under CORDBOARD_LONG.
"""

from __future__ import annotations

import asyncio
import math
import random
import socket
import struct
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

from interfaces.sip.message import parse
from tests.support.server import wait_until
from tests.support.sip_peer import UdpPeer
from tests.support.sizes import LONG, size
from tests.support.stalls import StallMeter

_NANOSECOND_STAMPS = 35
"""SO_TIMESTAMPNS of Linux."""
GO_ON_S = 1
"""What the tests' configurations let a call that is up go on when its control does not answer."""
TROUBLE_S = 5.0


RTP_PORTS_OF_MANY = "rtp_low_port=20000\nrtp_high_port=24999" if LONG else ""
"""For sems.conf: phones that send nothing have a port each."""
TROUBLES = ("slow", "lie", "dead")


def accounts(prefix: str, small: int, seconds: tuple[int, int]) -> dict[str, int]:
    """Accounts and their credit: a few with little in the suite, 1000 with 5 to 30 s under CORDBOARD_LONG."""
    chance = random.Random(3)
    low, high = (5, 30) if LONG else seconds
    return {f"{prefix}{number}": chance.randint(low, high) for number in range(size(small, 1000))}


class Purse(Protocol):
    """Whoever keeps credit."""

    def give(self, account: str, seconds: int) -> None:
        """An account with so much."""

    def left(self, account: str) -> float:
        """What is left of it."""

    def granted(self, account: str) -> float | None:
        """What it has granted, as far as the answers were in order and in time; None: it cannot tell."""

    def trouble(self, kind: str) -> Awaitable[None] | None:
        """Be `slow`, `lie`, be `dead`, or be well again: empty."""


@dataclass
class CreditCall:
    """What became of one. Seconds; `code` other than 200: it was refused."""

    account: str
    credit: int
    hang_up_s: float
    code: int = 0
    began_s: float = 0.0
    ended_s: float = 0.0
    from_ack_s: float = 0.0
    from_200_s: float = 0.0
    stalled_s: float = 0.0
    """How long the machine let a bystander wait when the call began or ended."""
    troubled: bool = False


class StampedPeer(UdpPeer):
    """A phone whose socket says when each datagram came, however late its program reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.stamps: dict[tuple[str, str], float] = {}
        """Call-ID and first word of the message → wall clock."""

    @classmethod
    async def stamped(cls, server_port: int) -> StampedPeer:
        """Bind a free port."""
        self = cls()
        self.server_port = server_port
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, _NANOSECOND_STAMPS, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.setblocking(False)
        self._socket.bind(("127.0.0.1", 0))
        asyncio.get_running_loop().add_reader(self._socket, self._readable)
        return self

    def _readable(self) -> None:
        while True:
            try:
                data, ancillary, _, address = self._socket.recvmsg(65536, 64)
            except BlockingIOError:
                return
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
            message = parse(data.decode("utf-8", "surrogateescape"))
            key = (message.header("Call-ID"), str(message.code or message.method))
            self.stamps.setdefault(key, seconds + nanoseconds / 1e9)
            self.datagram_received(data, address)

    @property
    def host(self) -> str:
        return "127.0.0.1"

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def send(self, text: str) -> None:
        self._socket.sendto(text.encode("utf-8", "surrogateescape"), (self.server_ip, self.server_port))

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()


async def _one(peer: StampedPeer, call: CreditCall) -> None:
    leg = peer.invite("echo", headers=f"X-Account: {call.account}\r\nX-Most: 50\r\n")
    call.began_s = time.time()
    call.code = await leg.final()
    if call.code == 200:
        leg.ack()
        acked_s = time.time()
        try:
            leg.reply(await leg.next("BYE", patience_s=call.hang_up_s or 100), 200)
            ended_s = peer.stamps[leg.call_id, "BYE"]
            call.hang_up_s = 0
        except TimeoutError:
            assert call.hang_up_s, f"{call} has no end"
            ended_s = time.time()
            assert await leg.bye() == 200
        call.from_ack_s, call.from_200_s = ended_s - acked_s, ended_s - peer.stamps[leg.call_id, "200"]
    call.ended_s = time.time()


async def _turn(purse: Purse, kind: str) -> None:
    done = purse.trouble(kind)
    if done is not None:
        await done


async def place(
    sip_port: int, credit: dict[str, int], purse: Purse, rate: float, troubles: Sequence[str] = (), seed: int = 5
) -> list[CreditCall]:
    """Call for each account, at a rate; some hang up before their credit ends. Between, the purse is in trouble for some seconds each."""
    chance = random.Random(seed)
    for account, seconds in credit.items():
        await asyncio.to_thread(purse.give, account, seconds)
    calls = [CreditCall(account, seconds, chance.choice((0, 0, 0, seconds * 0.6))) for account, seconds in credit.items()]
    peers = [await StampedPeer.stamped(sip_port) for _ in range(min(len(calls), 20))]

    async def later(number: int, call: CreditCall) -> None:
        await asyncio.sleep(number / rate)
        await _one(peers[number % len(peers)], call)

    windows: list[tuple[float, float]] = []
    meter = StallMeter()

    async def trouble() -> None:
        for kind in troubles:
            await asyncio.sleep(len(calls) / rate / (len(troubles) + 1))
            began_s = time.time()
            await _turn(purse, kind)
            await asyncio.sleep(TROUBLE_S)
            await _turn(purse, "")
            windows.append((began_s, time.time() + 3))

    await asyncio.gather(trouble(), *(later(number, call) for number, call in enumerate(calls)))
    meter.end()
    for call in calls:
        call.stalled_s = meter.worst_s(call.began_s, call.ended_s)
        call.troubled = any(call.began_s < high and call.ended_s > low for low, high in windows)
    for peer in peers:
        peer.close()
    return calls


async def judge(calls: Sequence[CreditCall], purse: Purse) -> str:
    """Every promise, of every call; returns the figures. Who lasted longer is judged at full size only, less the stalls of the machine."""
    lasted = [call for call in calls if call.code == 200]
    wrong = [call for call in calls if call.code not in (200, 503) or (call.code != 200 and not call.troubled)]
    assert not wrong, wrong
    early: list[tuple[float, CreditCall]] = []
    late: list[tuple[float, CreditCall]] = []
    for call in lasted:
        if call.hang_up_s:
            continue
        granted_s = purse.granted(call.account) if call.troubled else float(call.credit)
        if granted_s is not None:
            early.append((granted_s - call.from_ack_s, call))
        most_s = float(call.credit) if granted_s is None else granted_s
        late.append((call.from_ack_s - most_s - (GO_ON_S if call.troubled else 0), call))
    early.sort(key=lambda one: -one[0])
    late.sort(key=lambda one: -one[0])
    assert not early or early[0][0] <= 0.5, f"ended more than half a second early: {early[:5]}"
    if LONG:
        longer = [one for one in late if one[0] > one[1].stalled_s]
        assert not longer, f"{len(longer)} of {len(lasted)} lasted longer than granted: {longer[:8]}"
    try:
        await asyncio.to_thread(wait_until, lambda: all(_adds_up(call, purse) for call in lasted), "all is charged", 60)
    except AssertionError as error:
        left = [(call, purse.left(call.account)) for call in lasted if not _adds_up(call, purse)]
        raise AssertionError(f"these do not add up, with what is left of each: {left}") from error
    refused = len(calls) - len(lasted)
    from_200_s = max((call.from_200_s - call.from_ack_s for call in lasted), default=0.0)
    stalled_s = max((call.stalled_s for call in lasted), default=0.0)
    return (
        f"{len(lasted)} calls ({refused} refused while in trouble): most early {early[0][0] if early else 0.0:.3f} s, "
        f"least early {-late[0][0]:.3f} s, from the ACK (200 to ACK: up to {from_200_s:.3f} s); the machine's worst stall {stalled_s:.3f} s; "
        f"{sum(1 for one in late if one[0] > 0)} longer than granted, all by less than such a stall"
    )


_WAYS = 4
"""Between the end of a credit and the phone: control, hub, SIP process, phone."""


def _adds_up(call: CreditCall, purse: Purse) -> bool:
    """To the second: whole seconds are charged, of what may have begun within one.

    A call that the machine made longer is charged for what it lasted: by as much as it kept `_WAYS` programs waiting, one after the other.
    """
    charged_s = call.credit - purse.left(call.account)
    if not call.hang_up_s and not call.troubled:
        by_machine = call.from_ack_s <= call.credit + _WAYS * call.stalled_s
        return charged_s == call.credit or (by_machine and charged_s == math.ceil(call.from_ack_s))
    return abs(charged_s - call.from_ack_s) <= 1.0
