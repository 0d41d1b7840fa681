# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets from the peer's own address that are not of its stream: its audio is back within a tenth of a second."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest

from media.control.play_items import PlayBridge, PlayEcho
from media.control.records import Enqueue, SetPlayout
from tests.support.engine_rig import EngineRig, rtp, samples_of

PEER, OTHER = ("10.0.0.1", 4000), ("10.0.0.2", 4000)
TRUE, FALSE = bytes([0x80] * 160), bytes([0x00] * 160)
FORGED, RECOVERED_TICKS = 40, 5
Forge = Callable[[int, int], bytes]


class Call:
    """A peer that sends TRUE, and what of it is heard."""

    def __init__(self, playout: str = "adaptive", codec: str = "PCMU", kind: int = 0, bridged: bool = False) -> None:
        self.rig, self.kind, self.codec = EngineRig(), kind, codec
        self.port = self.rig.connect(1, PEER, codec, 8000, kind)
        self.rig.do(SetPlayout(1, playout))
        self.out = 2 if bridged else 1
        if bridged:
            self.rig.connect(2, OTHER, codec, 8000, kind)
            self.rig.do(Enqueue(1, (PlayBridge(2),)), Enqueue(2, (PlayBridge(1),)))
        else:
            self.rig.do(Enqueue(1, (PlayEcho(),)))
        self.step = 0

    def tick(self, *forged: bytes) -> bool:
        """Some forged packets, one of the peer's; whether the peer is heard."""
        self.rig.arrive(self.port, PEER, *forged, rtp(self.step, 160 * self.step, TRUE, self.kind))
        self.step += 1
        packets = self.rig.tick_all().get(self.out)
        return bool(packets) and float(np.median(samples_of(packets[-1], self.codec))) > 1000


def far_ahead(samples: int) -> Forge:
    return lambda step, number: rtp(step + 1000 + number, 160 * step + samples, FALSE)


def jumping(seed: int) -> Forge:
    chance = Random(seed)
    return lambda step, number: rtp(chance.getrandbits(16), 160 * step, FALSE)


def anywhere(seed: int) -> Forge:
    chance = Random(seed)
    return lambda step, number: rtp(chance.getrandbits(16), chance.getrandbits(32), FALSE)


FORGERIES = [*(far_ahead(samples) for samples in (2000, 4000, 7000, 9000, 80_000, 1 << 31)), jumping(1), anywhere(2)]


@pytest.mark.parametrize("forge", FORGERIES)
@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("playout", ["adaptive", "adaptive_jb", "simple"])
def test_audio_comes_back_at_once(forge: Forge, at_once: bool, playout: str) -> None:
    call = Call(playout)
    assert [call.tick() for _ in range(60)][-20:] == [True] * 20
    if at_once:
        call.tick(*(forge(call.step, number) for number in range(FORGED)))
    else:
        for number in range(FORGED):
            call.tick(forge(call.step, number))
    after = [call.tick() for _ in range(100)]
    assert all(after[RECOVERED_TICKS:]), [tick for tick, heard in enumerate(after) if not heard]


def test_single_packets_far_ahead_cost_nothing() -> None:
    call, chance = Call(), Random(5)
    for _ in range(60):
        call.tick()
    heard = [call.tick(rtp(call.step + 1000, 160 * call.step + chance.randrange(3000, 1 << 31), FALSE)) for _ in range(FORGED)]
    assert all(heard)
    assert call.rig.counter("packets_dropped_out_of_time") == FORGED


@pytest.mark.parametrize("playout", ["adaptive", "adaptive_jb", "simple"])
@pytest.mark.parametrize("jump", [9000, 1 << 20, 1 << 31, -9000])
def test_a_stream_that_begins_its_timestamps_anew_is_followed(playout: str, jump: int) -> None:
    call = Call(playout)
    for _ in range(60):
        call.tick()
    heard = []
    for _ in range(40):
        call.rig.arrive(call.port, PEER, rtp(call.step, 160 * call.step + jump, TRUE))
        call.step += 1
        heard.append(float(np.median(samples_of(call.rig.tick()[1]))) > 1000)
    assert all(heard[8:]), heard


def test_a_slow_sender_is_heard_with_a_fixed_buffer_too() -> None:
    """Its clock is 1 % slow: after six seconds each packet is later than the buffer is long."""
    call, heard = Call("simple"), []
    for tick in range(1500):
        if tick % 100:
            heard.append(call.tick())
        else:
            call.rig.tick()
    assert sum(heard[-500:]) > 470


@pytest.mark.parametrize("ahead", [2, 50, 90, 400, 30_000])
def test_jumping_numbers_do_not_stop_a_library_codec(ahead: int) -> None:
    call = Call(codec="GSM", kind=3)
    frame, false = bytes([0xD0] + [0x11] * 32), bytes([0xD0] + [0x77] * 32)
    decoded = []

    def tick(*forged: bytes) -> None:
        before = call.rig.engine.by_number[1].coded_ts
        call.rig.arrive(call.port, PEER, *forged, rtp(call.step, 160 * call.step, frame, 3))
        call.step += 1
        call.rig.tick()
        decoded.append(call.rig.engine.by_number[1].coded_ts != before)

    for _ in range(20):
        tick()
    for number in range(FORGED):
        tick(rtp(call.step + ahead + number, 160 * call.step, false, 3))
    del decoded[:]
    for _ in range(50):
        tick()
    assert sum(decoded[RECOVERED_TICKS:]) >= 44  # one number may have been used up
