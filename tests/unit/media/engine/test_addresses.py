# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose packets reach a leg and where its own go: signalled and latched sources, port slots, rest after use (anchors R1, R2, R6)."""

from __future__ import annotations

import random
import struct

import pytest

from media.control.play_items import PlayBridge, PlayEcho
from media.control.records import CloseLeg, ConfirmLeg, ConnectLeg, Enqueue, LegFailed, LegOpened, MediaHeld, OpenLeg, RtpAddress
from media.engine.addresses import RESTING, AddressTable, sockaddr
from media.engine.options import EngineOptions
from tests.support.engine_rig import EngineRig, rtp, samples_of

SIGNALLED = ("10.0.0.1", 4000)
BEHIND_NAT = ("192.0.2.7", 61000)
NAT = (BEHIND_NAT[0],)
STRANGER = ("203.0.113.9", 5555)
LOUD = bytes([0x80] * 160)
SECOND = 1_000_000_000


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


def test_a_source_behind_nat_is_latched_after_a_contest_and_then_sent_to() -> None:
    rig = EngineRig()
    sent = stream(rig, echo(rig, signalling=NAT), BEHIND_NAT, 12)
    heard = [loud(packets[1]) for packets in sent]
    assert heard.index(True) in (9, 10) and all(heard[10:])  # CONTEST_NS after its first packet
    assert rig.destination(1) == BEHIND_NAT


def test_another_port_of_the_signalled_host_is_heard_after_three_packets_and_not_sent_to() -> None:
    rig = EngineRig()
    sent = stream(rig, echo(rig, signalling=(SIGNALLED[0],)), (SIGNALLED[0], 4444))
    assert [loud(packets[1]) for packets in sent] == [False, False, False, False, True, True]
    assert rig.destination(1) == SIGNALLED


@pytest.mark.parametrize(
    ("signalled", "signalling", "source", "taken", "sent_to"),
    [
        (("198.18.0.1", 4000), (), STRANGER, False, False),
        (("10.0.0.1", 4000), (), STRANGER, False, False),
        (("10.0.0.1", 4000), ("192.0.2.7",), STRANGER, False, False),  # behind NAT, but somewhere else
        (("10.0.0.1", 4000), ("192.0.2.7",), BEHIND_NAT, True, True),
        (("127.0.0.1", 4000), ("192.0.2.7",), BEHIND_NAT, True, True),  # a phone that knows no better
        (("10.0.0.1", 4000), ("10.0.0.1",), BEHIND_NAT, False, False),
        (("8.8.8.8", 4000), ("192.0.2.7",), BEHIND_NAT, False, False),  # a public address is believed
        (("8.8.8.8", 4000), ("192.0.2.7",), ("8.8.8.8", 4444), True, False),
        (("10.0.0.1", 4000), ("192.0.2.7",), ("10.0.0.1", 4444), True, False),
    ],
)
def test_who_may_be_the_peer_and_whom_we_send_to(
    signalled: tuple[str, int], signalling: tuple[str, ...], source: tuple[str, int], taken: bool, sent_to: bool
) -> None:
    rig = EngineRig()
    sent = stream(rig, echo(rig, remote=signalled, signalling=signalling), source, 20)
    assert loud(sent[-1][1]) is taken
    assert rig.destination(1) == (source if sent_to else signalled)


def test_a_stranger_ahead_of_a_phone_behind_nat_gets_nothing() -> None:
    for stranger in (STRANGER, (BEHIND_NAT[0], 1111)):  # elsewhere, and on the phone's own host
        rig = EngineRig()
        port, sent_to = echo(rig, signalling=NAT), set()
        for step in range(40):
            rig.arrive(port, stranger, rtp(step, 160 * step, LOUD, ssrc=66))
            if step >= 4:  # 80 ms later
                rig.arrive(port, BEHIND_NAT, rtp(step, 160 * step, LOUD, ssrc=1))
            rig.tick()
            sent_to.add(rig.destination(1))
        assert sent_to == {SIGNALLED, BEHIND_NAT}


def test_the_ssrc_of_the_signalled_host_s_reports_says_whose_packets_are_the_peer_s() -> None:
    for ssrc, taken in ((77, True), (78, False)):
        rig = EngineRig()
        port = echo(rig, signalling=(SIGNALLED[0],))
        rig.arrive(port, SIGNALLED, struct.pack(">BBHI", 0x80, 201, 1, 77))
        sent = stream(rig, port, BEHIND_NAT, 12, ssrc=ssrc)
        assert loud(sent[-1][1]) is taken
        assert rig.destination(1) == SIGNALLED


def test_a_silent_phone_behind_nat_is_sent_to_from_its_first_sign_of_life() -> None:
    report, stun = struct.pack(">BBHI", 0x80, 201, 1, 77), struct.pack(">HHI12x", 1, 0, 0x2112A442)
    for sign in (report, stun, b"", rtp(1, 1, b"x", payload_type=99)):
        rig = EngineRig()
        port = echo(rig, signalling=NAT)
        rig.arrive(port, STRANGER, sign)
        rig.tick()
        assert rig.destination(1) == SIGNALLED
        rig.arrive(port, BEHIND_NAT, sign)
        rig.tick()
        assert rig.destination(1) == BEHIND_NAT
        stream(rig, port, (BEHIND_NAT[0], 62000), 12)  # its audio has a door of its own
        assert rig.destination(1) == (BEHIND_NAT[0], 62000)


def test_a_phone_behind_nat_that_is_silent_for_long_is_heard_and_hears() -> None:
    rig = EngineRig(EngineOptions(latch_window_ns=1_000_000_000))
    port = echo(rig, signalling=NAT)
    rig.now_ns += 60_000_000_000
    rig.engine.check_timeouts(rig.now_ns)
    sent = stream(rig, port, BEHIND_NAT, 14)
    assert loud(sent[-1][1]) and rig.destination(1) == BEHIND_NAT


def test_without_symmetric_the_signalled_address_goes_on_being_sent_to() -> None:
    rig = EngineRig()
    stream(rig, echo(rig, symmetric=False, signalling=NAT), BEHIND_NAT, 12)
    assert rig.destination(1) == SIGNALLED


def test_signalled_source_takes_a_latched_leg_back() -> None:
    rig = EngineRig()
    port = echo(rig, signalling=NAT)
    stream(rig, port, BEHIND_NAT, 12, ssrc=66)
    assert rig.destination(1) == BEHIND_NAT
    stream(rig, port, SIGNALLED)
    assert rig.destination(1) == SIGNALLED
    assert (
        not any(loud(p[1]) for p in stream(rig, port, BEHIND_NAT, ssrc=66, first=12)[2:])
        or rig.counter("packets_dropped_resting") == 6
    )


# ------------------------------------------------------------------------------------- before the peer has shown that it is there
def sent_in(rig: EngineRig, ticks: int) -> int:
    return sum(1 in rig.tick() for _ in range(ticks))


def test_few_packets_go_to_an_address_that_has_not_sent_any_until_the_call_is_confirmed() -> None:
    rig = EngineRig()
    echo(rig, allowance=5)
    assert sent_in(rig, 100) == 5
    rig.do(ConnectLeg(1, *SIGNALLED, "PCMU", 8000, 0, 0, allowance=5))  # the 200 after the 183 says the same
    assert sent_in(rig, 100) == 0
    rig.do(ConfirmLeg(1))
    assert sent_in(rig, 100) == 100


def test_a_leg_that_waits_is_told_once_and_not_before_an_ack_could_have_come() -> None:
    rig = EngineRig()
    echo(rig, allowance=5)
    echo(rig, 2, ("10.0.0.2", 4000))
    told = []
    for tick in range(200):
        rig.tick()
        if tick % 10 == 0:
            rig.engine.check_timeouts(rig.now_ns)
            told += [(tick, event) for event in rig.do() if isinstance(event, MediaHeld)]
    assert [event for _, event in told] == [MediaHeld(1)] and 50 < told[0][0] < 80
    rig.do(CloseLeg(1))
    echo(rig, 3, allowance=5)  # in its row
    assert sum(3 in rig.tick() for _ in range(20)) == 5
    rig.do(ConfirmLeg(3))
    for _ in range(100):
        rig.tick()
        rig.engine.check_timeouts(rig.now_ns)
    assert not [event for event in rig.do() if isinstance(event, MediaHeld)], "it was confirmed in time"


@pytest.mark.parametrize("port_of_report", [None, 0])
def test_the_peer_s_own_packets_and_reports_confirm_too(port_of_report: int | None) -> None:
    rig = EngineRig()
    port = echo(rig, allowance=5)
    assert sent_in(rig, 10) == 5
    sign = rtp(1, 160, LOUD) if port_of_report is None else struct.pack(">BBHI", 0x80, 201, 1, 77)
    rig.arrive(port, STRANGER, sign)
    assert sent_in(rig, 10) == 0
    rig.arrive(port, SIGNALLED, sign)
    assert sent_in(rig, 10) == 10


def test_relayed_audio_is_held_back_alike() -> None:
    rig = EngineRig()
    one = rig.connect(1, SIGNALLED)
    rig.connect(2, ("10.0.0.2", 4000), allowance=5)
    rig.do(Enqueue(1, (PlayBridge(2),)), Enqueue(2, (PlayBridge(1),)))
    sent = 0
    for step in range(100):
        rig.arrive(one, SIGNALLED, rtp(step, 160 * step, LOUD))
        sent += len(rig.tick_all().get(2, []))
    assert sent == 5


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
    other_port = (SIGNALLED[0], 4444)
    assert not loud(stream(rig, port, other_port)[-1][1])
    rig.do(ConnectLeg(1, *SIGNALLED, "PCMU", 8000, 0, 0))  # a re-INVITE opens it again
    assert loud(stream(rig, port, other_port)[-1][1])


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
    rig = EngineRig(EngineOptions((RtpAddress("127.0.0.1", 10000, 10099),), rest_ns=2_000_000_000))
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


def test_calls_that_are_over_take_no_room_for_ever() -> None:
    """Each doubled the table once more: 40 bytes an address, found by the memory of 100 000 calls."""
    table, rest_ns, largest = AddressTable(), 5 * SECOND, 0
    for number in range(40_000):
        name, now_ns = sockaddr("10.0.0.1", number)[0], number * SECOND // 100
        table.set(name, number % 7, number % 100, now_ns)
        table.set(name, number % 7, RESTING, now_ns, now_ns + rest_ns)
        largest = max(largest, len(table.entries))
    assert largest <= 8 * 500, "500 rest at a time"
    assert [table.get(sockaddr("10.0.0.1", at)[0], at % 7) for at in (39_999, 39_600)] == [RESTING, RESTING]


def test_exhausted_range_says_what_to_change() -> None:
    rig = EngineRig(EngineOptions((RtpAddress("127.0.0.1", 10000, 10003),)))
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


@pytest.mark.parametrize("command", [OpenLeg(1, "fe80::1%" + "a" * 60_000, 4000), OpenLeg(1, "1" * 60_000, 4000)])
def test_a_text_of_a_message_s_length_is_no_address(command: OpenLeg) -> None:
    """Python takes a scope of any length, and addresses are remembered."""
    rig = EngineRig()
    rig.do(command)
    [failed] = [e for e in rig.events if isinstance(e, LegFailed)]
    assert failed.leg == 1 and "too long" in failed.reason and len(failed.reason) < 200


def test_no_two_legs_begin_with_the_same_random_numbers() -> None:
    rig = EngineRig()
    for leg in range(1, 200):  # more than are drawn at once
        rig.connect(leg, ("10.0.0.1", 4000 + 2 * leg))
    rows = rig.engine.legs.rows[rig.engine.legs.rows["used"] == 1]
    drawn = {name: set(rows[name].tolist()) for name in ("ssrc_out", "ts_out", "sequence_out")}
    assert len(drawn["ssrc_out"]) == len(drawn["ts_out"]) == 199
    assert len(drawn["sequence_out"]) > 190
    assert max(drawn["ssrc_out"]) > 2**31 > min(drawn["ssrc_out"]), "all of their bits are drawn"
