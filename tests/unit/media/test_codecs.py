# SPDX-License-Identifier: GPL-2.0-or-later
"""Every codec: a tone survives the round trip, any bytes decode to samples, one frame is 20 ms."""

from __future__ import annotations

import os
import random

import numpy as np
import pytest

from media import codecs
from media.codecs.codec import Codec
from tests.support import tones

WANTED = "PCMU PCMA L16 G722 G726-16 G726-24 G726-32 G726-40 G721 GSM SPEEX OPUS"
LIBRARY = [codec for codec in codecs.ALL if codec.coder is not None]


@pytest.mark.skipif(
    not os.environ.get("CI") and len(LIBRARY) < 11, reason="libopus0 libgsm1 libspeex1 libspandsp2 are not all here"
)
def test_all_libraries_are_there() -> None:
    assert {codec.rtpmap for codec in codecs.ALL} == set(WANTED.split())


def frames(codec: Codec) -> np.ndarray:
    size = codec.rate_hz // 50
    return tones.tone(500, 600, codec.rate_hz)[: 30 * size].reshape(-1, size)


@pytest.mark.parametrize("codec", LIBRARY, ids=lambda c: f"{c.rtpmap}-{c.clock_hz}")
def test_tone_survives_the_round_trip(codec: Codec) -> None:
    assert codec.coder is not None
    sender, receiver = codec.coder(""), codec.coder("")
    decoded = [receiver.decode(sender.encode(np.ascontiguousarray(frame))) for frame in frames(codec)]
    assert {len(frame) for frame in decoded} == {codec.rate_hz // 50}
    heard = np.concatenate(decoded)[codec.rate_hz // 10 :]
    assert tones.heard(heard, [500.0, 900.0, 2000.0], codec.rate_hz, threshold=3000) == {500.0}


@pytest.mark.parametrize("codec", LIBRARY, ids=lambda c: f"{c.rtpmap}-{c.clock_hz}")
def test_any_bytes_decode_to_some_samples(codec: Codec) -> None:
    assert codec.coder is not None
    coder, chance = codec.coder("nonsense=1"), random.Random(3)
    for _ in range(300):
        samples = coder.decode(chance.randbytes(chance.randrange(0, 300)))
        assert samples.dtype == np.int16
        assert len(coder.conceal(codec.rate_hz // 50)) in (0, codec.rate_hz // 50)


@pytest.mark.parametrize("codec", [c for c in codecs.ALL if c.coder is None], ids=lambda c: f"{c.rtpmap}-{c.clock_hz}")
def test_array_codecs_code_whole_arrays(codec: Codec) -> None:
    said = tones.tone(500, 200, codec.rate_hz)
    heard = codec.decode(codec.encode(said))
    assert np.abs(heard.astype(int) - said).max() <= (0 if codec.rtpmap == "L16" else 260)
