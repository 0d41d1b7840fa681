# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose packets reach a leg and where its own go: signalled and latched sources, port slots, rest after use (anchors R1, R2, R6)."""

from __future__ import annotations

import random

from media.control.play_items import PlayEcho
from media.control.records import CloseLeg, ConnectLeg, Enqueue, LegFailed, LegOpened, OpenLeg
from media.engine.options import EngineOptions
from tests.support.engine_rig import EngineRig, rtp, samples_of

SIGNALLED = ("10.0.0.1", 4000)
BEHIND_NAT = ("192.0.2.7", 61000)
STRANGER = ("203.0.113.9", 5555)
LOUD = bytes([0x80] * 160)


def echo(rig: EngineRig, leg: int = 1, remote: tuple[str, int] = SIGNALLED, **more: object) -> int:
    port = rig.connect(leg, remote, **more)
    rig.do(Enqueue(leg, (PlayEcho(),)))
    return port


def stream(
    rig: EngineRig, port: int, source: tuple[str, int], count: int = 6, ssrc: int = 1, first: int = 0
) -> list[dict[int, bytes]]:
    """Packets of a source, one a tick; what was sent in those ticks."""
    sent = []
    for step in range(first, first + count):
        rig.arrive(port, source, rtp(step, 160 * step, LOUD, ssrc=ssrc))
        sent.append(rig.tick())
    return sent


def loud(packet: bytes) -> bool:
    return bool(abs(samples_of(packet).astype(int)).max() > 1000)


def test_signalled_source_is_heard_from_its_first_packet() -> None:
    rig = EngineRig()
    sent = stream(rig, echo(rig), SIGNALLED)
    assert [loud(packets[1]) for packets in sent] == [False, True, True, True, True, True]
    assert rig.destination(1) == SIGNALLED


def test_unknown_source_is_latched_after_three_packets_in_sequence_and_then_sent_to() -> None:
    rig = EngineRig()
    sent = stream(rig, echo(rig), BEHIND_NAT)
    assert [loud(packets[1]) for packets in sent] == [False, False, False, False, True, True]
    assert rig.destination(1) == BEHIND_NAT


def test_without_symmetric_the_signalled_address_goes_on_being_sent_to() -> None:
    rig = EngineRig()
    stream(rig, echo(rig, symmetric=False), BEHIND_NAT)
    assert rig.destination(1) == SIGNALLED


def test_signalled_source_takes_a_latched_leg_back() -> None:
    rig = EngineRig()
    port = echo(rig)
    stream(rig, port, STRANGER, ssrc=66)
    assert rig.destination(1) == STRANGER
    stream(rig, port, SIGNALLED)
    assert rig.destination(1) == SIGNALLED
    assert (
        not any(loud(p[1]) for p in stream(rig, port, STRANGER, ssrc=66, first=6)[2:])
        or rig.counter("packets_dropped_resting") == 6
    )


def test_stranger_is_dropped_once_the_source_is_locked_even_with_its_ssrc() -> None:
    """R2: neither audible nor able to change the stream."""
    rig = EngineRig()
    port = echo(rig)
    stream(rig, port, SIGNALLED)
    before = rig.engine.legs.rows[0].copy()
    rig.arrive(port, STRANGER, *(rtp(900 + i, 7, LOUD, ssrc=1) for i in range(50)), *(rtp(i, 7, LOUD, ssrc=9) for i in range(50)))
    assert rig.engine.legs.rows[0] == before
    assert rig.counter("packets_dropped_stranger") == 100


def test_sprayed_packets_latch_nothing() -> None:
    """R1: one attacker sends the same 172 bytes, then random ones, to every port for a minute; nothing is ever sent to him."""
    rig = EngineRig()
    ports = [echo(rig, leg, ("10.0.0.1", 4000 + leg)) for leg in range(1, 11)]
    chance = random.Random(1)
    for tick in range(3000):
        if tick % 20 == 0:
            rig.engine.check_timeouts(rig.now_ns)
        for port in ports:
            sequence = 5 if tick % 2 else chance.getrandbits(16)
            rig.arrive(port, STRANGER, rtp(sequence, chance.getrandbits(32), LOUD, ssrc=7))
        rig.tick()
        assert STRANGER not in [rig.destination(leg) for leg in range(1, 11)]


def test_latch_window_ends() -> None:
    rig = EngineRig(EngineOptions(latch_window_ns=1_000_000_000))
    port = echo(rig)
    rig.now_ns += 1_100_000_000
    rig.engine.check_timeouts(rig.now_ns)
    stream(rig, port, BEHIND_NAT)
    assert rig.destination(1) == SIGNALLED
    rig.do(ConnectLeg(1, *SIGNALLED, "PCMU", 8000, 0, 0))  # a re-INVITE opens it again
    stream(rig, port, BEHIND_NAT)
    assert rig.destination(1) == BEHIND_NAT


def test_two_unlatched_legs_never_share_a_port_and_latched_ones_do() -> None:
    rig = EngineRig()
    first = echo(rig, 1, ("10.0.0.1", 4000))
    assert echo(rig, 2, ("10.0.0.2", 4000)) != first
    stream(rig, first, ("10.0.0.1", 4000))
    assert echo(rig, 3, ("10.0.0.3", 4000)) == first


def test_calls_one_after_the_other_fill_few_ports_whatever_a_burst_opened() -> None:
    """Every port with a packet to send costs a tick a system call."""
    rig = EngineRig()
    burst = [echo(rig, leg, ("10.0.0.1", 4000 + leg)) for leg in range(1, 11)]
    for leg, port in enumerate(burst, 1):
        rig.arrive(port, ("10.0.0.1", 4000 + leg), rtp(0, 0, LOUD))
        rig.tick()
    assert len(set(burst)) == 10
    later = []
    for leg in range(11, 61):
        later.append(echo(rig, leg, ("10.0.0.1", 4000 + leg)))
        rig.arrive(later[-1], ("10.0.0.1", 4000 + leg), rtp(0, 0, LOUD))
        rig.tick()
    assert len(set(later)) == 1


def test_legs_on_one_port_hear_only_their_own_peer() -> None:
    rig = EngineRig()
    a = echo(rig, 1, ("10.0.0.1", 4000))
    stream(rig, a, ("10.0.0.1", 4000))
    b = echo(rig, 2, ("10.0.0.2", 4000))
    assert a == b
    sent = stream(rig, b, ("10.0.0.2", 4000))
    assert loud(sent[-1][2]) and not loud(sent[-1][1])


def test_same_address_never_twice_on_one_port() -> None:
    rig = EngineRig()
    a = echo(rig, 1)
    stream(rig, a, SIGNALLED)
    assert echo(rig, 2, SIGNALLED) != a


def test_leg_with_unknown_peer_has_its_port_alone_until_connected() -> None:
    rig = EngineRig()
    opened = [e for e in rig.do(OpenLeg(1)) if isinstance(e, LegOpened)]
    echo(rig, 2, ("10.0.0.2", 4000))
    assert rig.ports[2] != opened[0].port


def test_new_leg_never_hears_the_peer_of_an_old_one() -> None:
    """R6: a thousand calls; each old peer goes on sending for a second after its call has ended."""
    rig = EngineRig(EngineOptions(port_low=10000, port_high=10099, rest_ns=2_000_000_000))
    old: list[tuple[int, tuple[str, int]]] = []
    for call in range(1000):
        remote = ("10.0.0.1", 1024 + call)
        port = echo(rig, call, remote)
        for step in range(4):
            for late_port, late_peer in old[-10:]:
                rig.arrive(late_port, late_peer, rtp(step + 100, 160 * step, LOUD, ssrc=1))
            sent = rig.tick()[call]
            assert not loud(sent), f"call {call} on port {port} hears somebody else"
            assert rig.destination(call) == remote
        if call % 2:  # half of the peers were latched, the others never sent
            rig.arrive(port, remote, rtp(0, 0, LOUD, ssrc=1))
            rig.tick()
        rig.do(CloseLeg(call))
        old.append((port, remote))
        rig.now_ns += 20_000_000


def test_exhausted_range_says_what_to_change() -> None:
    rig = EngineRig(EngineOptions(port_low=10000, port_high=10003))
    rig.taken.add(10002)
    rig.connect(1, SIGNALLED)
    failed = rig.do(OpenLeg(2, "10.0.0.2", 4000))[0]
    assert isinstance(failed, LegFailed) and "widen the range" in failed.reason


def test_reconnecting_to_anothers_address_is_refused() -> None:
    rig = EngineRig()
    a = echo(rig, 1, ("10.0.0.1", 4000))
    stream(rig, a, ("10.0.0.1", 4000))
    b = echo(rig, 2, ("10.0.0.2", 4000))
    assert a == b
    events = rig.do(ConnectLeg(2, "10.0.0.1", 4000, "PCMU", 8000, 0, 0))
    assert any(isinstance(e, LegFailed) for e in events)


def test_hold_stops_sending_and_resuming_starts_with_a_marker() -> None:
    rig = EngineRig()
    echo(rig)
    assert rig.tick()[1][1] & 0x80
    before = rig.tick()[1]
    rig.do(ConnectLeg(1, *SIGNALLED, "PCMU", 8000, 0, 0, send=False))
    assert rig.tick() == {} and rig.tick() == {}
    rig.do(ConnectLeg(1, *SIGNALLED, "PCMU", 8000, 0, 0))
    after = rig.tick()[1]
    assert after[1] & 0x80
    assert (int.from_bytes(after[4:8], "big") - int.from_bytes(before[4:8], "big")) & 0xFFFFFFFF == 3 * 160
    assert (int.from_bytes(after[2:4], "big") - int.from_bytes(before[2:4], "big")) & 0xFFFF == 1
