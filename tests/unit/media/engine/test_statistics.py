# SPDX-License-Identifier: GPL-2.0-or-later
"""What is counted of a leg whose peer begins a new stream: all that came and all that was lost, in every one of them."""

from __future__ import annotations

import pytest

from media.control.records import ConnectLeg
from media.engine.statistics import leg_counters, process_counters
from tests.support.engine_rig import EngineRig, rtp

PEER = ("10.0.0.1", 4000)


def send(rig: EngineRig, ssrc: int, *sequences: int) -> None:
    for sequence in sequences:
        rig.arrive(rig.ports[1], PEER, rtp(sequence, sequence * 160, bytes(160), ssrc=ssrc))
        rig.tick()


def counted(rig: EngineRig) -> tuple[float, float]:
    parts = rig.engine._parts
    leg, process = leg_counters(parts, rig.engine.by_number[1]), process_counters(parts)
    assert process["packets_lost"] == leg["packets_lost"]
    assert process["packets_expected"] == leg["packets_received"] + leg["packets_lost"]
    return leg["packets_received"], leg["packets_lost"]


@pytest.mark.parametrize("how", ["ssrc", "re-INVITE"])
def test_a_new_stream_takes_nothing_away_from_what_was_counted(how: str) -> None:
    rig = EngineRig()
    rig.connect(1, PEER)
    assert counted(rig) == (0, 0)
    send(rig, 7, 65533, 65534, 0, 1, 4)
    assert counted(rig) == (5, 3)
    if how == "re-INVITE":
        rig.do(ConnectLeg(1, *PEER, "PCMA", 8000, 0, 0))
        assert counted(rig) == (5, 3)
    send(rig, 8 if how == "ssrc" else 7, 500, 501, 503)
    assert counted(rig) == (8, 4)
    send(rig, 9, 100)
    assert counted(rig) == (9, 4)


def test_a_report_speaks_of_the_stream_that_it_names() -> None:
    """RFC 3550 §6.4.1: the fraction and the number lost are those of one SSRC."""
    rig = EngineRig()
    rig.connect(1, PEER)
    send(rig, 7, 1, 2, 10)
    row = rig.engine.legs.row(rig.engine.by_number[1].row)
    row.expected_prior, row.received_prior = 10, 3
    send(rig, 8, 100)
    assert (row.expected_prior, row.received_prior, row.packets_received, row.ssrc_in) == (0, 0, 1, 8)
