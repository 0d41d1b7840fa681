# SPDX-License-Identifier: GPL-2.0-or-later
"""Tees and mix-ins beyond the plain case: several rates, library codecs, changes of codec, files that fail, legs that go."""

from __future__ import annotations

import numpy as np
import pytest

from media.control.play_items import PlayEcho, PlayFile, PlaySilence, PlayTone
from media.control.recording_records import StartRoomRecording
from media.control.records import CloseLeg, ConnectLeg, Enqueue, FlushMixIn, ItemFailed, MixIn, SetLegAudio, SetupMixIn, TeeRoom
from media.engine.sources import StoredAudio
from media.engine.takes import Block
from tests.support import tones
from tests.support.engine_rig import EngineRig
from tests.unit.media.engine.test_rooms import Phone, codec, room, talk

TONE = PlayTone((700,), length_ms=60_000)
TONE_PEAK = 0.35 * 32767


def level(phone: Phone, frequency_hz: float, since: int = 30) -> float:
    return tones.level(np.concatenate(phone.heard[since:]), frequency_hz, phone.codec.rate_hz)


@pytest.mark.parametrize(
    ("one", "other"), [(("PCMU", 8000), ("L16", 48000)), (("L16", 48000), ("PCMA", 8000)), (("OPUS", 48000), ("G722", 8000))]
)
def test_tee_between_rates(one: tuple[str, int], other: tuple[str, int]) -> None:
    rig = EngineRig()
    teed, own, far = Phone(rig, 1, codec(*one), 500), Phone(rig, 2, codec("PCMU", 8000), 900), Phone(rig, 3, codec(*other), 1300)
    room(rig, teed, own)
    room(rig, far, name="far")
    rig.do(TeeRoom(1, "far"))
    talk(rig, [teed, own, far], 80)
    tried = [500.0, 900.0, 1300.0]
    assert (teed.hears(tried), own.hears(tried), far.hears(tried)) == ({900.0}, {500.0}, {500.0})
    assert level(far, 500) == pytest.approx(8000, rel=0.06)


def test_tee_without_a_room_ends_with_the_leg_and_its_input() -> None:
    rig = EngineRig()
    teed, far = Phone(rig, 1, codec("PCMU", 8000), 500), Phone(rig, 2, codec("PCMU", 8000), 0)
    room(rig, far)
    rig.do(TeeRoom(1, "r"))
    talk(rig, [teed, far], 40)
    assert far.hears([500.0]) == {500.0}
    for command in (SetLegAudio(1, attached_input=False), CloseLeg(1)):
        far.heard.clear()
        rig.do(command)
        for _ in range(40):
            teed.say()
            far.hear(rig.tick())
        assert far.hears([500.0]) == set()
        rig.do(SetLegAudio(1, attached_input=True))
    assert rig.engine.rooms.heard_rows("r") == rig.engine.rooms.rows("r")


def test_tee_is_recorded_in_a_room_where_nobody_is() -> None:
    rig = EngineRig()
    teed = Phone(rig, 1, codec("PCMU", 8000), 500)
    rig.do(TeeRoom(1, "tape"), StartRoomRecording("tape", "x.wav"))
    talk(rig, [teed], 120)
    blocks = [work.samples for work in rig.engine.recorders.work if isinstance(work, Block)]
    assert tones.level(blocks[1], 500) == pytest.approx(8000, rel=0.05)


@pytest.mark.parametrize(("name", "clock_hz"), [("PCMU", 8000), ("PCMA", 8000), ("L16", 16000), ("OPUS", 48000), ("G722", 8000)])
def test_level_is_the_share_in_any_codec(name: str, clock_hz: int) -> None:
    rig = EngineRig()
    listener, far = Phone(rig, 1, codec(name, clock_hz), 0), Phone(rig, 2, codec("PCMU", 8000), 1100)
    room(rig, listener, far)
    rig.do(SetupMixIn(1, 0.4), MixIn(1, (TONE,)))
    talk(rig, [listener, far], 80)
    assert level(listener, 1100) == pytest.approx(0.6 * 8000, rel=0.1)
    assert level(listener, 700) == pytest.approx(0.4 * TONE_PEAK, rel=0.1)
    assert level(far, 700) < 100


def test_mix_in_alone_then_flushed() -> None:
    rig = EngineRig()
    listener, far = Phone(rig, 1, codec("PCMU", 8000), 0), Phone(rig, 2, codec("PCMU", 8000), 1100)
    room(rig, listener, far)
    rig.do(SetupMixIn(1, 0.009), MixIn(1, (TONE,)))
    talk(rig, [listener, far], 40)
    assert listener.hears([700.0, 1100.0]) == {700.0}
    listener.heard.clear()
    rig.do(FlushMixIn(1))
    talk(rig, [listener, far], 40)
    assert listener.hears([700.0, 1100.0]) == {1100.0}


def test_codec_change_keeps_the_place() -> None:
    rig = EngineRig()
    phone = Phone(rig, 1, codec("PCMU", 8000), 0)
    items = (PlayTone((700,), length_ms=1000), PlayTone((900,), length_ms=60_000))
    rig.do(Enqueue(1, (PlaySilence(),)), SetupMixIn(1, 1.0), MixIn(1, items))
    talk(rig, [phone], 25)
    phone.heard.clear()
    wide = codec("L16", 16000)
    rig.do(ConnectLeg(1, *phone.remote, "L16", 16000, 96, 96))
    phone.codec = wide
    talk(rig, [phone], 50)
    sound = np.concatenate(phone.heard)
    assert tones.loudest(sound, [700, 900], 100, 16000) == [700, 900]
    assert tones.level(sound[:7600], 700, 16000) == pytest.approx(TONE_PEAK, rel=0.02)
    assert tones.level(sound[8400:], 900, 16000) == pytest.approx(TONE_PEAK, rel=0.02)


def test_what_cannot_be_mixed_in_is_reported_and_left_out() -> None:
    rig = EngineRig()
    phone = Phone(rig, 1, codec("PCMU", 8000), 0)
    bad = (PlayFile("none.wav"), PlayFile("empty.wav"), PlayEcho(), TONE)
    rig.do(MixIn(1, bad), SetupMixIn(1, 1.0), MixIn(1, ()), MixIn(1, bad))
    first, second = rig.engine.take_wanted()
    rig.engine.file_loaded(second.token, StoredAudio(second.codec, np.zeros(0, np.uint8)), "")
    rig.engine.file_loaded(first.token, None, "No such file")
    talk(rig, [phone], 40)
    failed = [event for event in rig.events if isinstance(event, ItemFailed)]
    assert sorted(event.path for event in failed) == ["", "empty.wav", "none.wav"]
    assert phone.hears([700.0]) == {700.0}


def test_many_mixers_come_and_go() -> None:
    rig = EngineRig()
    phones = [Phone(rig, leg, codec("PCMU", 8000), 0) for leg in range(1, 12)]
    for phone in phones:
        rig.do(SetupMixIn(phone.leg, 1.0), MixIn(phone.leg, (PlayTone((100 * phone.leg + 300,), length_ms=60_000),)))
    for phone in phones[::2]:
        rig.do(CloseLeg(phone.leg))
    rest = phones[1::2]
    talk(rig, rest, 40)
    every = [100.0 * phone.leg + 300 for phone in phones]
    assert [phone.hears(every) for phone in rest] == [{100.0 * phone.leg + 300} for phone in rest]


def test_late_file_of_a_closed_leg_is_ignored() -> None:
    rig = EngineRig()
    Phone(rig, 1, codec("PCMU", 8000), 0)
    rig.do(SetupMixIn(1, 1.0), MixIn(1, (PlayFile("a.wav"),)))
    (wanted,) = rig.engine.take_wanted()
    rig.do(CloseLeg(1))
    rig.engine.file_loaded(wanted.token, StoredAudio(wanted.codec, np.zeros(320, np.uint8)), "")
    rig.tick()
    assert not [event for event in rig.events if isinstance(event, ItemFailed)]
