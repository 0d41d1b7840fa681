# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets of the length that the peer asked for: what they carry, their timestamps, marker, counts; key presses; changes."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media import codecs
from media.codecs.codec import packet_ms
from media.control.play_items import PlayFile
from media.control.records import ConnectLeg, Enqueue, SendDigit, SetLegAudio
from media.engine.sources import StoredAudio
from tests.support import tones
from tests.support.engine_rig import EngineRig

PEER = ("127.0.0.1", 30000)
Packet = tuple[int, int, bool, bytes]  # sequence, timestamp, marker, payload


def header(packet: bytes) -> Packet:
    sequence, ts = struct.unpack(">HI", packet[2:8])
    return sequence, ts, packet[1] > 127, packet[12:]


def play(rig: EngineRig, leg: int, samples: np.ndarray) -> None:
    """Let a leg play samples at its codec's rate."""
    rig.do(Enqueue(leg, (PlayFile("x", loop=True),)))
    for wanted in rig.engine.take_wanted():
        rig.engine.file_loaded(wanted.token, StoredAudio(wanted.codec, wanted.codec.encode(samples)), "")


def test_lengths_are_what_is_asked_for_within_codec_and_network() -> None:
    def lengths(name: str, clock_hz: int, *asked: int) -> list[int]:
        codec = codecs.find(name, clock_hz)
        assert codec is not None
        return [packet_ms(codec, ms) for ms in asked]

    assert lengths("PCMU", 8000, 1, 10, 20, 25, 30, 40, 60, 100, 500) == [10, 10, 20, 20, 30, 40, 60, 100, 120]
    assert lengths("GSM", 8000, 10, 20, 30, 40, 60) == [20, 20, 20, 40, 60]
    assert lengths("L16", 16000, 10, 60) == [10, 40], "longer ones would not fit into a datagram"
    assert lengths("L16", 48000, 20, 60) == [20, 20]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([10, 20, 30, 40, 50, 60, 120]), min_size=1, max_size=5),
    st.lists(st.booleans(), min_size=14, max_size=14),
    st.integers(0, 1000),
)
def test_any_length_carries_what_20_ms_carry_at_the_same_timestamps(lengths: list[int], sends: list[bool], seed: int) -> None:
    """Legs of several lengths and one of 20 ms play the same; pauses leave a gap in time and begin with a marker."""
    rig = EngineRig()
    audio = np.random.default_rng(seed).integers(-30000, 30000, 8000).astype(np.int16)
    said: dict[int, dict[int, int]] = {}
    for leg, ptime_ms in enumerate([20, *lengths]):
        rig.connect(leg, (PEER[0], PEER[1] + leg), ptime_ms=ptime_ms)
        row = rig.engine.legs.rows[leg]
        row["ts_out"], row["sequence_out"] = 2**32 - 800, 65530
        play(rig, leg, audio)
        said[leg] = {}
    expected_sequence = dict.fromkeys(said, 65530)
    pause_before = dict.fromkeys(said, True)
    for sending in sends:
        for leg in said:
            rig.do(SetLegAudio(leg, send_muted=not sending))
            pause_before[leg] = pause_before[leg] or not sending
        for leg, packets in rig.tick_all().items():
            for packet in packets:
                sequence, ts, marker, payload = header(packet)
                assert len(payload) == 8 * [20, *lengths][leg]
                assert sequence == expected_sequence[leg]
                assert marker == pause_before[leg]
                expected_sequence[leg], pause_before[leg] = (sequence + 1) & 0xFFFF, False
                said[leg] |= {(ts + i) & 0xFFFFFFFF: byte for i, byte in enumerate(payload)}
    for leg, bytes_at in said.items():
        assert bytes_at.items() <= said[0].items()
        missing = len(said[0]) - len(bytes_at)
        pauses = sum(a and not b for a, b in zip(sends, [*sends[1:], False], strict=True))
        assert missing < 8 * [20, *lengths][leg] * (pauses + 1), "only what did not fill a packet before a pause"
        row = rig.engine.legs.rows[leg]
        assert row["packets_sent"] == (int(row["sequence_out"]) - 65530) & 0xFFFF
        assert row["bytes_sent"] == len(bytes_at)


@pytest.mark.parametrize(("name", "clock_hz", "ms"), [("L16", 16000, 40), ("G722", 8000, 10), ("G722", 8000, 60), ("GSM", 8000, 40),
                                                       ("SPEEX", 16000, 60), ("OPUS", 48000, 60), ("G726-24", 8000, 30)])  # fmt: skip
def test_every_kind_of_codec_sounds_as_without(name: str, clock_hz: int, ms: int) -> None:
    rig = EngineRig()
    codec = codecs.find(name, clock_hz)
    assert codec is not None
    rig.connect(1, PEER, name, clock_hz, 96, ptime_ms=ms, channels=codec.channels)
    play(rig, 1, tones.tone(500, 1000, codec.rate_hz))
    coder = codec.coder("") if codec.coder else None
    heard, timestamps, count = [], [], 0
    for _ in range(50):
        for packet in rig.tick_all().get(1, []):
            _, ts, _, payload = header(packet)
            timestamps.append(ts)
            count += len(payload)
            heard.append(coder.decode(payload) if coder else codec.decode(np.frombuffer(payload, np.uint8)))
            assert len(heard[-1]) == codec.rate_hz * ms // 1000
    assert set(np.diff(np.array(timestamps, np.uint32)).tolist()) == {clock_hz * ms // 1000}
    assert rig.engine.legs.rows[0]["bytes_sent"] == count
    sound = np.concatenate(heard)[codec.rate_hz // 5 :]
    assert tones.level(sound, 500, codec.rate_hz) > 5000
    window = codec.rate_hz // 50
    levels = [tones.level(sound[i : i + window], 500, codec.rate_hz) for i in range(0, len(sound) - window, window)]
    assert min(levels) > 4000, "the tone has no gap"


@pytest.mark.parametrize(("ptime_ms", "steps"), [(10, 10), (40, 3), (60, 2)])
def test_a_press_takes_as_long_with_any_length_of_packet(ptime_ms: int, steps: int) -> None:
    rig = EngineRig()
    rig.connect(1, PEER, ptime_ms=ptime_ms, dtmf_send=101)
    rig.do(SendDigit(1, 5, 100))
    events, audio = [], []
    for _ in range(30):
        for packet in rig.tick_all().get(1, []):
            (events if packet[1] & 127 == 101 else audio).append(packet)
    decoded = [struct.unpack(">BBH", packet[12:]) for packet in events]
    assert len({header(packet)[1] for packet in events}) == 1
    assert [header(packet)[2] for packet in events] == [True] + [False] * (len(events) - 1)
    length = steps * ptime_ms * 8
    assert [d for _, volume, d in decoded if not volume & 0x80] == list(range(ptime_ms * 8, length, ptime_ms * 8))
    assert [d for _, volume, d in decoded if volume & 0x80] == [length] * 3
    sequences = sorted(header(packet)[0] for packet in (*events, *audio))
    assert set(np.diff(np.array(sequences, np.uint16))) == {1}


def test_a_change_of_length_or_codec_goes_on_in_time() -> None:
    rig = EngineRig()
    rig.connect(1, PEER, ptime_ms=60)
    begun = int(rig.engine.legs.rows[0]["ts_out"])
    rig.tick_all()
    rig.tick_all()
    for ptime_ms, codec, kind in ((20, "PCMU", 0), (40, "PCMA", 8), (10, "PCMA", 8), (20, "PCMU", 0)):
        rig.do(ConnectLeg(1, *PEER, codec, 8000, kind, kind, ptime_ms))
        before = int(rig.engine.legs.rows[0]["ts_out"])
        assert (before - begun) % 160 == 0
        packets = [packet for _ in range(4) for packet in rig.tick_all().get(1, [])]
        assert [header(p)[1] for p in packets] == [(before + i * ptime_ms * 8) & 0xFFFFFFFF for i in range(80 // ptime_ms)]
    assert (int(rig.engine.legs.rows[0]["ts_out"]) - begun) & 0xFFFFFFFF == 18 * 160


@pytest.mark.parametrize(("ptime_ms", "expected"), [(10, {10}), (30, {30}), (40, {40}), (50, {50}), (60, {60}), (70, {70})])
def test_packets_leave_evenly(ptime_ms: int, expected: set[int]) -> None:
    """A tick has two moments to send in: at its begin, and half a tick later (`tick_more`)."""
    rig = EngineRig()
    rig.connect(1, PEER, "PCMU", 8000, 0, ptime_ms=ptime_ms)
    samples = tones.tone(500, 1000)
    play(rig, 1, samples)
    at_ms, sent = [], b""
    for tick in range(100):
        if (packet := rig.tick().get(1)) is not None:
            at_ms.append(20 * tick)
            sent += packet[12:]
        if (packet := rig.tick_more().get(1)) is not None:
            at_ms.append(20 * tick + 10)
            sent += packet[12:]
    assert set(np.diff(at_ms).tolist()) == expected
    codec = codecs.find("PCMU", 8000)
    assert codec is not None
    whole = np.tile(codec.encode(samples), 3).tobytes()
    assert sent == whole[: len(sent)] and len(sent) > 8 * 1800
