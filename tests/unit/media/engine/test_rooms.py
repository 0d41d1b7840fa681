# SPDX-License-Identifier: GPL-2.0-or-later
"""Rooms: members at several rates, library codecs, announcements, active speakers, prompts inside a room, bridges."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from media import codecs
from media.codecs.codec import Codec, Coder
from media.control.play_items import PlayBridge, PlayFile, PlayRoom, PlaySilence, PlayTone
from media.control.records import (
    Announce,
    AnnounceFailed,
    CloseLeg,
    Enqueue,
    FlushPlaylist,
    SetLegAudio,
    SetPlayout,
    SpeakerChanged,
    TeeRoom,
)
from tests.support import tones
from tests.support.engine_rig import EngineRig, rtp


@dataclass
class Phone:
    """A phone in a rig: says a tone in its codec, keeps what it hears."""

    rig: EngineRig
    leg: int
    codec: Codec
    tone_hz: float
    coder: Coder | None = None
    heard: list[np.ndarray] = field(default_factory=list)
    step: int = 0

    def __post_init__(self) -> None:
        self.remote = ("10.0.0.1", 4000 + self.leg)
        self.port = self.rig.connect(
            self.leg, self.remote, self.codec.rtpmap, self.codec.clock_hz, 96, channels=self.codec.channels
        )
        self.coder = self.codec.coder("") if self.codec.coder else None
        self.said = tones.tone(self.tone_hz, 2000, self.codec.rate_hz).reshape(-1, self.codec.rate_hz // 50)

    def say(self) -> None:
        frame = np.ascontiguousarray(self.said[self.step % len(self.said)])
        payload = self.coder.encode(frame) if self.coder else self.codec.encode(frame).tobytes()
        self.rig.arrive(self.port, self.remote, rtp(self.step, self.step * self.codec.clock_hz // 50, payload, 96, self.leg))
        self.step += 1

    def hear(self, packets: dict[int, bytes]) -> None:
        payload = packets[self.leg][12:]
        self.heard.append(self.coder.decode(payload) if self.coder else self.codec.decode(np.frombuffer(payload, np.uint8)))

    def hears(self, frequencies_hz: list[float]) -> set[float]:
        return tones.heard(np.concatenate(self.heard[15:]), frequencies_hz, self.codec.rate_hz, threshold=3000)


def codec(name: str, clock_hz: int) -> Codec:
    found = codecs.find(name, clock_hz)
    if found is None:
        pytest.skip(f"the library of {name} is not here")
    return found


def talk(rig: EngineRig, phones: list[Phone], ticks: int = 60) -> None:
    for _ in range(ticks):
        for phone in phones:
            if phone.tone_hz:
                phone.say()
        packets = rig.tick()
        for phone in phones:
            phone.hear(packets)


def room(rig: EngineRig, *phones: Phone, name: str = "r") -> list[Phone]:
    rig.do(*(Enqueue(phone.leg, (PlayRoom(name),)) for phone in phones))
    return list(phones)


def test_members_at_three_rates_hear_all_that_their_phones_can() -> None:
    rig = EngineRig()
    narrow = Phone(rig, 1, codec("PCMU", 8000), 1000)
    wide = Phone(rig, 2, codec("L16", 16000), 6000)
    full = Phone(rig, 3, codec("L16", 48000), 2500)
    high = Phone(rig, 4, codec("L16", 48000), 15000)
    talk(rig, room(rig, narrow, wide, full, high))
    every = [1000.0, 6000.0, 2500.0, 15000.0]
    assert narrow.hears([1000.0, 2500.0]) == {2500.0}
    assert wide.hears([1000.0, 6000.0, 2500.0]) == {1000.0, 2500.0}
    assert full.hears(every) == {1000.0, 6000.0, 15000.0}
    assert high.hears(every) == {1000.0, 6000.0, 2500.0}


def test_tones_above_a_narrow_phones_band_do_not_come_back_as_others() -> None:
    """15 kHz at 48 kHz would alias to 1 kHz at 8 kHz."""
    rig = EngineRig()
    narrow, high = Phone(rig, 1, codec("PCMU", 8000), 0), Phone(rig, 2, codec("L16", 48000), 15000)
    talk(rig, room(rig, narrow, high))
    assert np.abs(np.concatenate(narrow.heard[15:]).astype(int)).max() < 60


@pytest.mark.parametrize(
    ("name", "clock_hz"), [("G722", 8000), ("OPUS", 48000), ("GSM", 8000), ("SPEEX", 16000), ("G726-32", 8000)]
)
def test_library_codecs_meet_g711(name: str, clock_hz: int) -> None:
    rig = EngineRig()
    modern, plain = Phone(rig, 1, codec(name, clock_hz), 500), Phone(rig, 2, codec("PCMA", 8000), 900)
    talk(rig, room(rig, modern, plain), 100)
    assert modern.hears([500.0, 900.0]) == {900.0}
    assert plain.hears([500.0, 900.0]) == {500.0}


def test_lost_coded_packets_do_not_stop_the_stream() -> None:
    rig = EngineRig()
    modern, plain = Phone(rig, 1, codec("OPUS", 48000), 500), Phone(rig, 2, codec("PCMA", 8000), 0)
    room(rig, modern, plain)
    for step in range(100):
        if step % 10 == 7:
            modern.step += 1
        else:
            modern.say()
        plain.hear(rig.tick())
    assert plain.hears([500.0, 900.0]) == {500.0}


def test_announcement_is_mixed_over_the_talk_once() -> None:
    rig = EngineRig()
    one, other = Phone(rig, 1, codec("PCMU", 8000), 500), Phone(rig, 2, codec("PCMU", 8000), 0)
    phones = room(rig, one, other)
    rig.tick()
    rig.do(Announce("r", (PlaySilence(200), PlayTone((1300,), length_ms=400))))
    talk(rig, phones, 70)
    for phone, voice in ((one, set()), (other, {500.0})):
        during, after = np.concatenate(phone.heard[14:26]), np.concatenate(phone.heard[40:])
        assert tones.heard(during, [500.0, 1300.0], threshold=3000) == {1300.0} | voice
        assert tones.heard(after, [500.0, 1300.0], threshold=3000) == voice


@pytest.mark.parametrize("how", ["wide joins", "wide leaves", "wide feeds"])
def test_an_announcement_sounds_the_same_when_the_rooms_rate_changes_under_it(how: str) -> None:
    rig = EngineRig()
    narrow, wide = Phone(rig, 1, codec("PCMU", 8000), 0), Phone(rig, 2, codec("L16", 16000), 500)
    room(rig, *((narrow, wide) if how == "wide leaves" else (narrow,)))
    rig.do(Announce("r", (PlayTone((1300,), length_ms=3000),)))
    talk(rig, [narrow, wide], 20)
    match how:
        case "wide joins":
            room(rig, wide)
        case "wide feeds":
            rig.do(TeeRoom(2, "r", True))
        case _:
            rig.do(FlushPlaylist(2))
    talk(rig, [narrow, wide], 80)
    for phone in (narrow, wide) if how == "wide joins" else (narrow,):
        later = np.concatenate(phone.heard[40:95])
        pitches = tones.heard(later, [500.0, 650.0, 1300.0, 2600.0], phone.codec.rate_hz, threshold=3000)
        assert pitches == {1300.0} | ({500.0} if phone is narrow and how != "wide leaves" else set())


def test_an_announcement_that_cannot_be_read_is_told_and_the_next_is_played() -> None:
    rig = EngineRig()
    one, other = Phone(rig, 1, codec("PCMU", 8000), 500), Phone(rig, 2, codec("PCMU", 8000), 0)
    phones = room(rig, one, other)
    rig.do(Announce("r", (PlayFile("/none.wav"), PlayTone((1300,), length_ms=400))))
    (wanted,) = rig.engine.take_wanted()
    rig.engine.file_loaded(wanted.token, None, "No such file or directory")
    talk(rig, phones, 30)
    assert [e for e in rig.events if isinstance(e, AnnounceFailed)] == [
        AnnounceFailed("r", "/none.wav", "No such file or directory")
    ]
    assert 1300.0 in tones.heard(np.concatenate(other.heard[4:18]), [500.0, 1300.0], threshold=3000)


def test_a_playout_buffer_that_there_is_none_of_is_refused() -> None:
    rig = EngineRig()
    rig.connect(1, ("10.0.0.1", 4000))
    rig.do(SetPlayout(1, "simple"))
    with pytest.raises(ValueError, match="leg 1: no playout buffer 'simpel': adaptive, adaptive_jb, simple"):
        rig.do(SetPlayout(1, "simpel"))
    assert rig.engine.by_number[1].playout == "simple"


def test_speakers_are_reported_with_hysteresis() -> None:
    rig = EngineRig()
    one, other = Phone(rig, 1, codec("PCMU", 8000), 500), Phone(rig, 2, codec("PCMU", 8000), 0)
    phones = room(rig, one, other)

    def ticks(count: int) -> list[tuple[int, bool]]:
        rig.events.clear()
        for _ in range(count // 10):
            talk(rig, phones, 10)
            rig.engine.check_timeouts(rig.now_ns)
        rig.do()
        return [(e.leg, e.speaking) for e in rig.events if isinstance(e, SpeakerChanged)]

    assert ticks(50) == [(1, True)]
    one.tone_hz = 0.0
    assert ticks(20) == []
    assert ticks(80) == [(1, False)]
    one.tone_hz = 500.0
    ticks(50)
    rig.do(SetLegAudio(1, muted=True))
    assert ticks(100) == [(1, False)]


def test_talk_through_keeps_speaking_in_the_interrupted_room() -> None:
    rig = EngineRig()
    one, other = Phone(rig, 1, codec("PCMU", 8000), 500), Phone(rig, 2, codec("PCMU", 8000), 900)
    phones = room(rig, one, other)
    prompt = PlayTone((1300,), talk_through=True)
    rig.do(Enqueue(1, (prompt,), front=True))
    talk(rig, phones)
    assert one.hears([500.0, 900.0, 1300.0]) == {1300.0}
    assert other.hears([500.0, 900.0, 1300.0]) == {500.0}


def test_bridge_needs_both_sides_and_ends_with_one() -> None:
    rig = EngineRig()
    one, other = Phone(rig, 1, codec("PCMU", 8000), 500), Phone(rig, 2, codec("L16", 16000), 900)
    rig.do(Enqueue(1, (PlayBridge(2),)))
    talk(rig, [one, other], 30)
    assert one.hears([500.0, 900.0]) == other.hears([500.0, 900.0]) == set()
    rig.do(Enqueue(2, (PlayBridge(1),)))
    one.heard.clear()
    other.heard.clear()
    talk(rig, [one, other])
    assert (one.hears([500.0, 900.0]), other.hears([500.0, 900.0])) == ({900.0}, {500.0})
    rig.do(CloseLeg(2))
    one.heard.clear()
    talk(rig, [one], 30)
    assert one.hears([500.0, 900.0]) == set()


def test_room_of_a_thousand_listeners_is_one_encoding_for_all() -> None:
    rig = EngineRig()
    speaker = Phone(rig, 1, codec("PCMU", 8000), 500)
    room(rig, speaker)
    for leg in range(2, 1002):
        rig.connect(leg, ("10.0.0.2", 2000 + leg))
    rig.do(*(Enqueue(leg, (PlayRoom("r"),)) for leg in range(2, 1002)))
    for _ in range(5):
        speaker.say()
        packets = rig.tick()
    assert len({packets[leg][12:] for leg in range(2, 1002)}) == 1
    assert tones.level(codec("PCMU", 8000).decode(np.frombuffer(packets[2][12:], np.uint8)), 500) > 7000
