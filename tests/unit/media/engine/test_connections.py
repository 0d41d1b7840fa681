# SPDX-License-Identifier: GPL-2.0-or-later
"""What ConnectLeg says about the wire: hold by no address, reports, several codecs, the clock of keys."""

from __future__ import annotations

import itertools
import struct
from dataclasses import replace

import numpy as np
import pytest

from media.codecs import find
from media.control.play_items import PlayEcho, PlayTone
from media.control.records import (
    CloseLeg,
    ConfirmLeg,
    ConnectLeg,
    DigitPressed,
    Enqueue,
    LegFailed,
    OpenLeg,
    ReceivedFormat,
    SendDigit,
)
from media.engine.addresses import NAME_BYTES, sockaddr
from media.engine.receive import Datagrams, receive_reports
from tests.support import tones
from tests.support.engine_rig import EngineRig, rtp, samples_of

PEER, NATTED = ("192.0.2.1", 4000), ("198.51.100.9", 61000)
PCMA = ReceivedFormat(8, 8, "PCMA", 8000)


def latched(rig: EngineRig) -> ConnectLeg:
    """A leg whose peer sends from where its signalling comes from, and says another address; its connection."""
    rig.connect(1, PEER, signalling=(NATTED[0],))
    for sequence in range(10):  # longer than others have to show themselves
        rig.arrive(rig.ports[1], NATTED, rtp(sequence, sequence * 160, bytes([0xD5]) * 160))
        rig.tick()
    assert rig.destination(1) == NATTED
    connection = rig.engine.by_number[1].connection
    assert connection is not None
    return connection


@pytest.mark.parametrize("nowhere", ["0.0.0.0", "::"])
def test_a_peer_behind_nat_comes_back_from_hold_by_no_address(nowhere: str) -> None:
    rig = EngineRig()
    connection = latched(rig)
    rig.do(Enqueue(1, (PlayTone((440,)),)))
    rig.do(replace(connection, remote_ip=nowhere, remote_port=9, send=False))
    assert 1 not in rig.tick()
    rig.do(connection)
    assert 1 in rig.tick() and rig.destination(1) == NATTED
    before = rig.counter("packets_dropped_stranger")
    rig.arrive(rig.ports[1], NATTED, rtp(10, 1600, bytes(160)))
    assert rig.counter("packets_dropped_stranger") == before, "what it sends is still its own"


def reports_to(rig: EngineRig) -> bytes:
    row = rig.engine.legs.rows[rig.engine.by_number[1].row]
    return row["rtcp_name"].tobytes() if row["rtcp_bytes"] else b""


def test_reports_go_where_the_peer_says() -> None:
    rig = EngineRig()
    rig.connect(1, PEER)
    assert reports_to(rig) == sockaddr("192.0.2.1", 4001)[0]
    rig.connect(2, ("192.0.2.2", 4000))
    connection = rig.engine.by_number[1].connection
    assert connection is not None
    rig.do(replace(connection, rtcp_ip="192.0.2.1", rtcp_port=7000))
    assert reports_to(rig) == sockaddr("192.0.2.1", 7000)[0]
    rig.do(replace(connection, remote_ip="0.0.0.0", send=False))
    assert reports_to(rig) == b""
    rig.do(connection)
    assert reports_to(rig) == sockaddr("192.0.2.1", 4001)[0]
    wrong = rig.do(replace(connection, rtcp_ip="somewhere", rtcp_port=7000))
    assert any(isinstance(event, LegFailed) and "somewhere" in event.reason for event in wrong)
    rig.do(replace(connection, remote_port=65535))
    assert reports_to(rig) == b"", "there is no port above"


def report(rig: EngineRig, leg: int, source: tuple[str, int], ssrc: int = 77) -> None:
    """Let a report come to the RTCP port beside a leg's; from an even port, as RTP's are, to the leg's own."""
    datagram = struct.pack(">BBHI", 0x80, 201, 1, ssrc)
    if source[1] % 2 == 0 and source[1] < 7000:
        rig.arrive(rig.ports[leg], source, datagram)
        return
    data, names = np.zeros((1, 2112), np.uint8), np.zeros((1, NAME_BYTES), np.uint8)
    data[0, :8] = np.frombuffer(datagram, np.uint8)
    names[0] = np.frombuffer(sockaddr(*source)[0], np.uint8)
    socket = rig.bound.index(rig.ports[leg])
    receive_reports(rig.engine.receiver, socket, Datagrams(data, np.full(1, 8, np.int32), names), 1, rig.now_ns, rig.now_ns)


def understood(rig: EngineRig, leg: int, source: tuple[str, int]) -> int:
    """How many reports are understood more after one has come."""
    before = rig.counter("rtcp_understood")
    report(rig, leg, source)
    return rig.counter("rtcp_understood") - before


def test_reports_come_from_where_the_peer_says() -> None:
    rig = EngineRig()
    rig.connect(1, PEER, rtcp_ip=PEER[0], rtcp_port=7000)
    rig.arrive(rig.ports[1], PEER, rtp(1, 1, bytes(160)))
    rig.tick()
    assert (understood(rig, 1, (PEER[0], 7000)), understood(rig, 1, (PEER[0], 4001)), understood(rig, 1, (PEER[0], 7002))) == (
        1,
        1,
        0,
    )
    connection = rig.engine.by_number[1].connection
    assert connection is not None
    rig.do(replace(connection, rtcp_port=7002))
    assert (understood(rig, 1, (PEER[0], 7000)), understood(rig, 1, (PEER[0], 7002))) == (0, 1)
    rig.do(replace(connection, rtcp_ip="", rtcp_port=0))
    assert understood(rig, 1, (PEER[0], 7002)) == 0
    rig.do(replace(connection, rtcp_port=7002), CloseLeg(1))
    rig.connect(2, ("192.0.2.3", 4000))
    assert understood(rig, 2, (PEER[0], 7002)) == 0, "nothing is left of a closed leg"


def test_an_address_of_another_leg_is_left_to_it() -> None:
    rig = EngineRig()
    rig.connect(1, PEER)
    rig.arrive(rig.ports[1], PEER, rtp(1, 1, bytes(160)))
    rig.tick()
    assert rig.connect(2, (PEER[0], 5000), rtcp_ip=PEER[0], rtcp_port=PEER[1] + 1) == rig.ports[1]
    before = rig.engine.legs.rows[rig.engine.by_number[1].row]["packets_received"]
    rig.arrive(rig.ports[1], PEER, rtp(2, 161, bytes(160)))
    assert rig.engine.legs.rows[rig.engine.by_number[1].row]["packets_received"] == before + 1
    rig.do(CloseLeg(2))
    rig.arrive(rig.ports[1], PEER, rtp(3, 321, bytes(160)))
    assert rig.engine.legs.rows[rig.engine.by_number[1].row]["packets_received"] == before + 2


def test_reports_follow_a_peer_behind_nat() -> None:
    rig = EngineRig()
    connection = latched(rig)
    rig.do(replace(connection, rtcp_ip="192.0.2.1", rtcp_port=7000))
    assert reports_to(rig) == sockaddr(NATTED[0], NATTED[1] + 1)[0]


def test_every_agreed_codec_is_heard_and_answered_in_kind() -> None:
    rig = EngineRig()
    rig.connect(1, PEER, also=(PCMA,))
    rig.do(Enqueue(1, (PlayEcho(),)))
    heard: dict[int, list[np.ndarray]] = {0: [], 8: []}
    tone = tones.tone(500.0, 2000)
    for sequence in range(80):
        kind, name = (0, "PCMU") if sequence < 20 or sequence >= 60 else (8, "PCMA")
        codec = find(name, 8000)
        assert codec is not None
        samples = tone[(160 * sequence) % 16000 :][:160]
        rig.arrive(rig.ports[1], PEER, rtp(sequence, sequence * 160, codec.encode(samples).tobytes(), kind))
        packet = rig.tick()[1]
        heard[packet[1] & 127].append(samples_of(packet, {0: "PCMU", 8: "PCMA"}[packet[1] & 127]))
    assert tones.heard(np.concatenate(heard[0][5:18]), [500.0, 700.0]) == {500.0}
    assert tones.heard(np.concatenate(heard[8][8:]), [500.0, 700.0]) == {500.0}
    assert len(heard[8]) >= 35
    rig.arrive(rig.ports[1], PEER, rtp(80, 12800, bytes(160), 3))
    assert rig.tick()[1][1] & 127 == 0, "GSM was not agreed on"


def test_a_peer_that_sends_two_codecs_in_turn_is_followed_slowly() -> None:
    rig = EngineRig()
    rig.connect(1, PEER, also=(PCMA, ReceivedFormat(97, 97, "NOBODYS", 8000)))
    kinds = []
    for sequence in range(40):
        rig.arrive(rig.ports[1], PEER, rtp(sequence, sequence * 160, bytes(160), (0, 8, 97)[sequence % 3]))
        kinds.append(rig.engine.legs.rows[rig.engine.by_number[1].row]["payload_type_receive"])
        rig.tick()
    assert sum(a != b for a, b in itertools.pairwise(kinds)) <= 40 * 20 // 100 + 1
    assert not any(isinstance(event, LegFailed) for event in rig.events)


@pytest.mark.parametrize("clock_hz", [8000, 16000, 48000])
def test_keys_last_as_long_as_their_own_clock_says(clock_hz: int) -> None:
    rig = EngineRig()
    rig.connect(1, PEER, dtmf_receive=101, dtmf_send=102, dtmf_send_clock_hz=clock_hz, dtmf_receive_clock_hz=clock_hz)
    ticks = clock_hz // 10
    rig.arrive(rig.ports[1], PEER, rtp(1, 1, struct.pack(">BBH", 5, 0x8A, ticks), 101))
    rig.tick()
    assert [e.duration_ms for e in rig.events if isinstance(e, DigitPressed)] == [100]
    rig.do(Enqueue(1, (PlayTone((440,)),)), SendDigit(1, 5, 240))
    sent = [p for p in (rig.tick()[1] for _ in range(20)) if p[1] & 127 == 102]
    assert int.from_bytes(sent[-1][14:16], "big") == clock_hz * 240 // 1000
    assert int.from_bytes(sent[0][14:16], "big") == clock_hz * 20 // 1000 and len(sent) == 14


def test_a_press_longer_than_its_field_goes_on_in_segments() -> None:
    """RFC 4733 §2.5.1.3: without a marker, from a later timestamp, and only the last segment ends."""
    rig = EngineRig()
    rig.connect(1, PEER, dtmf_send=102, dtmf_send_clock_hz=48000)
    rig.do(Enqueue(1, (PlayTone((440,)),)), SendDigit(1, 5, 3000))
    sent = [p for p in (rig.tick()[1] for _ in range(170)) if p[1] & 127 == 102]
    stamps = [int.from_bytes(p[4:8], "big") for p in sent]
    segments = sorted(set(stamps), key=stamps.index)
    assert len(segments) == 3 and [p[1] >> 7 for p in sent] == [1] + [0] * (len(sent) - 1)
    last = [max(int.from_bytes(p[14:16], "big") for p, ts in zip(sent, stamps, strict=True) if ts == one) for one in segments]
    assert sum(last) == 3 * 48000 and max(last) <= 65535
    assert [(b - a) & 0xFFFFFFFF for a, b in itertools.pairwise(segments)] == [ticks * 8000 // 48000 for ticks in last[:-1]]
    assert [p[13] >> 7 for p in sent] == [0] * (len(sent) - 3) + [1] * 3


def test_keys_that_a_peer_does_not_take_are_kept_for_no_later_one() -> None:
    rig = EngineRig()
    rig.do(OpenLeg(1, *PEER), SendDigit(1, 1, 100))  # before offer and answer are complete: it waits
    rig.do(ConnectLeg(1, *PEER, "PCMU", 8000, 0, 0, dtmf_send=-1))
    rig.do(Enqueue(1, (PlayTone((440,)),)), SendDigit(1, 5, 100))
    assert not rig.engine._parts.digits.is_sending(rig.engine.by_number[1]), "it keeps nothing from being relayed"
    rig.do(ConnectLeg(1, *PEER, "PCMU", 8000, 0, 0, dtmf_send=102))
    assert {rig.tick()[1][1] & 127 for _ in range(20)} == {0}
    rig.do(SendDigit(1, 7, 100))
    sent = [p for p in (rig.tick()[1] for _ in range(20)) if p[1] & 127 == 102]
    assert {p[12] for p in sent} == {7}


# ------------------------------------------------------------------------------------------------ another port of the signalled host
OTHER_PORT = (PEER[0], 61000)
SEES_US = ConfirmLeg(1)


def speaks(rig: EngineRig, source: tuple[str, int], length_ms: int, first: int = 0, ssrc: int = 1) -> list[tuple[str, int]]:
    """A packet a tick; where ours went."""
    went = []
    for sequence in range(first, first + length_ms // 20):
        rig.arrive(rig.ports[1], source, rtp(sequence, sequence * 160, bytes([0xD5]) * 160, ssrc=ssrc))
        went += [rig.destination(1)] if 1 in rig.tick() else []
    return went


def stun_phone(*first: object, allowance: int = 5) -> EngineRig:
    """A leg that plays to a peer whose NAT gives each destination another port than the one that its description names."""
    rig = EngineRig()
    rig.connect(1, PEER, allowance=allowance)
    rig.do(Enqueue(1, (PlayTone((440,)),)), *first)
    return rig


def test_it_is_sent_to_when_nothing_comes_from_the_signalled_one() -> None:
    rig = stun_phone(SEES_US)
    went = speaks(rig, OTHER_PORT, 1000)
    assert set(went[:24]) == {PEER} and set(went[26:]) == {OTHER_PORT}
    assert reports_to(rig) == sockaddr(OTHER_PORT[0], OTHER_PORT[1] + 1)[0]
    connection = rig.engine.by_number[1].connection
    assert connection is not None
    rig.do(replace(connection, remote_ip="0.0.0.0", send=False))
    assert speaks(rig, OTHER_PORT, 200, 50) == []
    rig.do(connection)
    assert set(speaks(rig, OTHER_PORT, 200, 60)) == {OTHER_PORT}
    rig.do(replace(connection, remote_port=4002))
    assert rig.destination(1) == (PEER[0], 4002), "a new description begins anew"


def test_its_time_may_come_while_the_call_is_held() -> None:
    rig = stun_phone(SEES_US)
    speaks(rig, OTHER_PORT, 300)
    connection = rig.engine.by_number[1].connection
    assert connection is not None
    rig.do(replace(connection, remote_ip="0.0.0.0", send=False))
    assert speaks(rig, OTHER_PORT, 600, 15) == []
    rig.do(connection)
    assert set(speaks(rig, OTHER_PORT, 100, 45)) == {OTHER_PORT}


def test_it_is_not_sent_to_before_the_peer_has_our_description() -> None:
    rig = stun_phone()
    assert OTHER_PORT not in speaks(rig, OTHER_PORT, 2000)
    rig.do(ConfirmLeg(1, early=True))
    went = speaks(rig, OTHER_PORT, 1000, 100)
    assert went[20] == PEER and went[-1] == OTHER_PORT, "of early media it may have had it for long"


def test_who_was_there_before_has_to_wait_longer_than_a_listening_phone_takes_to_report() -> None:
    rig = stun_phone()
    speaks(rig, OTHER_PORT, 200)
    rig.do(SEES_US)
    assert set(speaks(rig, OTHER_PORT, 9600, 10)) == {PEER}
    assert speaks(rig, OTHER_PORT, 600, 490)[-1] == OTHER_PORT


def test_where_we_offered_the_peer_may_send_from_the_beginning() -> None:
    rig = stun_phone(allowance=-1)
    speaks(rig, OTHER_PORT, 400)
    rig.do(SEES_US)
    assert speaks(rig, OTHER_PORT, 200, 20)[-1] == OTHER_PORT


@pytest.mark.parametrize("after_ms", [100, 1000])
def test_what_comes_from_the_signalled_port_is_believed(after_ms: int) -> None:
    rig = stun_phone(SEES_US)
    speaks(rig, OTHER_PORT, after_ms)
    assert speaks(rig, PEER, 100, 70, ssrc=2)[-1] == PEER
    assert set(speaks(rig, OTHER_PORT, 12_000, 100)) == {PEER}


@pytest.mark.parametrize("port", [4000, 4001])
@pytest.mark.parametrize("after_ms", [0, 100, 1000])
def test_a_report_from_the_signalled_host_says_who_is_right(port: int, after_ms: int) -> None:
    for ssrc, right in ((1, OTHER_PORT), (2, PEER)):
        rig = stun_phone(SEES_US)
        speaks(rig, OTHER_PORT, after_ms)
        report(rig, 1, (PEER[0], port), ssrc)
        rig.tick()
        assert speaks(rig, OTHER_PORT, 100, 70)[-1] == right, ssrc
        assert set(speaks(rig, OTHER_PORT, 12_000, 100)) == {right}


def test_a_stream_that_has_paused_has_to_go_on_first() -> None:
    rig = stun_phone(SEES_US)
    speaks(rig, OTHER_PORT, 100)
    for _ in range(100):
        rig.tick()
    assert rig.destination(1) == PEER
    assert speaks(rig, OTHER_PORT, 40, 105)[-1] == OTHER_PORT


@pytest.mark.parametrize("each_ms", [100, 200])
def test_who_sends_to_many_ports_and_thus_rarely_to_each_is_not_sent_to(each_ms: int) -> None:
    rig = stun_phone(SEES_US)
    for sequence in range(15_000 // each_ms):
        rig.arrive(rig.ports[1], OTHER_PORT, rtp(sequence, sequence * 160, bytes(160)))
        for _ in range(each_ms // 20):
            rig.tick()
    assert rig.destination(1) == PEER
    row = rig.engine.legs.rows[rig.engine.by_number[1].row]
    assert row["locked"], "it is heard, for nobody else is"


def test_timestamps_may_pass_their_end_and_clocks_be_off() -> None:
    rig = stun_phone(SEES_US)
    for sequence in range(40):
        rig.arrive(rig.ports[1], OTHER_PORT, rtp(sequence, 0xFFFFF000 + sequence * 168, bytes([0xD5]) * 160))
        rig.tick()
    assert rig.destination(1) == OTHER_PORT


def test_nothing_is_left_of_a_leg_that_closes_meanwhile() -> None:
    rig = stun_phone(SEES_US)
    speaks(rig, OTHER_PORT, 100)
    rig.do(CloseLeg(1))
    rig.connect(1, ("192.0.2.5", 4000))
    for _ in range(50):
        rig.tick()
    assert rig.destination(1) == ("192.0.2.5", 4000)


def test_without_symmetric_rtp_the_description_counts() -> None:
    rig = EngineRig()
    rig.connect(1, PEER, symmetric=False)
    rig.do(Enqueue(1, (PlayTone((440,)),)))
    assert set(speaks(rig, OTHER_PORT, 12_000)) == {PEER}


@pytest.mark.parametrize("moved", [True, False])
def test_a_stranger_is_no_peer_of_a_leg_that_has_only_a_port_yet(moved: bool) -> None:
    """The first leg of the port gets a new connection meanwhile: after it was locked, to another address, or after its window, to the same."""
    rig = EngineRig()
    port = rig.connect(1, PEER, signalling=(PEER[0],))
    if moved:
        rig.arrive(port, PEER, rtp(0, 0, bytes(160)))
        rig.tick()
    else:
        rig.now_ns += 60_000_000_000
        rig.engine.check_timeouts(rig.now_ns)
    second = ("192.0.2.2", 5000)
    rig.do(OpenLeg(2, *second))
    assert rig.engine.by_number[2].port is rig.engine.by_number[1].port
    connection = rig.engine.by_number[1].connection
    assert connection is not None
    rig.do(replace(connection, remote_port=4002 if moved else 4000))
    before = rig.counter("packets_dropped_stranger")
    for sequence in range(5):
        rig.arrive(port, NATTED, rtp(sequence, sequence * 160, bytes([0xD5]) * 160))
        rig.tick()
    assert rig.counter("packets_dropped_stranger") == before + 5
    rig.do(ConnectLeg(2, *second, "PCMU", 8000, 0, 0, signalling=(NATTED[0],)))
    for sequence in range(10):
        rig.arrive(port, NATTED, rtp(sequence, sequence * 160, bytes([0xD5]) * 160))
        rig.tick()
    assert rig.destination(2) == NATTED, "once it is connected, its peer is found"
