# SPDX-License-Identifier: GPL-2.0-or-later
"""Stored audio on a leg: where it begins, where it goes on, that loops and interruptions have no seam."""

from __future__ import annotations

import numpy as np
import pytest

from media import codecs
from media.control.play_items import PlayFile, PlaySilence
from media.control.records import ConnectLeg, Enqueue, PlaylistEmptied, RtpTimedOut, SetRtpTimeout
from media.engine.sources import StoredAudio, encode_samples
from tests.support.engine_rig import EngineRig

PEER = ("127.0.0.1", 30000)


def loaded(rig: EngineRig, samples_8k: np.ndarray) -> None:
    """Give every file that is wanted these samples, at the rate that is wanted."""
    for wanted in rig.engine.take_wanted():
        assert wanted.codec.rate_hz == 8000
        rig.engine.file_loaded(wanted.token, encode_samples(samples_8k, wanted.codec), "")


def start(**item: object) -> tuple[EngineRig, np.ndarray]:
    rig = EngineRig()
    rig.connect(1, PEER, "L16", 8000, 96)
    rig.do(Enqueue(1, (PlayFile("x", **item),)))  # type: ignore[arg-type]
    samples = np.arange(1, 1001, dtype=np.int16)
    loaded(rig, samples)
    return rig, samples


def hear(rig: EngineRig, ticks: int) -> np.ndarray:
    return np.concatenate([np.frombuffer(rig.tick()[1][12:], ">i2").astype(np.int16) for _ in range(ticks)])


@pytest.mark.parametrize(("seek_ms", "first"), [(0, 1), (50, 401), (124, 993), (-5, 1)])
def test_seek_begins_at_that_sample(seek_ms: int, first: int) -> None:
    rig, samples = start(seek_ms=seek_ms)
    heard = hear(rig, 8)
    assert heard[: 1001 - first].tolist() == samples[first - 1 :].tolist()
    assert not np.any(heard[1001 - first :])
    assert [type(e) for e in rig.events].count(PlaylistEmptied) == 1


def test_seek_beyond_the_end_is_the_end() -> None:
    rig, _ = start(seek_ms=10_000)
    assert not np.any(hear(rig, 3))
    assert [type(e) for e in rig.events].count(PlaylistEmptied) == 1


def test_a_loop_joins_sample_by_sample_whatever_its_length() -> None:
    rig, samples = start(loop=True, seek_ms=25)
    heard = hear(rig, 30)
    assert heard.tolist() == np.resize(np.roll(samples, -200), 30 * 160).tolist()
    assert not [e for e in rig.events if isinstance(e, PlaylistEmptied)]


def test_an_interrupted_file_goes_on_where_it_was_also_in_another_codec() -> None:
    rig, samples = start()
    assert hear(rig, 2).tolist() == samples[:320].tolist()
    rig.do(Enqueue(1, (PlaySilence(40),), front=True))
    assert not np.any(hear(rig, 2))
    assert hear(rig, 1).tolist() == samples[320:480].tolist()
    rig.do(ConnectLeg(1, *PEER, "PCMU", 8000, 0, 0))
    loaded(rig, samples)
    codec = codecs.find("PCMU", 8000)
    assert codec is not None
    heard = codec.decode(np.frombuffer(rig.tick()[1][12:], np.uint8))
    assert np.abs(heard.astype(int) - samples[480:640]).max() <= 16
    assert StoredAudio(codec, codec.encode(samples)).length_ms == 125


@pytest.mark.parametrize("length_ms", [2**61, 2**63])
def test_a_silence_longer_than_a_row_counts_has_no_end(length_ms: int) -> None:
    """At 16 kHz these are 2**65 and 2**67 samples: cut off to a row's 64 bits they would be none."""
    rig = EngineRig()
    rig.connect(1, PEER, "L16", 16000, 96)
    rig.do(Enqueue(1, (PlaySilence(length_ms),)))
    assert not np.any(hear(rig, 5))
    assert not [e for e in rig.events if isinstance(e, PlaylistEmptied)]


@pytest.mark.parametrize("timeout_ms", [2**60, 2**64 // 1_000_000 + 1])
def test_a_time_limit_longer_than_a_row_counts_is_none(timeout_ms: int) -> None:
    rig = EngineRig()
    rig.connect(1, PEER, "L16", 8000, 96)
    rig.do(SetRtpTimeout(1, timeout_ms))
    rig.tick()
    rig.engine.check_timeouts(rig.now_ns + 86_400 * 10**9)
    assert not [e for e in rig.engine.take_events() if isinstance(e, RtpTimedOut)]
