# SPDX-License-Identifier: GPL-2.0-or-later
"""What the Speex reader takes for frames: all that libspeex makes, and nothing that libspeex complains about on standard error."""

from __future__ import annotations

import random

import numpy as np
import pytest

from media import codecs
from media.codecs.codec import Codec, Coder
from media.codecs.speex import MODES
from media.codecs.speex_frames import whole_frames

SPEEX = [codec for codec in codecs.ALL if codec.rtpmap == "SPEEX"]
pytestmark = pytest.mark.skipif(not SPEEX, reason="libspeex1 is not here")


def encoded(coder: Coder, codec: Codec, seed: int, frames: int = 1) -> bytes:
    noise = np.random.default_rng(seed).normal(0, 3000 if seed % 3 else 3, frames * codec.rate_hz // 50)
    return coder.encode(noise.astype(np.int16))


@pytest.mark.parametrize("codec", SPEEX, ids=lambda c: str(c.clock_hz))
@pytest.mark.parametrize("fmtp", ["", "mode=1", "mode=2", "mode=3", "mode=5", "mode=7", "mode=8", "mode=10", "vbr=on"])
def test_every_frame_of_the_library_is_one(codec: Codec, fmtp: str) -> None:
    assert codec.coder is not None
    coder = codec.coder(fmtp)
    for seed in range(20):
        for count in (1, 2, 6):
            payload = encoded(coder, codec, seed, count)
            assert whole_frames(payload, MODES[codec.rate_hz], 6) == count
            assert whole_frames(payload, MODES[codec.rate_hz], 1) == 1
            assert whole_frames(payload[: len(payload) // 2], MODES[codec.rate_hz], 6) < count


@pytest.mark.parametrize("codec", SPEEX, ids=lambda c: str(c.clock_hz))
def test_any_bytes_are_decoded_in_silence(codec: Codec, capfd: pytest.CaptureFixture[str]) -> None:
    assert codec.coder is not None
    coder, chance = codec.coder(""), random.Random(4)
    heard = 0
    for seed in range(2000):
        if seed % 3:
            payload = bytearray(chance.randbytes(chance.choice((0, 1, 3, 6, 20, 38, 70, 300))))
        else:
            payload = bytearray(encoded(coder, codec, seed))
            for _ in range(chance.randrange(4)):
                payload[chance.randrange(len(payload))] ^= 1 << chance.randrange(8)
        heard += len(coder.decode(bytes(payload))) > 0
    assert heard > 100
    assert capfd.readouterr() == ("", "")


def test_messages_before_a_frame_are_passed_over() -> None:
    """A request of one bit (kind 0) before a narrow-band frame of mode 0, then padding."""
    bits = "01110" + "0000" + "1" + "00000" + "1"
    assert whole_frames(int(bits, 2).to_bytes(2, "big"), 0, 6) == 1
