# SPDX-License-Identifier: GPL-2.0-or-later
"""Which RTP port a leg gets: few ports for many legs, yet no packet ever reaches the wrong one.

On one port, legs are told apart by the address that packets come from. Until a leg's source is *locked*, its address may be unknown (a
peer behind NAT), so a port has one *latch slot*: only the leg that holds it may be found by a packet from an unknown address.

    slot:   free ── assign ──► held by a leg ── locked, or window ended ──► free
                                    └── closed unlatched ──► resting (its unknown peer may still send) ──► free

- Two unlatched legs never share a port's slot. One whose window ended unlatched is from then on found only by its signalled address.
- Legs on one port always have different signalled addresses. A leg whose peer is not known at opening gets a port of its own till then.
- A leg closed while locked leaves only its address resting (see ``AddressTable``).
- A port without legs for `idle_ns` is closed again, the one that has been so longest first, but `kept` stay open.

Pure: sockets are opened and closed by the callables that the shell hands in.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

MOST_PORTS_TRIED = 16
"""How many ports with a free slot are looked at for one without an equal remote address, before a further port is opened."""

MOST_CLOSED = 32
"""Ports closed in one sweep: a tick waits for the two system calls of each."""

Remote = tuple[str, int]


class NoPort(Exception):
    """No RTP port can be had; the text says why and what to change."""


class PortTimes(NamedTuple):
    """`rest_ns`: how long a port or address rests after its leg · `window_ns`: how long an unknown address is waited for · `idle_ns`: how long
    a port without legs stays open.
    """

    rest_ns: int
    window_ns: int
    idle_ns: int


@dataclass(slots=True, eq=False)
class Port:
    """One bound RTP port. `socket`: the shell's index for it. `holder`: row of the leg that holds the slot, -1 none."""

    number: int
    socket: int
    holder: int = -1
    window_ends_ns: int = 0  # 0: holder not connected yet, no end
    rests_until_ns: int = 0
    idle_since_ns: int = 0  # of a port without legs
    rows: int = 0
    unknown_rows: int = 0
    remotes: dict[Remote, int] = field(default_factory=dict)
    resting: dict[Remote, int] = field(default_factory=dict)  # addresses of closed legs, and until when; oldest first


class PortBook:
    """Assigns ports to legs.

    `bind(port)` opens the RTP socket (and RTCP on the next number) and returns its index, or None when the port is in use; it raises NoPort
    when no other could be opened either. `unbind(index)` closes both; the index may come back from `bind`. `kept`: ports that stay open.
    """

    def __init__(
        self,
        ip: str,
        ports: tuple[int, int],
        sockets: tuple[Callable[[int], int | None], Callable[[int], None]],
        times: PortTimes,
        legs_per_port: int,
        kept: int,
    ) -> None:
        low, self.high = ports
        self.ip = ip
        self.low = low + (low & 1)
        self._bind, self._unbind = sockets
        self._legs_per_port = legs_per_port
        self._kept = kept
        self._times = times
        self._next = self.low
        self._free: OrderedDict[int, Port] = OrderedDict()  # slot not held, by number
        self._held: dict[int, Port] = {}
        self._resting: dict[int, Port] = {}
        self._idle: dict[int, Port] = {}  # without legs, in the order in which they have become so
        self._open_ports = 0

    def __len__(self) -> int:
        """Ports that are open."""
        return self._open_ports

    @property
    def used(self) -> int:
        """Those that have a leg."""
        return self._open_ports - len(self._idle)

    def assign(self, row: int, remote: Remote | None, now_ns: int) -> Port:
        """Return a port for a leg, its slot held for it. Raises NoPort."""
        self._end_rests(now_ns)
        port = self._find(remote, now_ns) or self._open()
        self._free.pop(port.number, None)
        self._idle.pop(port.number, None)
        self._held[port.number] = port
        port.holder, port.window_ends_ns = row, 0
        port.rows += 1
        if remote is None:
            port.unknown_rows += 1
        else:
            port.remotes[remote] = row
        return port

    def connect(
        self, port: Port, row: int, old: Remote | None, remote: Remote, now_ns: int, latches: bool, for_long: bool
    ) -> bool:
        """Note a leg's signalled address and start its latch window; without `latches` its slot is freed.

        `for_long`: it keeps the slot until its source is locked or it closes.

        Returns False when another leg on this port has that address: the leg cannot be told apart there.
        """
        if port.remotes.get(remote, row) != row:
            return False
        if old is None:
            port.unknown_rows -= 1
        elif port.remotes.get(old) == row:
            del port.remotes[old]
        port.remotes[remote] = row
        if latches and port.holder == -1 and port.number in self._free:
            del self._free[port.number]
            self._held[port.number] = port
            port.holder = row
        if port.holder == row:
            if latches:
                port.window_ends_ns = 0 if for_long else now_ns + self._times.window_ns
            else:
                self.settle(port, row)
        return True

    def settle(self, port: Port, row: int) -> None:
        """Free the slot if that leg holds it: its source is locked, or it will not latch any more."""
        if port.holder == row:
            port.holder = -1
            self._held.pop(port.number, None)
            self._free[port.number] = port

    def leave(self, port: Port, row: int, remote: Remote | None, sources: tuple[Remote, ...], now_ns: int) -> None:
        """Take a closed leg off its port; no leg of the same `sources` is placed there until they have rested."""
        port.rows -= 1
        for old, until_ns in list(islice(port.resting.items(), 2)):  # oldest first; two leave for each one or two that come
            if until_ns <= now_ns:
                del port.resting[old]
        for source in sources:
            port.resting.pop(source, None)
            port.resting[source] = now_ns + self._times.rest_ns
        if remote is None:
            port.unknown_rows -= 1
        elif port.remotes.get(remote) == row:
            del port.remotes[remote]
        if port.holder == row:
            port.holder = -1
            del self._held[port.number]
            port.rests_until_ns = now_ns + self._times.rest_ns
            self._resting[port.number] = port
        if not port.rows:
            port.idle_since_ns = now_ns
            self._idle[port.number] = port

    def sweep(self, now_ns: int) -> list[tuple[Port, int]]:
        """Free the slots whose rest or window is over. Return (port, row) of legs whose window has ended unlatched."""
        self._end_rests(now_ns)
        ended = [(p, p.holder) for p in self._held.values() if 0 < p.window_ends_ns <= now_ns]
        for port, row in ended:
            self.settle(port, row)
        return ended

    def close_idle(self, now_ns: int) -> list[int]:
        """Close ports that have had no leg for long; return their sockets' indexes."""
        self._end_rests(now_ns)
        closed: list[int] = []
        long_ago_ns = now_ns - max(self._times.idle_ns, self._times.rest_ns)  # then neither the slot nor an address of it rests
        for number, port in list(islice(self._idle.items(), MOST_CLOSED)):  # oldest first
            if port.idle_since_ns > long_ago_ns or self._open_ports <= self._kept:
                break
            del self._idle[number], self._free[number]
            self._open_ports -= 1
            self._unbind(port.socket)
            closed.append(port.socket)
        return closed

    def _end_rests(self, now_ns: int) -> None:
        while self._resting:
            number = next(iter(self._resting))  # oldest first
            if self._resting[number].rests_until_ns > now_ns:
                break
            self._free[number] = self._resting.pop(number)

    def _find(self, remote: Remote | None, now_ns: int) -> Port | None:
        """Newest first: few ports then carry all legs, and each port with a packet to send costs a tick a system call."""
        for port in islice(reversed(self._free.values()), MOST_PORTS_TRIED):
            if self._suits(port, remote, now_ns):
                return port
        return None

    def _suits(self, port: Port, remote: Remote | None, now_ns: int) -> bool:
        if port.rows >= self._legs_per_port or port.unknown_rows:
            return False
        if remote is None:
            return port.rows == 0
        if remote in port.remotes or remote == (self.ip, port.number):
            return False
        return port.resting.get(remote, 0) <= now_ns

    def _open(self) -> Port:
        for _ in range(self.low, self.high, 2):
            number = self._next
            self._next = self.low if number + 3 > self.high else number + 2
            if number in self._free or number in self._held or number in self._resting:
                continue
            socket = self._bind(number)
            if socket is not None:
                self._open_ports += 1
                return Port(number, socket)
        raise NoPort(
            f"no free RTP port on {self.ip} in {self.low}-{self.high}: "
            f"{len(self._held)} wait for their peer's first packet, {len(self._resting)} rest after use; widen the range"
        )
