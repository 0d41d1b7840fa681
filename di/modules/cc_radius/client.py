# SPDX-License-Identifier: GPL-2.0-or-later
"""The sockets of `di.modules.cc_radius.exchanges`: datagrams and a timer, nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from di.calls.control_modules import ControlUnreachable
from di.kernel.ports import Clock, TimerHandle
from di.modules.cc_radius.exchanges import ExchangeRules, RadiusExchanges, RadiusLane
from di.modules.cc_radius.options import RadiusHost
from di.modules.cc_radius.packets import RadiusReply, RadiusRequest

log = logging.getLogger(__name__)


class RadiusClient:
    """Asks the servers. `close` when nobody asks any more."""

    def __init__(self, hosts: tuple[RadiusHost, ...], rules: ExchangeRules, clock: Clock) -> None:
        self._hosts = hosts
        self._clock = clock
        self._exchanges = RadiusExchanges(rules, clock.random)
        self._waiting: dict[int, asyncio.Future[RadiusReply]] = {}
        self._lanes: dict[RadiusLane, _LaneSocket] = {}
        self._timer: TimerHandle | None = None
        self._closed = False

    async def ask(self, accounting: bool, make: Callable[[int, bytes], RadiusRequest]) -> RadiusReply:
        """Ask until a server answers. Raises ControlUnreachable when none does."""
        number = self._exchanges.begin(accounting, make, self._clock.now_ns())
        done: asyncio.Future[RadiusReply] = asyncio.get_running_loop().create_future()
        self._waiting[number] = done
        self._work()
        try:
            return await done
        finally:
            if self._waiting.pop(number, None) is not None:
                self._exchanges.give_up(number, self._clock.now_ns())
                self._work()

    def received(self, lane: RadiusLane, data: bytes) -> None:
        """A datagram has come."""
        kinds = len(self._exchanges.dropped)
        why = self._exchanges.received(lane, data, self._clock.now_ns())
        if len(self._exchanges.dropped) > kinds:
            log.error("radius: what %s sends is dropped: %s (said once)", self._hosts[lane.server].where, why)
        self._work()

    def _work(self) -> None:
        if self._closed:
            return
        for lane, data in self._exchanges.due(self._clock.now_ns()):
            socket = self._lanes.get(lane)
            if socket is None:
                socket = self._lanes[lane] = _LaneSocket(self, lane, self._hosts[lane.server])
            socket.send(data)
        for end in self._exchanges.ends():
            done = self._waiting.pop(end.number, None)
            if done is None or done.done():
                continue
            if end.reply is None:
                where = ", ".join(host.where for host in self._hosts)
                done.set_exception(ControlUnreachable(f"{end.why} ({where})"))
            else:
                done.set_result(end.reply)
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline_ns = self._exchanges.deadline_ns()
        if deadline_ns is not None:
            self._timer = self._clock.call_later(max(0, deadline_ns - self._clock.now_ns()), self._work)

    def close(self) -> None:
        """Give the sockets back."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for lane in self._lanes.values():
            lane.close()


class _LaneSocket(asyncio.DatagramProtocol):
    """A connected socket; what is sent before it is open waits."""

    def __init__(self, client: RadiusClient, lane: RadiusLane, host: RadiusHost) -> None:
        self._client = client
        self._lane = lane
        self._host = host
        self._unsent: list[bytes] = []
        self._transport: asyncio.DatagramTransport | None = None
        self._opening = asyncio.ensure_future(self._open())

    async def _open(self) -> None:
        host = self._host
        port = host.acct_port if self._lane.accounting else host.auth_port
        loop = asyncio.get_running_loop()
        while True:
            try:
                await loop.create_datagram_endpoint(lambda: self, remote_addr=(host.host, port))
                return
            except OSError as error:
                log.error("radius: %s: %s; it is tried again", host.where, error)
                self._unsent.clear()
                await asyncio.sleep(5)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast(asyncio.DatagramTransport, transport)
        for data in self._unsent:
            self._transport.sendto(data)
        self._unsent.clear()

    def send(self, data: bytes) -> None:
        """Send a packet."""
        if self._transport is None:
            self._unsent.append(data)
        else:
            self._transport.sendto(data)

    def datagram_received(self, data: bytes, addr: object) -> None:
        """A packet of the server."""
        self._client.received(self._lane, data)

    def error_received(self, exc: Exception) -> None:
        """ICMP: nobody listens there now. Waiting decides."""
        log.debug("radius: %s: %s", self._host.where, exc)

    def close(self) -> None:
        """Close it."""
        self._opening.cancel()
        if self._transport is not None:
            self._transport.close()
