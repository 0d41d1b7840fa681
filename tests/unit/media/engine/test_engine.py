# SPDX-License-Identifier: GPL-2.0-or-later
"""A fault of ours in what is done for one leg: that leg is given up, the others play on."""

from __future__ import annotations

import logging

import pytest

from media.control.play_items import PlayTone
from media.control.recording_records import StartRecording, StopRecording
from media.control.records import ConnectLeg, Enqueue, LegDropped, SendDigit
from media.engine import latching
from media.engine.connections import Connections
from media.engine.digits import Digits
from media.engine.players import Players
from tests.support.engine_rig import EngineRig, rtp

PEER, OTHER, STRANGER = ("192.0.2.1", 4000), ("192.0.2.2", 5000), ("198.51.100.9", 61000)


def broken(*_: object, **__: object) -> None:
    raise IndexError("a fault")


def two_legs() -> EngineRig:
    rig = EngineRig()
    rig.connect(1, PEER, signalling=(STRANGER[0],))
    rig.connect(2, OTHER, signalling=(OTHER[0],))
    rig.do(Enqueue(2, (PlayTone((440,)),)))
    return rig


def gone_and_the_other_plays(rig: EngineRig) -> None:
    dropped = [event for event in rig.events if isinstance(event, LegDropped)]
    assert [event.leg for event in dropped] == [1] and "a fault" in dropped[0].reason
    assert 1 not in rig.engine.by_number and 2 in rig.tick()


def test_what_a_strangers_packet_brings_to_light_costs_one_leg(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rig = two_legs()
    monkeypatch.setattr(latching, "may_be", broken)
    rig.arrive(rig.ports[1], STRANGER, *(rtp(number, number * 160, bytes(160)) for number in range(3)))
    with caplog.at_level(logging.ERROR):
        assert 2 in rig.tick()
    gone_and_the_other_plays(rig)
    assert caplog.text.count("leg 1: ") == 1


def test_what_the_next_item_brings_to_light_costs_one_leg(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rig = two_legs()
    rig.do(Enqueue(1, (PlayTone((440,), length_ms=40), PlayTone((500,)))))
    monkeypatch.setattr(Players, "item_ended", broken)
    with caplog.at_level(logging.ERROR):
        for _ in range(4):
            assert 2 in rig.tick()
    gone_and_the_other_plays(rig)
    assert caplog.text.count("leg 1: ") == 1


@pytest.mark.parametrize(
    ("owner", "work"),
    [
        (Digits, "replace_audio"),
        (Digits, "poll"),
        (Connections, "move"),
        (Players, "recording_ended"),
    ],
)
def test_what_a_tick_does_for_one_leg_costs_that_leg(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, owner: type, work: str
) -> None:
    rig = two_legs()
    leg = rig.engine.by_number[1]
    monkeypatch.setattr(owner, work, broken)
    match work:
        case "replace_audio":
            rig.do(ConnectLeg(1, *PEER, "PCMU", 8000, 0, 0, dtmf_send=101), Enqueue(1, (PlayTone((440,)),)), SendDigit(1, 5, 100))
        case "poll":
            rig.engine._parts.digits._busy[1] = leg
        case "move":
            rig.engine.connections._moving[1] = leg
        case _:
            rig.do(StartRecording(1, "x.wav"), StopRecording(1))
    with caplog.at_level(logging.ERROR):
        assert 2 in rig.tick()
    gone_and_the_other_plays(rig)
    assert caplog.text.count("leg 1: ") == 1
