# SPDX-License-Identifier: GPL-2.0-or-later
"""Which ports are open: few for many legs, and after a peak those that nobody needs are closed, by rule and for any order of events."""

from __future__ import annotations

import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from media.control.records import CloseLeg
from media.engine.options import EngineOptions
from media.engine.ports import MOST_CLOSED, NoPort, Port, PortBook, PortTimes, Remote
from tests.support.engine_rig import CLOSED, EngineRig, rtp

SECOND_NS = 1_000_000_000
TIMES = PortTimes(rest_ns=5 * SECOND_NS, window_ns=10 * SECOND_NS, idle_ns=60 * SECOND_NS)
KEPT = 3
LAST = 10_000 + 2 * 20 - 1


class Book:
    """A book whose sockets are numbers, given out anew when they are closed."""

    def __init__(self) -> None:
        self.open: dict[int, int] = {}  # port by socket
        self.book = PortBook("10.0.0.254", (10_000, LAST), (self._bind, self._unbind), TIMES, 4, KEPT)

    def _bind(self, port: int) -> int:
        assert port not in self.open.values(), "one port, one socket"
        index = next(number for number in itertools.count() if number not in self.open)
        self.open[index] = port
        return index

    def _unbind(self, index: int) -> None:
        del self.open[index]


def test_ports_come_back_after_a_peak_and_some_are_kept() -> None:
    rig = EngineRig(EngineOptions(kept_ports=4))
    for leg in range(1, 101):
        rig.connect(leg, ("10.0.0.1", 4000 + 2 * leg))
    assert rig.counter("ports") == rig.counter("ports_used") == 100, "each waits for its peer's first packet"
    rig.now_ns += SECOND_NS
    rig.do(*(CloseLeg(leg) for leg in range(1, 101)))
    rig.engine.check_timeouts(rig.now_ns + 59 * SECOND_NS)
    assert (rig.counter("ports"), rig.counter("ports_used")) == (100, 0)
    for _ in range(100 // MOST_CLOSED + 1):
        rig.engine.check_timeouts(rig.now_ns + 60 * SECOND_NS)
    assert rig.counter("ports") == 4 == sum(port != CLOSED for port in rig.bound)


def test_a_port_with_a_leg_is_never_closed_and_the_oldest_go_first() -> None:
    rig = EngineRig(EngineOptions(kept_ports=1))
    ports = [rig.connect(leg, ("10.0.0.1", 4000 + 2 * leg)) for leg in (1, 2, 3)]
    rig.do(CloseLeg(2))
    rig.now_ns += SECOND_NS
    rig.do(CloseLeg(3))
    rig.now_ns += 10**4 * SECOND_NS
    rig.engine.check_timeouts(rig.now_ns)
    assert [port for port in rig.bound if port != CLOSED] == ports[:1]
    rig.arrive(ports[0], ("10.0.0.1", 4002), rtp(1, 160, bytes(160)))
    assert rig.counter("packets_received") == 1


def test_no_address_of_a_closed_port_is_left() -> None:
    """An index that is given out anew must not bring a former leg's addresses with it."""
    rig = EngineRig(EngineOptions(kept_ports=0))
    rig.connect(1, ("10.0.0.1", 4000), rtcp_ip="10.0.0.1", rtcp_port=4010)
    rig.do(CloseLeg(1))
    rig.now_ns += 60 * SECOND_NS
    rig.engine.check_timeouts(rig.now_ns)
    entries = rig.engine.connections.addresses.entries
    assert not (entries["row"] >= 0).any() and not (entries["row"] == -3).any()


class PortsOfLegs(RuleBasedStateMachine):
    """Legs come and go, time passes: no port is closed under a leg, while it rests, or below those that are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.sockets = Book()
        self.now_ns = 0
        self.rows = itertools.count()
        self.legs: dict[int, tuple[Port, Remote | None]] = {}
        self.left_ns: dict[int, int] = {}  # when the last leg of a port has left it

    @rule(peer=st.integers(0, 5), known=st.booleans())
    def open(self, peer: int, known: bool) -> None:
        remote = ("10.0.0.1", 4000 + peer) if known else None
        row = next(self.rows)
        try:
            port = self.sockets.book.assign(row, remote, self.now_ns)
        except NoPort:
            assert len(self.sockets.open) == 20
            return
        assert self.sockets.open[port.socket] == port.number
        self.legs[row] = (port, remote)

    @precondition(lambda self: self.legs)
    @rule(data=st.data(), locked=st.booleans())
    def close(self, data: st.DataObject, locked: bool) -> None:
        row = data.draw(st.sampled_from(sorted(self.legs)))
        port, remote = self.legs.pop(row)
        if locked:
            self.sockets.book.settle(port, row)
        self.sockets.book.leave(port, row, remote, (remote,) if remote else (), self.now_ns)
        self.left_ns[port.number] = self.now_ns

    @rule(seconds=st.sampled_from([1, 6, 30, 61]))
    def pass_time(self, seconds: int) -> None:
        self.now_ns += seconds * SECOND_NS
        before = dict(self.sockets.open)
        self.sockets.book.sweep(self.now_ns)
        closed = self.sockets.book.close_idle(self.now_ns)
        assert closed == [] or len(self.sockets.open) >= KEPT
        for socket in closed:
            assert self.now_ns - self.left_ns[before[socket]] >= TIMES.idle_ns
        idle = [p for p in before.values() if p not in {leg.number for leg, _ in self.legs.values()}]
        if all(self.now_ns - self.left_ns[port] >= TIMES.idle_ns for port in idle):
            assert len(self.sockets.open) == max(len(before) - len(idle), min(KEPT, len(before)))

    @invariant()
    def every_leg_has_its_port(self) -> None:
        for port, _ in self.legs.values():
            assert self.sockets.open.get(port.socket) == port.number
        assert len(self.sockets.book) == len(self.sockets.open)


PortsOfLegs.TestCase.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
TestPortsOfLegs = PortsOfLegs.TestCase
