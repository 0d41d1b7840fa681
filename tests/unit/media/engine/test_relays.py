# SPDX-License-Identifier: GPL-2.0-or-later
"""Payloads passed on undecoded: library codecs, drifting clocks, clocks that begin between frames, who may and who may not."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from media import codecs
from media.codecs.codec import Codec
from media.control.play_items import PlayBridge, PlayRoom, PlayTone
from media.control.recording_records import StartRoomRecording
from media.control.records import Announce, CloseLeg, Enqueue, FlushPlaylist, MixIn, SetLegAudio, SetupMixIn, TeeRoom
from media.engine.engine import TICK_NS
from tests.support import tones
from tests.support.engine_rig import EngineRig, rtp

LIBRARY = [("G722", 8000), ("GSM", 8000), ("G726-32", 8000), ("OPUS", 48000)]


class Talk:
    """Two legs of one codec in a bridge or a room; leg 1 says a tone, packet by packet."""

    def __init__(self, name: str = "PCMU", clock_hz: int = 8000, room: str = "", kind: int = 96) -> None:
        codec = codecs.find(name, clock_hz)
        assert codec is not None
        self.codec: Codec = codec
        self.rig = EngineRig()
        self.kind = kind
        for leg in (1, 2):
            self.join(leg, room)
        if not room:
            self.rig.do(*(Enqueue(leg, (PlayBridge(3 - leg),)) for leg in (1, 2)))
        samples = tones.tone(500, 4000, codec.rate_hz)
        frame = codec.rate_hz // 50
        coder = codec.coder("") if codec.coder else None
        frames = [np.ascontiguousarray(samples[i : i + frame]) for i in range(0, len(samples), frame)]
        self.payloads = [coder.encode(f) if coder else codec.encode(f).tobytes() for f in frames]
        self.listener = codec.coder("") if codec.coder else None
        self.heard: list[np.ndarray] = []
        self.timestamps: list[int] = []
        self.sequence: list[int] = []
        self.sent = 0

    def join(self, leg: int, room: str = "") -> None:
        more = {"channels": self.codec.channels}
        self.rig.connect(leg, ("127.0.0.1", 30000 + leg), self.codec.rtpmap, self.codec.clock_hz, self.kind, **more)
        if room:
            self.rig.do(Enqueue(leg, (PlayRoom(room),)))

    def say(self, ts_offset: int = 0) -> None:
        payload = self.payloads[self.sent % len(self.payloads)]
        ts = self.sent * self.codec.clock_hz // 50 + ts_offset
        self.rig.arrive(self.rig.ports[1], ("127.0.0.1", 30001), rtp(self.sent, ts, payload, self.kind))
        self.sent += 1

    def hear(self) -> None:
        for packet in self.rig.tick_all().get(2, []):
            sequence, ts = struct.unpack(">HI", packet[2:8])
            self.sequence.append(sequence)
            self.timestamps.append(ts)
            payload = packet[12:]
            found = self.listener.decode(payload) if self.listener else self.codec.decode(np.frombuffer(payload, np.uint8))
            self.heard.append(found)

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            self.say()
            self.hear()

    @property
    def relayed(self) -> bool:
        return bool(self.rig.engine.leg_statistics(self.rig.engine.by_number[2])["relayed"])


def smoothness(samples: np.ndarray, rate_hz: int) -> float:
    """Loudest 20 ms of what is left of a 500 Hz tone once the tone itself, as it is in each 20 ms, is taken out; of its amplitude."""
    frame = rate_hz // 50
    turning = np.exp(2j * np.pi * 500 * np.arange(frame) / rate_hz)
    worst = 0.0
    for first in range(0, len(samples) - frame, frame // 2):
        part = samples[first : first + frame].astype(np.float64)
        amplitude = 2 * np.mean(part * turning.conj())
        worst = max(worst, float(np.sqrt(np.mean((part - (amplitude * turning).real) ** 2))))
    return worst / 8000


@pytest.mark.parametrize(("name", "clock_hz"), LIBRARY)
def test_a_library_codecs_payloads_pass_unchanged_and_come_back_to_decoding_smoothly(name: str, clock_hz: int) -> None:
    talk = Talk(name, clock_hz)
    talk.run(90)
    assert talk.relayed and talk.rig.counter("packets_relayed") > 20
    talk.rig.do(SetLegAudio(1, gain_db=0.01))
    talk.run(25)
    assert not talk.relayed
    talk.rig.do(SetLegAudio(1, gain_db=0.0))
    talk.run(25)
    assert talk.relayed
    assert set(np.diff(np.array(talk.timestamps, np.uint32)).tolist()) == {clock_hz // 50}
    assert set(np.diff(np.array(talk.sequence, np.uint16)).tolist()) == {1}
    sound = np.concatenate(talk.heard)[talk.codec.rate_hz // 2 :]
    plain = Talk(name, clock_hz)
    plain.rig.engine.relays.enabled = False
    plain.run(140)
    reference = smoothness(np.concatenate(plain.heard)[talk.codec.rate_hz // 2 :], talk.codec.rate_hz)
    assert smoothness(sound, talk.codec.rate_hz) < max(2 * reference, 0.25), "no click where decoding takes over or gives back"
    levels = [
        tones.level(sound[i : i + talk.codec.rate_hz // 50], 500, talk.codec.rate_hz) for i in range(0, len(sound) // 2, 400)
    ]
    assert min(levels) > 5000


@pytest.mark.parametrize("parts_per_million", [-5000, -100, 100, 5000])
def test_a_sender_whose_clock_is_off_loses_nothing(parts_per_million: int) -> None:
    talk = Talk()
    every_ns = TICK_NS * 1_000_000 / (1_000_000 + parts_per_million)
    next_ns = float(talk.rig.now_ns + 1)
    for _ in range(1500):
        while next_ns <= talk.rig.now_ns + TICK_NS:
            talk.say()
            next_ns += every_ns
        talk.hear()
    assert talk.relayed
    assert talk.rig.counter("packets_relayed") > talk.sent - 15
    assert set(np.diff(np.array(talk.sequence[20:], np.uint16)).tolist()) == {1}
    assert set(np.diff(np.array(talk.timestamps[20:], np.uint32)).tolist()) == {160}
    assert len(talk.heard) >= talk.sent - 4, "what has not been sent is on its way only"


def test_a_clock_between_two_frames_is_brought_to_a_frames_beginning_first() -> None:
    talk = Talk()
    talk.run(4)
    row = talk.rig.engine.legs.rows[0]
    row["play_ts"] -= np.uint32(50)
    talk.run(30)
    assert not talk.relayed
    talk.run(60)
    assert talk.relayed
    sound = np.concatenate(talk.heard)[5 * 160 :]
    assert smoothness(sound, 8000) < 0.35, "a sample at a time, no frame is cut"
    assert min(tones.level(sound[i : i + 160], 500) for i in range(0, len(sound) - 160, 160)) > 6000


def test_a_room_of_two_passes_library_codecs_on_and_still_reports_levels() -> None:
    talk = Talk("OPUS", 48000, room="two")
    talk.run(90)
    assert talk.relayed
    assert talk.rig.engine.legs.rows[0]["energy"] > 0.01
    plain = Talk("PCMU", 8000, room="two")
    plain.run(40)
    assert not plain.relayed, "for G.711 nothing would be saved"


@pytest.mark.parametrize("what", ["third", "tee", "announcement", "recording", "mix", "leaves", "closes", "other codec"])
def test_company_ends_a_relay_and_its_leaving_brings_it_back(what: str) -> None:
    talk = Talk("G722", 8000, room="two")
    talk.run(30)
    assert talk.relayed
    rig, tone = talk.rig, PlayTone((900,), length_ms=100)
    if what == "third":
        talk.join(3, "two")
    elif what == "tee":
        talk.join(3, "elsewhere")
        rig.do(TeeRoom(3, "two"))
    elif what == "announcement":
        rig.do(Announce("two", (tone,)))
    elif what == "recording":
        rig.do(StartRoomRecording("two", "x.wav"))
    elif what == "mix":
        rig.do(SetupMixIn(2, 0.5), MixIn(2, (tone,)))
    elif what == "leaves":
        rig.do(FlushPlaylist(1))
    elif what == "closes":
        rig.do(CloseLeg(2))
        talk.run(5)
        assert 2 not in rig.engine.by_number
        return
    else:
        rig.connect(4, ("127.0.0.1", 30004), "PCMU", 8000, 0)
        rig.do(CloseLeg(2), Enqueue(4, (PlayRoom("two"),)))
        talk.run(5)
        assert not rig.engine.leg_statistics(rig.engine.by_number[4])["relayed"]
        return
    talk.run(2)
    assert not talk.relayed
    if what == "third":
        rig.do(CloseLeg(3))
    elif what == "tee":
        rig.do(TeeRoom(3, "two", on=False))
    talk.run(30)
    assert talk.relayed == (what in ("third", "tee", "announcement"))


def test_packets_of_another_length_than_negotiated_are_decoded() -> None:
    talk = Talk("G722", 8000)
    for step in range(30):
        payload = b"".join(talk.payloads[2 * step : 2 * step + 2])
        talk.rig.arrive(talk.rig.ports[1], ("127.0.0.1", 30001), rtp(step, step * 320, payload, 96))
        talk.hear()
        talk.hear()
    assert not talk.relayed
    assert len({len(h) for h in talk.heard}) == 1


def test_many_rooms_and_legs_leave_nothing_behind() -> None:
    rig = EngineRig()
    for leg in range(1, 41):
        rig.connect(leg, ("127.0.0.1", 30000 + leg))
    for leg in range(1, 41):
        rig.do(Enqueue(leg, (PlayBridge(leg + 1 if leg % 2 else leg - 1),)))
    for tick in range(20):
        for leg in range(1, 41):
            rig.arrive(rig.ports[leg], ("127.0.0.1", 30000 + leg), rtp(tick, tick * 160, bytes([leg] * 160)))
        packets = rig.tick()
    assert rig.counter("packets_relayed") > 40 * 8
    assert all(packets[leg][12:] == bytes([leg + 1 if leg % 2 else leg - 1] * 160) for leg in packets)
    for leg in range(1, 41, 3):
        rig.do(CloseLeg(leg))
    rig.tick()
    rig.do(*(CloseLeg(leg) for leg in range(1, 41)))
    rig.tick()
    relays = rig.engine.relays
    assert not relays._pairs and not relays._indexes and not relays._of_leg and not relays._of_room and not relays._kept
