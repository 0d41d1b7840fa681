# SPDX-License-Identifier: GPL-2.0-or-later
"""The real SIP process and the fake of it, behind one face: the contract suites take the same steps with either."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from di.sip.records import Answer, CallConfirmed, Listen
from tests.support.fake_sip import FakeSip
from tests.support.sip_peer import UdpPeer
from tests.support.sip_process import SipProcess


class Side(Protocol):
    """What the tests need of either."""

    peer: Any
    events: list[object]
    port: int

    def send(self, command: object) -> None: ...
    async def wait_for(self, kind: type[Any], count: int = 1) -> list[Any]: ...


class FakeSide:
    def __init__(self) -> None:
        self.events: list[object] = []
        self.sip = FakeSip(self.events.append)
        self.sip.send(Listen("127.0.0.1", 5060))
        self.peer = self.sip.peer
        self.port = 5060

    def send(self, command: object) -> None:
        self.sip.send(command)

    async def wait_for(self, kind: type[Any], count: int = 1) -> list[Any]:
        for _ in range(100):  # the fake is synchronous but for what the test itself started
            if len(found := [event for event in self.events if isinstance(event, kind)]) >= count:
                return found
            await asyncio.sleep(0)
        raise AssertionError(f"{count} times {kind.__name__} did not come: {self.events}")


class RealSide:
    def __init__(self, process: SipProcess, peer: UdpPeer) -> None:
        self.process, self.peer = process, peer
        self.events = process.events
        self.port = peer.port

    def send(self, command: object) -> None:
        self.process.send(command)

    async def wait_for(self, kind: type[Any], count: int = 1) -> list[Any]:
        return await self.process.wait_for(kind, count)


def kinds(sip: Side) -> list[str]:
    return [type(event).__name__ for event in sip.events]


async def answered(sip: Side, call: Any, number: int = 1) -> None:
    sip.send(Answer(number, 200, "OK", (), "127.0.0.1", 30000))
    assert await call.final() == 200
    call.ack()
    await sip.wait_for(CallConfirmed)
