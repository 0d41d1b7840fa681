# SPDX-License-Identifier: GPL-2.0-or-later
"""RTCP reports: what we say about a stream, what we read in the peer's (RFC 3550 §6.4)."""

from __future__ import annotations

import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from media.control import records
from media.engine.leg_table import LEG
from media.rtp.rtcp import NTP_EPOCH_S, REPORT_BYTES, read_compound, write_report
from tests.support.engine_rig import EngineRig, rtp

EPOCH_NS = 1_700_000_000_500_000_000
NAME = np.frombuffer(b"0123456789abcdef", np.uint8)


def test_loss_is_counted_over_the_legs_of_now() -> None:
    rig = EngineRig()
    assert (rig.counter("packets_expected"), rig.counter("packets_lost")) == (0, 0)
    for leg, sequences in ((1, [65534, 65535, 1, 2, 5]), (2, [7, 8, 9])):
        rig.connect(leg, ("10.0.0.1", 4000 + 2 * leg))
        for sequence in sequences:
            rig.arrive(rig.ports[leg], ("10.0.0.1", 4000 + 2 * leg), rtp(sequence, 160 * sequence, bytes(160), ssrc=77 + leg))
            rig.tick()
    assert (rig.counter("packets_expected"), rig.counter("packets_lost")) == (8 + 3, 3)
    rig.do(records.CloseLeg(1))
    assert (rig.counter("packets_expected"), rig.counter("packets_lost")) == (3, 0)


def leg_after(sequences: list[int]) -> np.void:
    rig = EngineRig()
    rig.connect(1, ("10.0.0.1", 4000))
    for sequence in sequences:
        rig.arrive(rig.ports[1], ("10.0.0.1", 4000), rtp(sequence, 160 * sequence, bytes(160), ssrc=77))
        rig.tick()
    row: np.void = rig.engine.legs.rows[0]
    return row


def report(leg: np.void, now_ns: int = 5_000_000_000) -> bytes:
    packet = np.zeros(REPORT_BYTES, np.uint8)
    return packet[: write_report(leg, packet, now_ns, EPOCH_NS, NAME)].tobytes()


def test_sender_report_counts_loss_and_sent_packets() -> None:
    leg = leg_after([65534, 65535, 0, 1, 3, 4, 5, 7])
    sent = report(leg)
    version, kind, words, ssrc, ntp_s, ntp_f, _ts, packets, octets = struct.unpack(">BBHIIIIII", sent[:28])
    assert (version, kind, words, ssrc) == (0x81, 200, 12, leg["ssrc_out"])
    assert (ntp_s, ntp_f) == (EPOCH_NS // 10**9 + NTP_EPOCH_S, 2**31)
    assert (packets, octets) == (8, 8 * 160)
    source, lost, highest, _, last, since = struct.unpack(">IIIIII", sent[28:52])
    assert (source, lost & 0xFFFFFF, highest, last, since) == (77, 2, 0x10007, 0, 0)
    assert lost >> 24 == 2 * 256 // 10
    assert sent[52:54] == b"\x81\xca" and b"0123456789abcdef" in sent[54:] and len(sent) % 4 == 0


def test_fraction_lost_is_of_the_interval_only() -> None:
    leg = leg_after([1, 2, 4])
    assert report(leg)[32] == 64
    assert report(leg)[32] == 0


def test_receiver_only_sends_a_receiver_report() -> None:
    leg = np.zeros(1, LEG)[0]
    assert report(leg)[:4] == b"\x80\xc9\x00\x01"


def test_peers_report_gives_loss_jitter_and_round_trip() -> None:
    leg = leg_after([1])
    middle = (((EPOCH_NS // 10**9 + NTP_EPOCH_S) & 0xFFFF) << 16) | 0x8000
    block = struct.pack(">IIIIII", leg["ssrc_out"], 64 << 24, 1, 40, (middle - 0x4000) & 0xFFFFFFFF, 0x2000)
    compound = struct.pack(">BBHI", 0x81, 200, 12, 77) + struct.pack(">IIIII", 1, 0x20000000, 0, 0, 0) + block
    packet = np.frombuffer(bytearray(compound), np.uint8)
    assert read_compound(leg, packet, len(compound), 9_000, EPOCH_NS) == 1
    assert (leg["peer_lost_q8"], leg["peer_jitter"], leg["round_trip_us"]) == (64, 40, 125_000)
    assert (leg["ssrc_seen_ntp"], leg["ssrc_seen_ns"]) == (0x12000, 9_000)


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=8, max_size=200), st.integers(192, 223))
def test_any_rtcp_is_taken(data: bytes, kind: int) -> None:
    rig = EngineRig()
    rig.connect(1, ("10.0.0.1", 4000))
    rig.arrive(rig.ports[1], ("10.0.0.1", 4000), rtp(1, 1, bytes(160)))
    rig.arrive(rig.ports[1], ("10.0.0.1", 4000), bytes([0x80 | data[0] & 63, kind]) + data[2:])
    assert rig.counter("rtcp_received") == 1
    assert len(rig.tick()[1]) == 172


def test_a_peer_that_said_nothing_of_us_is_not_said_to_have_lost_nothing() -> None:
    rig = EngineRig()
    rig.connect(1, ("10.0.0.1", 4000))
    leg = rig.engine.by_number[1]
    row = rig.engine.legs.rows[leg.row]
    row["ssrc_in"] = 77
    packet = np.frombuffer(bytearray(struct.pack(">BBHIIIIII", 0x80, 200, 6, 77, 1, 0x20000000, 0, 0, 0)), np.uint8)
    assert read_compound(row, packet, len(packet), 9_000, EPOCH_NS) == 1 and row["ssrc_seen_ns"] == 9_000
    assert not {"peer_lost_percent", "peer_jitter_us", "round_trip_us"} & rig.engine.leg_statistics(leg).keys()
    block = struct.pack(">IIIIII", row["ssrc_out"], 64 << 24, 1, 40, 0, 0)
    packet = np.frombuffer(bytearray(struct.pack(">BBHIIIIII", 0x81, 200, 12, 77, 1, 0x20000000, 0, 0, 0) + block), np.uint8)
    assert read_compound(row, packet, len(packet), 9_000, EPOCH_NS) == 1
    told = rig.engine.leg_statistics(leg)
    assert told["peer_lost_percent"] == 25 and "round_trip_us" not in told
