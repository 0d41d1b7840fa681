# SPDX-License-Identifier: GPL-2.0-or-later
"""Legs with SRTP in the engine: what they hear, what they send, and that nothing else reaches or leaves them."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.control.play_items import PlayBridge, PlayEcho, PlayRoom
from media.control.records import (
    CloseLeg,
    ConnectLeg,
    DigitPressed,
    Enqueue,
    LegFailed,
    OpenLeg,
    QueryStatistics,
    SendDigit,
    Srtp,
    SrtpKey,
)
from media.control.records import Statistics as Counted
from media.engine.addresses import NAME_BYTES, sockaddr
from media.engine.receive import Datagrams, receive_reports
from media.engine.secure import MOST_SSRCS
from media.engine.secure_legs import OLD_KEY_NS
from media.io import batch
from media.rtp.rtcp import read_compound
from tests.support.engine_rig import EngineRig, rtp, samples_of
from tests.support.srtp_reference import CM, GCM, KEY_BYTES, NotAuthentic, Stream

PEER, OTHER = ("10.0.0.1", 4000), ("10.0.0.2", 4000)
OURS, THEIRS = b"\1", b"\2"
LOUD = bytes([0x80]) * 160
pytestmark = pytest.mark.parametrize("suite", [CM, GCM])


def key(suite: str, seed: bytes) -> bytes:
    return seed * KEY_BYTES[suite]


def srtp(suite: str, theirs: bytes = THEIRS, ours: bytes = OURS, mki: bytes = b"") -> Srtp:
    return Srtp(suite, key(suite, ours), (SrtpKey(key(suite, theirs), mki),))


class Secured:
    """A leg with SRTP that echoes, and its peer."""

    def __init__(self, suite: str, mki: bytes = b"") -> None:
        self.rig, self.suite = EngineRig(), suite
        self.port = self.rig.connect(1, PEER, srtp=srtp(suite, mki=mki), dtmf_send=101, dtmf_receive=101)
        self.rig.do(Enqueue(1, (PlayEcho(),)))
        self.rig.tick()
        self.sends, self.hears = Stream(suite, key(suite, THEIRS), mki), Stream(suite, key(suite, OURS))
        self.sequence = 0

    def say(self, payload: bytes = LOUD, ts: int = -1, payload_type: int = 0) -> bytes:
        """The peer's next packet arrives; it is returned."""
        self.sequence += 1
        packet = self.sends.protect(rtp(self.sequence, 160 * self.sequence if ts < 0 else ts, payload, payload_type))
        self.rig.arrive(self.port, PEER, packet)
        return packet

    def echoed(self, packets: int = 12) -> int:
        """Of so many packets, the loudest sample that came back, opened by the peer."""
        loudest = 0
        for _ in range(packets):
            self.say()
            for packet in self.rig.tick().values():
                loudest = max(loudest, int(np.abs(samples_of(self.hears.unprotect(packet))).max()))
        return loudest

    def counter(self, name: str) -> int:
        return self.rig.counter(name)


@pytest.mark.parametrize("mki", [b"", b"\7"])
def test_both_sides_are_protected(suite: str, mki: bytes) -> None:
    call = Secured(suite, mki)
    assert call.echoed() > 30000
    assert call.counter("packets_dropped_not_authentic") == 0 and call.counter("legs_secure") == 1


def test_plain_packets_are_not_heard(suite: str) -> None:
    call = Secured(suite)
    for sequence in range(20):
        call.rig.arrive(call.port, PEER, rtp(sequence, 160 * sequence, LOUD))
        for packet in call.rig.tick().values():
            assert np.abs(samples_of(call.hears.unprotect(packet))).max() < 100
    assert call.counter("packets_dropped_not_authentic") == 20
    assert call.echoed() > 30000


def test_nothing_leaves_in_the_clear(suite: str) -> None:
    call = Secured(suite)
    call.rig.do(SendDigit(1, 5, 100))
    kinds = set()
    for _ in range(12):
        call.say(b"\xff" * 160)
        for packet in call.rig.tick().values():
            assert packet[12:40] not in (b"\xff" * 28, b"\x7f" * 28)
            plain = call.hears.unprotect(packet)
            kinds.add(plain[1] & 127)
    assert kinds == {0, 101}


def test_a_replayed_packet_is_dropped_and_counted(suite: str) -> None:
    call = Secured(suite)
    packets = [call.say() for _ in range(5)]
    call.rig.arrive(call.port, PEER, *packets)
    assert call.counter("packets_dropped_replayed") == 5
    assert call.echoed() > 30000
    call.rig.arrive(call.port, OTHER, *packets)
    assert call.counter("packets_dropped_replayed") == 5  # a stranger's is not even looked at


def test_a_changed_bit_is_noticed(suite: str) -> None:
    call = Secured(suite)
    call.echoed()
    packet = call.sends.protect(rtp(100, 16000, LOUD))
    for place in range(len(packet)):
        changed = packet[:place] + bytes([packet[place] ^ 1]) + packet[place + 1 :]
        call.rig.arrive(call.port, PEER, changed)
    assert call.counter("packets_dropped_not_authentic") + call.counter("packets_dropped_replayed") >= len(packet) - 2
    received = int(call.rig.engine.legs.rows["packets_received"].sum())
    call.rig.arrive(call.port, PEER, packet)
    assert int(call.rig.engine.legs.rows["packets_received"].sum()) == received + 1


@given(data=st.lists(st.binary(max_size=2048), max_size=30))
def test_any_bytes_are_taken(suite: str, data: list[bytes]) -> None:
    call = Secured(suite)
    call.rig.arrive(call.port, PEER, *data)
    call.rig.arrive(call.port, OTHER, *data)
    call.rig.arrive(call.port, PEER, *(b"\x80\x00" + one for one in data if len(one) < 2047))
    call.rig.tick()
    assert int(call.rig.engine.legs.rows["packets_received"].sum()) == 0
    assert call.echoed() > 30000


def test_garbage_does_not_latch(suite: str) -> None:
    """Who knows no key is no candidate, however many packets in sequence he sends."""
    call = Secured(suite)
    for sequence in range(40):
        call.rig.arrive(call.port, OTHER, rtp(sequence, 160 * sequence, LOUD))
        call.rig.tick()
    assert call.rig.destination(1) == PEER and call.counter("packets_candidate") == 0


def test_a_peer_behind_nat_is_latched_to(suite: str) -> None:
    rig = EngineRig()
    port = rig.connect(1, ("192.168.1.2", 4000), srtp=srtp(suite), signalling=("10.0.0.2",))
    peer = Stream(suite, key(suite, THEIRS))
    for sequence in range(20):
        rig.arrive(port, OTHER, peer.protect(rtp(sequence, 160 * sequence, LOUD)))
        rig.tick()
    assert rig.destination(1) == OTHER


def test_keys_are_digits_too(suite: str) -> None:
    call = Secured(suite)
    call.echoed(3)
    for end in (0, 0, 0x80, 0x80, 0x80):
        call.say(struct.pack(">BBH", 7, end | 10, 800), 480, payload_type=101)
        call.rig.tick()
    for _ in range(20):
        call.rig.tick()
    assert [event.event for event in call.rig.events if isinstance(event, DigitPressed)] == [7]


def test_a_room_of_secure_and_plain_legs(suite: str) -> None:
    call = Secured(suite)
    plain = call.rig.connect(2, OTHER)
    call.rig.do(*(Enqueue(leg, (PlayRoom("mixed"),), True) for leg in (1, 2)))
    heard = {1: 0, 2: 0}
    for sequence in range(30):
        call.say()
        call.rig.arrive(plain, OTHER, rtp(sequence, 160 * sequence, LOUD))
        for leg, packet in call.rig.tick().items():
            clear = call.hears.unprotect(packet) if leg == 1 else packet
            heard[leg] = max(heard[leg], int(np.abs(samples_of(clear)).max()))
    assert heard[1] > 30000 and heard[2] > 30000


def test_a_relay_opens_and_protects(suite: str) -> None:
    """Two legs in a bridge, one codec: payloads are passed on undecoded, between a leg with SRTP and one without."""
    call = Secured(suite)
    plain = call.rig.connect(2, OTHER)
    call.rig.do(*(Enqueue(leg, (PlayBridge(3 - leg),), True) for leg in (1, 2)))
    to_plain, to_secure = b"", b""
    for sequence in range(60):
        call.say(bytes([sequence % 100]) * 160)
        call.rig.arrive(plain, OTHER, rtp(sequence, 160 * sequence, bytes([100 + sequence % 100]) * 160))
        out = call.rig.tick()
        to_plain, to_secure = out.get(2, to_plain), call.hears.unprotect(out[1]) if 1 in out else to_secure
    assert call.counter("packets_relayed") > 50
    assert to_plain[12] < 100 and set(to_plain[12:]) == {to_plain[12]}
    assert to_secure[12] >= 100 and set(to_secure[12:]) == {to_secure[12]}


def test_the_same_keys_again_change_nothing(suite: str) -> None:
    """A session refresh, hold and resume: replays stay known, the rollover counter stays."""
    call = Secured(suite)
    call.sequence = 65530
    old = call.say()
    assert call.echoed() > 30000 and call.sends.rollover == 1
    for send in (False, True):
        call.rig.do(ConnectLeg(1, *PEER, "PCMU", 8000, 0, 0, send=send, srtp=srtp(suite)))
    call.rig.arrive(call.port, PEER, old)
    assert call.counter("packets_dropped_replayed") == 1
    assert call.echoed() > 30000


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_new_key_takes_over(suite: str, goes_on: bool) -> None:
    """The peer changes its key in the middle; its rollover counter goes on or begins anew, and the old key is good for what is on its way."""
    call = Secured(suite)
    call.sequence = 65530
    call.echoed()
    assert call.sends.rollover == 1
    call.rig.do(ConnectLeg(1, *PEER, "PCMU", 8000, 0, 0, srtp=srtp(suite, b"\3")))
    on_its_way = [call.sends.protect(rtp(call.sequence + i, 0, LOUD)) for i in (1, 2)]
    call.rig.arrive(call.port, PEER, *on_its_way)
    assert call.counter("packets_dropped_not_authentic") == 0
    call.sequence += 2
    call.sends = Stream(suite, key(suite, b"\3"), rollover=1 if goes_on else 0)
    assert call.echoed() > 30000
    call.rig.engine.check_timeouts(call.rig.now_ns)
    assert call.counter("packets_dropped_not_authentic") == 0
    late = Stream(suite, key(suite, THEIRS), rollover=1).protect(rtp(call.sequence + 1, 0, LOUD))
    call.rig.arrive(call.port, PEER, late)
    assert call.counter("packets_dropped_not_authentic") == 1
    assert call.echoed() > 30000


def test_two_new_keys_in_a_row(suite: str) -> None:
    """The first of them is never used: the rollover counter goes on all the same, and what is on its way is still heard."""
    call = Secured(suite)
    call.sequence = 65530
    call.echoed()
    for first in (b"\3", b"\4"):
        call.rig.do(ConnectLeg(1, *PEER, "PCMU", 8000, 0, 0, srtp=srtp(suite, first)))
    call.say()
    call.sends = Stream(suite, key(suite, b"\4"), rollover=1)
    assert call.echoed() > 30000 and call.counter("packets_dropped_not_authentic") == 0


def test_an_old_key_ends_though_no_new_one_comes(suite: str) -> None:
    call = Secured(suite)
    call.echoed()
    call.rig.do(ConnectLeg(1, *PEER, "PCMU", 8000, 0, 0, srtp=srtp(suite, b"\3")))
    call.rig.now_ns += OLD_KEY_NS + 1
    call.rig.engine.check_timeouts(call.rig.now_ns)
    call.say()
    assert call.counter("packets_dropped_not_authentic") == 1
    call.sends = Stream(suite, key(suite, b"\3"))
    assert call.echoed() > 30000


def test_our_new_key_and_suite(suite: str) -> None:
    call = Secured(suite)
    call.echoed()
    other = GCM if suite == CM else CM
    call.rig.do(ConnectLeg(1, *PEER, "PCMU", 8000, 0, 0, srtp=srtp(other, b"\4", b"\5")))
    call.sends, call.hears = Stream(other, key(other, b"\4")), Stream(other, key(other, b"\5"))
    assert call.echoed() > 30000


def test_a_leg_becomes_plain_and_secure_again(suite: str) -> None:
    call = Secured(suite)
    call.echoed()
    call.rig.do(ConnectLeg(1, *PEER, "PCMU", 8000, 0, 0))
    assert call.counter("legs_secure") == 0
    call.rig.arrive(call.port, PEER, rtp(call.sequence + 1, 0, LOUD))
    call.rig.do(ConnectLeg(1, *PEER, "PCMU", 8000, 0, 0, srtp=srtp(suite, b"\6", b"\7")))
    call.sends, call.hears = Stream(suite, key(suite, b"\6")), Stream(suite, key(suite, b"\7"))
    assert call.echoed() > 30000
    call.rig.do(CloseLeg(1))
    assert call.counter("legs_secure") == 0


def test_many_legs_have_keys_of_their_own(suite: str) -> None:
    rig = EngineRig()
    calls = range(1, 30)
    for leg in calls:
        rig.connect(leg, ("10.0.1.1", 5000 + leg), srtp=srtp(suite, bytes([leg]), bytes([100 + leg])))
        rig.do(Enqueue(leg, (PlayEcho(),)))
    streams = {leg: Stream(suite, key(suite, bytes([100 + leg]))) for leg in calls}
    for packet_of in (rig.tick(), rig.tick()):
        assert len(packet_of) == len(calls)
        for leg, packet in packet_of.items():
            streams[leg].unprotect(packet)
            with pytest.raises(NotAuthentic):
                Stream(suite, key(suite, OURS)).unprotect(packet)
    rig.do(*(CloseLeg(leg) for leg in calls))
    assert rig.counter("legs_secure") == 0


def test_a_peer_has_so_many_streams(suite: str) -> None:
    """Each authentic SSRC costs libsrtp a context: no tick may allocate without end."""
    call = Secured(suite)
    for ssrc in range(MOST_SSRCS + 10):
        call.rig.arrive(call.port, PEER, Stream(suite, key(suite, THEIRS)).protect(rtp(1, 160, LOUD, ssrc=100 + ssrc)))
    assert call.counter("packets_dropped_not_authentic") == 10


def test_reports_are_protected_both_ways(suite: str) -> None:
    call = Secured(suite)
    call.echoed()
    rig, engine = call.rig, call.rig.engine
    row = engine.by_number[1].row
    sent: list[bytes] = []
    engine.legs.rows[row]["rtcp_bytes"] = 16
    batches = batch.Batches()
    files = np.full(64, -1, np.int32)
    batch.send_reports(
        files, engine.legs.rows, engine.keys, row, 250, batches.report, rig.now_ns, rig.now_ns, engine.canonical_name
    )
    sent.append(batches.report.data[: int(batches.report.iovec[0]["bytes"])].tobytes())
    plain = call.hears.unprotect_report(sent[0])
    leg = np.zeros(1, engine.legs.rows.dtype)
    assert plain[1] == 200 and read_compound(leg[0], np.frombuffer(bytearray(plain), np.uint8), len(plain), 0, 0) == 1
    ours = int(engine.legs.rows[row]["ssrc_out"])
    report = b"\x81\xc9\0\7" + struct.pack(">IIBBHIIII", 1, ours, 64, 0, 0, 0, 5, 0, 0)
    protected = call.sends.protect_report(report)

    def arrives(datagram: bytes, port: int) -> None:
        name = np.frombuffer(sockaddr(PEER[0], port)[0], np.uint8).reshape(1, NAME_BYTES).copy()
        data = np.zeros((1, 2112), np.uint8)
        data[0, : len(datagram)] = np.frombuffer(datagram, np.uint8)
        into = Datagrams(data, np.full(1, len(datagram), np.int32), name)
        receive_reports(engine.receiver, rig.bound.index(call.port), into, 1, rig.now_ns, rig.now_ns)

    arrives(report, PEER[1] + 1)
    assert call.counter("rtcp_understood") == 0 and call.counter("packets_dropped_not_authentic") == 1
    arrives(protected, PEER[1] + 1)
    assert call.counter("rtcp_understood") == 1 and int(engine.legs.rows[row]["peer_lost_q8"]) == 64
    arrives(protected, PEER[1] + 1)
    assert call.counter("rtcp_understood") == 1 and call.counter("packets_dropped_replayed") == 1
    rig.arrive(call.port, PEER, call.sends.protect_report(report))  # at the RTP port
    assert call.counter("rtcp_understood") == 2


def test_wrong_keys_fail_the_leg_and_name_why(suite: str) -> None:
    rig = EngineRig()
    rig.do(OpenLeg(1, *PEER))
    events = rig.do(ConnectLeg(1, *PEER, "PCMU", 8000, 0, 0, srtp=Srtp(suite, b"short", (SrtpKey(b"short"),))))
    assert [event.reason for event in events if isinstance(event, LegFailed)] == [
        f"a key of 5 bytes for {suite}, which takes {KEY_BYTES[suite]}"
    ]
    assert not rig.tick()


def test_a_leg_says_that_it_is_secure(suite: str) -> None:
    call = Secured(suite)
    call.rig.arrive(call.port, PEER, rtp(1, 1, LOUD))
    (counted,) = [event for event in call.rig.do(QueryStatistics(1, 1)) if isinstance(event, Counted)]
    assert counted.counters["secure"] == 1 and counted.counters["packets_not_authentic"] == 1


def test_keys_are_never_printed(suite: str) -> None:
    secret = bytes(range(KEY_BYTES[suite]))
    connection = ConnectLeg(1, *PEER, "PCMU", 8000, 0, 0, srtp=Srtp(suite, secret, (SrtpKey(secret, b"\1"),)))
    assert suite in repr(connection) and repr(secret)[2:20] not in repr(connection)
