# SPDX-License-Identifier: GPL-2.0-or-later
"""Payloads of library codecs on their way to the decoder: in order, once, and what is lost made up for at its length."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from media import codecs
from media.control.play_items import PlayEcho
from media.control.records import ConnectLeg, Enqueue
from tests.support.engine_rig import EngineRig, rtp

PEER = ("10.0.0.1", 4000)
pytestmark = pytest.mark.skipif(codecs.find("G722", 8000) is None, reason="libspandsp2 is not here")


class Recorder:
    """A coder that notes what it is asked for. A payload's first byte says how many hundred samples it holds."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        return b"x"

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        self.asked.append(payload.decode())
        return np.full(100, 5, np.int16)

    def conceal(self, count: int) -> NDArray[np.int16]:
        self.asked.append(f"lost {count}")
        return np.full(count, 3, np.int16)


def given(*packets: tuple[int, int]) -> list[str]:
    """What the coder was asked for after packets of these sequence numbers and timestamps (8 kHz; G.722 has 16 kHz samples)."""
    rig = EngineRig()
    port = rig.connect(1, PEER, "G722", 8000, 9)
    rig.do(Enqueue(1, (PlayEcho(),)))
    rig.tick()
    recorder = rig.engine.by_number[1].coder = Recorder()
    for sequence, ts in packets:
        rig.arrive(port, PEER, rtp(sequence, ts, f"p{sequence}".encode(), 9))
        rig.tick()
    return recorder.asked


def test_payloads_go_forward_only() -> None:
    assert given((5, 0), (6, 160), (6, 160), (5, 0), (7, 320)) == ["p5", "p6", "p7"]


def test_sequence_numbers_wrap() -> None:
    assert given((65535, 0), (0, 160), (1, 320)) == ["p65535", "p0", "p1"]


@pytest.mark.parametrize("packet_ms", [10, 20, 40, 60])
def test_what_is_lost_is_as_long_as_the_peers_packets(packet_ms: int) -> None:
    ticks = 8 * packet_ms
    assert given((1, 0), (2, ticks), (5, 4 * ticks)) == ["p1", "p2", f"lost {2 * ticks}", f"lost {2 * ticks}", "p5"]


def test_a_pause_is_no_loss() -> None:
    """More packets are missing than a decoder can make up for; or a clock that does not go with them: 20 ms each then."""
    assert given((1, 0), (9, 1280)) == ["p1", "p9"]
    assert given((1, 0), (3, 80001)) == ["p1", "lost 320", "p3"]


def test_changed_parameters_make_a_new_coder() -> None:
    rig = EngineRig()
    rig.connect(1, PEER, "G722", 8000, 9)
    leg = rig.engine.by_number[1]
    first = leg.coder
    rig.do(ConnectLeg(1, *PEER, "G722", 8000, 9, 9, send=False))
    assert leg.coder is first
    rig.do(ConnectLeg(1, *PEER, "G722", 8000, 9, 9, fmtp="other=1"))
    assert leg.coder is not None and leg.coder is not first
