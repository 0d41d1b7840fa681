# SPDX-License-Identifier: GPL-2.0-or-later
"""Key tones in the audio: every key, loud and quiet, unequal, in noise; speech-like sounds are no keys."""

from __future__ import annotations

import numpy as np
import pytest

from media.codecs import find
from media.control.records import DigitPressed, SetDigitDetection
from media.dsp import dtmf
from tests.support.engine_rig import EngineRig, rtp

PEER = ("10.0.0.1", 4000)
RNG = np.random.default_rng(1)


def key_tone(event: int, length_ms: int, low: float = 6000.0, high: float = 6000.0, offset: float = 1.0) -> np.ndarray:
    row, column = np.argwhere(event == dtmf.EVENTS)[0]
    time_s = np.arange(8 * length_ms) / 8000
    return low * np.sin(2 * np.pi * dtmf.LOW_HZ[row] * offset * time_s) + high * np.sin(
        2 * np.pi * dtmf.HIGH_HZ[column] * offset * time_s + 1
    )


def detected(samples: np.ndarray, codec_name: str = "PCMU", clock_hz: int = 8000) -> list[int]:
    """Send samples to a leg as RTP, 20 ms a packet; the keys reported."""
    rig, codec = EngineRig(), find(codec_name, clock_hz)
    assert codec is not None
    rig.connect(1, PEER, codec_name, clock_hz, 96)
    rig.do(SetDigitDetection(1, inband=True))
    size = codec.rate_hz // 50
    samples = np.concatenate([samples, np.zeros(10 * size)])
    for step in range(len(samples) // size):
        frame = np.clip(samples[step * size :][:size], -32768, 32767).astype(np.int16)
        rig.arrive(rig.ports[1], PEER, rtp(step, step * size, codec.encode(frame).tobytes(), 96))
        rig.tick()
    return [e.event for e in rig.events if isinstance(e, DigitPressed) and e.source == "inband"]


def dialled(keys: list[int], length_ms: int = 60, pause_ms: int = 60, start: int = 0, **more: float) -> np.ndarray:
    parts = [np.zeros(start)]
    for key in keys:
        parts += [key_tone(key, length_ms, **more), np.zeros(8 * pause_ms)]
    return np.concatenate(parts)


@pytest.mark.parametrize("start", [0, 37, 80, 121])
def test_every_key_once_and_twice_at_any_alignment(start: int) -> None:
    keys = [*range(16), 5, 5, 0, 0]
    assert detected(dialled(keys, start=start)) == keys


@pytest.mark.parametrize(("low", "high"), [(12000, 12000), (400, 400), (6000, 2600), (2600, 6000)])
def test_loud_quiet_and_unequal_tones(low: float, high: float) -> None:
    assert detected(dialled([1, 5, 11, 12], low=low, high=high)) == [1, 5, 11, 12]


@pytest.mark.parametrize("offset", [0.985, 1.015])
def test_frequencies_within_tolerance(offset: float) -> None:
    assert detected(dialled(list(range(16)), offset=offset)) == list(range(16))


def test_keys_in_noise() -> None:
    said = dialled(list(range(16)), length_ms=80)
    assert detected(said + RNG.normal(0, 600, len(said))) == list(range(16))


def test_keys_through_lost_packets_of_neighbours_and_wideband() -> None:
    said = np.repeat(dialled([1, 2, 3, 15], length_ms=100), 2)
    assert detected(said, "L16", 16000) == [1, 2, 3, 15]


def test_a_long_press_is_one_press() -> None:
    assert detected(dialled([7], length_ms=2000)) == [7]


@pytest.mark.parametrize("seed", range(5))
def test_speech_like_sound_noise_and_single_tones_are_no_keys(seed: int) -> None:
    chance = np.random.default_rng(seed)
    time_s = np.arange(8000 * 4) / 8000
    pitch = 120 + 40 * np.sin(2 * np.pi * 0.7 * time_s + seed)
    phase = 2 * np.pi * np.cumsum(pitch) / 8000
    voice = sum(3000 / k * np.sin(k * phase + chance.uniform(0, 6)) for k in range(1, 20)) * (
        np.sin(2 * np.pi * 3 * time_s) > -0.3
    )
    assert detected(np.asarray(voice)) == []
    assert detected(chance.normal(0, 5000, 16000)) == []
    assert detected(8000 * np.sin(2 * np.pi * 770 * time_s[:8000])) == []


def test_off_means_off() -> None:
    rig = EngineRig()
    rig.connect(1, PEER)
    rig.do(SetDigitDetection(1, inband=True), SetDigitDetection(1, inband=False))
    assert rig.engine.legs.rows[0]["listened"] == 0
