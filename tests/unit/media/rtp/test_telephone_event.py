# SPDX-License-Identifier: GPL-2.0-or-later
"""RFC 4733 key presses in and out (anchors D1: lost ends, no marker, repeats, loss, re-INVITE change)."""

from __future__ import annotations

import itertools
import random
import struct

import pytest

from media.control.play_items import PlayTone
from media.control.records import ConnectLeg, DigitPressed, Enqueue, SendDigit, SetDigitDetection
from media.rtp.telephone_event import Press, PressReceiver, PressSender
from tests.support.engine_rig import EngineRig, rtp

PEER = ("10.0.0.1", 4000)
MS = 1_000_000


def press(receiver: PressReceiver, event: int, ts: int, ends: int = 3, volume: int = 10, now_ns: int = 0) -> list[Press]:
    """All packets of one press of 100 ms."""
    done: list[Press] = []
    for step in range(1, 6):
        done += receiver.handle_packet(event, False, volume, 160 * step, ts, 1, now_ns)
    for _ in range(ends):
        done += receiver.handle_packet(event, True, volume, 800, ts, 1, now_ns)
    return done


def test_one_report_a_press() -> None:
    receiver = PressReceiver()
    assert press(receiver, 5, 1000) == [Press(5, 100)]
    assert press(receiver, 5, 3000) == [Press(5, 100)]
    assert not receiver.busy


def test_lost_end_is_made_up_for_by_time_or_by_the_next_press() -> None:
    receiver = PressReceiver()
    assert press(receiver, 5, 1000, ends=0) == []
    assert receiver.poll(199 * MS) == []
    assert receiver.poll(200 * MS) == [Press(5, 100)]
    assert press(receiver, 6, 3000, ends=0, now_ns=300 * MS) == []
    assert press(receiver, 7, 5000, ends=1, now_ns=310 * MS) == [Press(6, 100), Press(7, 100)]


def test_late_packet_of_a_finished_press_is_no_press() -> None:
    receiver = PressReceiver()
    press(receiver, 5, 1000)
    press(receiver, 6, 3000)
    assert receiver.handle_packet(5, False, 10, 320, 1000, 1, 0) == []
    assert not receiver.busy


def test_quiet_and_unknown_events_are_ignored() -> None:
    receiver = PressReceiver()
    assert press(receiver, 5, 1000, volume=55) == []
    assert press(receiver, 32, 2000) == []


@pytest.mark.parametrize("ends", [0, 1, 3])
@pytest.mark.parametrize("marker", [True, False])
@pytest.mark.parametrize("reinvite", [True, False])
def test_exact_digits_under_five_percent_loss(ends: int, marker: bool, reinvite: bool) -> None:
    """All sixteen keys, the same key twice in a row, packets of 20 ms with loss; the payload type changes in the middle."""
    chance, rig = random.Random(ends + 10 * marker), EngineRig()
    rig.connect(1, PEER, dtmf_receive=101)
    keys = [0, 0, *range(16), 15]
    sequence, ts, kind = 100, 8000, 101
    rig.arrive(rig.ports[1], PEER, rtp(sequence, ts, bytes(160)))
    for place, key in enumerate(keys):
        if reinvite and place == 9:
            kind = 96
            rig.do(ConnectLeg(1, *PEER, "PCMU", 8000, 0, 0, dtmf_receive=96))
        steps = [(160 * k, False) for k in range(1, 6)] + [(800, True)] * ends
        for duration, end in steps:
            sequence += 1
            packet = rtp(
                sequence, ts, struct.pack(">BBH", key, 10 | (128 if end else 0), duration), kind, 1, marker and duration == 160
            )
            if chance.random() > 0.05 or duration == 480:
                rig.arrive(rig.ports[1], PEER, packet)
            rig.tick()
        ts += 1600
        for _ in range(12):
            rig.tick()
    assert [e.event for e in rig.events if isinstance(e, DigitPressed)] == keys


def test_reporting_can_be_switched_off() -> None:
    rig = EngineRig()
    rig.connect(1, PEER, dtmf_receive=101)
    rig.do(SetDigitDetection(1, telephone_event=False))
    rig.arrive(rig.ports[1], PEER, rtp(1, 1, struct.pack(">BBH", 5, 0x8A, 800), 101))
    rig.tick()
    assert not [e for e in rig.events if isinstance(e, DigitPressed)]


def test_sent_presses_are_read_back_by_the_receiver() -> None:
    sender, receiver, read = PressSender(), PressReceiver(), []
    for event in (1, 1, 11, 16):
        sender.press(event, 90)
    ts = 0
    for step in range(60):
        packet = sender.next_packet()
        if packet is not None:
            ts = step * 160 if packet.first else ts
            event, flags, duration = struct.unpack(">BBH", packet.payload)
            read += receiver.handle_packet(event, flags > 127, flags & 63, duration, ts, 1, 0)
    assert sender.idle
    assert read == [Press(1, 100), Press(1, 100), Press(11, 100), Press(16, 100)]
    with pytest.raises(ValueError, match="no key"):
        sender.press(17, 100)


def test_sent_press_takes_the_place_of_audio_with_one_timestamp_and_three_ends() -> None:
    rig = EngineRig()
    rig.connect(1, PEER, dtmf_send=97)
    rig.do(Enqueue(1, (PlayTone((440,)),)), SendDigit(1, 5, 60))
    packets = [rig.tick()[1] for _ in range(8)]
    events = [p for p in packets if p[1] & 127 == 97]
    assert [p[13] >> 7 for p in events] == [0, 0, 1, 1, 1]
    assert [p[1] >> 7 for p in events] == [1, 0, 0, 0, 0]
    assert len({p[4:8] for p in events}) == 1
    sequences = [int.from_bytes(p[2:4], "big") for p in packets]
    assert [(b - a) & 0xFFFF for a, b in itertools.pairwise(sequences)] == [1] * 7


def test_digit_to_a_peer_without_telephone_event_is_not_sent() -> None:
    rig = EngineRig()
    rig.connect(1, PEER)
    rig.do(SendDigit(1, 5, 60))
    assert len(rig.tick()[1]) == 172


@pytest.mark.parametrize("clock_hz", [8000, 16000, 48000])
@pytest.mark.parametrize("lost", ["none", "ends of segments", "every third", "old ones come late"])
def test_a_key_held_for_twenty_seconds_is_one_key(clock_hz: int, lost: str) -> None:
    """RFC 4733 §2.5.1.3: the duration field runs full, the press goes on in a segment with a timestamp of its own."""
    receiver = PressReceiver(clock_hz)
    step, presses, first_ts, kept = clock_hz // 50, [], 0xFFFF0000, (0, 0)
    segment, number = 0, 0
    for tick in range(1, 1001):  # of 20 ms
        if tick * step - segment > 65535:
            kept = ((first_ts + segment) & 0xFFFFFFFF, tick * step - step - segment)
            segment = (tick - 1) * step
        duration, number = tick * step - segment, number + 1
        near_end = duration + 3 * step > 65535
        if (lost == "ends of segments" and near_end and tick < 990) or (
            lost == "every third" and number % 3 == 0 and tick < 1000
        ):
            continue
        ts = (first_ts + segment) & 0xFFFFFFFF
        presses += receiver.handle_packet(7, False, 10, duration, ts, 1, tick * 20 * MS)
        if lost == "old ones come late" and duration == 3 * step and segment:
            presses += receiver.handle_packet(7, False, 10, kept[1], kept[0], 1, tick * 20 * MS)
    for _ in range(3):
        presses += receiver.handle_packet(7, True, 10, 1000 * step - segment, (first_ts + segment) & 0xFFFFFFFF, 1, 20_020 * MS)
    assert [press.event for press in presses] == [7]
    assert abs(presses[0].duration_ms - 20_000) <= (0 if lost in ("none", "old ones come late") else 400)
    assert not receiver.busy


def test_another_press_after_a_long_one_whose_end_was_lost_is_another() -> None:
    receiver = PressReceiver()
    for tick in range(1, 401):
        assert receiver.handle_packet(7, False, 10, 160 * tick, 1000, 1, tick) == []
    assert receiver.handle_packet(8, False, 10, 160, 1000 + 65440, 1, 500) == [Press(7, 8000)]
    assert receiver.handle_packet(8, True, 10, 800, 1000 + 65440, 1, 500) == [Press(8, 100)]
