# SPDX-License-Identifier: GPL-2.0-or-later
"""Any bytes from any address: no error, no crash, and nobody else's audio changes. Every datagram is counted in one place."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from media.control.play_items import PlayEcho
from media.control.records import Enqueue
from tests.support.engine_rig import EngineRig, rtp

PEER = ("127.0.0.1", 30000)
DROPS = ("malformed", "stranger", "resting", "payload_type", "not_receiving")


def rig_with_leg() -> EngineRig:
    rig = EngineRig()
    rig.connect(1, PEER, dtmf_receive=101)
    rig.do(Enqueue(1, (PlayEcho(),)))
    return rig


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=400), max_size=8), st.booleans())
def test_any_datagram_is_taken(datagrams: list[bytes], from_peer: bool) -> None:
    rig = rig_with_leg()
    rig.arrive(rig.ports[1], PEER if from_peer else ("10.1.2.3", 4), *datagrams)
    assert len(rig.tick()[1]) == 172
    assert rig.counter("packets_received") == len(datagrams)


def test_hundred_thousand_mutated_packets_leave_the_engine_working() -> None:
    """Truncated headers, padding beyond the packet, fifteen CSRCs, extensions longer than the packet (anchors R5)."""
    rig, chance = rig_with_leg(), random.Random(5)
    for _ in range(1000):
        batch = []
        for _ in range(100):
            packet = bytearray(
                rtp(chance.getrandbits(16), chance.getrandbits(32), chance.randbytes(160), chance.choice((0, 101)))
            )
            packet[0] = chance.choice((0x80, 0x8F, 0x9F, 0xA0, 0xB0, 0xBF, chance.getrandbits(8)))
            packet[1] = chance.choice((0, 101, 200, 201, 202, chance.getrandbits(8)))
            for _ in range(chance.randrange(4)):
                packet[chance.randrange(len(packet))] = chance.getrandbits(8)
            batch.append(bytes(packet[: chance.choice((chance.randrange(13), len(packet), chance.randrange(len(packet)))) or 1]))
        rig.arrive(rig.ports[1], PEER, *batch)
        assert len(rig.tick()[1]) == 172
    assert rig.counter("packets_received") == 100_000
    assert rig.counter("packets_dropped_malformed") > 10_000


def test_padding_extension_and_csrc_are_left_out_of_the_audio() -> None:
    rig = rig_with_leg()
    audio = bytes(range(160))
    plain = rtp(0, 0, audio)
    csrc = bytes([0x82]) + plain[1:12] + bytes(8) + audio
    extended = bytes([0x90]) + plain[1:12] + b"\xbe\xde\x00\x02" + bytes(8) + audio
    padded = bytes([0xA0]) + plain[1:] + b"\x00\x00\x00\x04"
    for step, packet in enumerate((plain, csrc, extended, padded)):
        again = bytearray(packet)
        again[2:4] = step.to_bytes(2, "big")
        again[4:8] = (160 * step).to_bytes(4, "big")
        rig.arrive(rig.ports[1], PEER, bytes(again))
        echoed = rig.tick()[1][12:]
        if step:
            assert bytes(b if b != 0x7F else 0xFF for b in audio) == bytes(b if b != 0x7F else 0xFF for b in echoed)
