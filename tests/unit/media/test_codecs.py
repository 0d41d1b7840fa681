# SPDX-License-Identifier: GPL-2.0-or-later
"""Every codec: a tone survives the round trip, any bytes decode to samples; what the peer's parameters change."""

from __future__ import annotations

import ctypes
import os
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media import codecs
from media.codecs import itu
from media.codecs.codec import Codec, number, parameters
from tests.support import tones

WANTED = "PCMU PCMA L16 G722 G726-16 G726-24 G726-32 G726-40 G721 G729 GSM SPEEX OPUS ILBC"
LIBRARY = [codec for codec in codecs.ALL if codec.coder is not None]


@pytest.mark.skipif(
    not os.environ.get("CI") and len(LIBRARY) < 14,
    reason="libbcg729-0 libgsm1 libopus0 libspandsp2 libspeex1 and what etc/setup/ilbc.sh builds are not all here",
)
def test_all_libraries_are_there() -> None:
    assert {codec.rtpmap for codec in codecs.ALL} == set(WANTED.split())


def frame_samples(codec: Codec) -> int:
    """20 ms, or a frame when that is longer."""
    return codec.rate_hz * max(codec.frame_ms, 20) // 1000


def frames(codec: Codec) -> np.ndarray:
    size = frame_samples(codec)
    return tones.tone(500, 900, codec.rate_hz)[: 30 * size].reshape(-1, size)


def coded(codec: Codec, fmtp: str, count: int = 30) -> list[bytes]:
    """What a coder for a peer with such parameters sends for some speech-like noise."""
    assert codec.coder is not None
    sender, chance = codec.coder(fmtp), np.random.default_rng(1)
    size = frame_samples(codec)
    swell = np.sin(np.arange(count) / 3) ** 2 * 6000
    return [sender.encode(chance.normal(0, 10 + level, size).astype(np.int16)) for level in swell]


def named(name: str, clock_hz: int, fmtp: str = "") -> Codec:
    """A codec, or skip."""
    codec = codecs.find(name, clock_hz, fmtp)
    if codec is None:
        pytest.skip(f"the library of {name} is not here")
    return codec


@pytest.mark.parametrize("codec", LIBRARY, ids=lambda c: f"{c.rtpmap}-{c.clock_hz}")
def test_tone_survives_the_round_trip(codec: Codec) -> None:
    assert codec.coder is not None
    sender, receiver = codec.coder(codec.said.fmtp), codec.coder("")
    decoded = [receiver.decode(sender.encode(np.ascontiguousarray(frame))) for frame in frames(codec)]
    assert {len(frame) for frame in decoded} == {frame_samples(codec)}
    heard = np.concatenate(decoded)[codec.rate_hz // 10 :]
    assert tones.heard(heard, [500.0, 900.0, 2000.0], codec.rate_hz, threshold=3000) == {500.0}


@pytest.mark.parametrize("codec", LIBRARY, ids=lambda c: f"{c.rtpmap}-{c.clock_hz}")
def test_any_bytes_decode_to_some_samples(codec: Codec) -> None:
    assert codec.coder is not None
    coder, chance = codec.coder("nonsense=1"), random.Random(3)
    for step in range(2000):
        length = chance.choice((0, 1, 2, 10, 12, 20, 33, 38, 50, 100, 114, 150, 160, chance.randrange(2000)))
        samples = coder.decode(chance.randbytes(length))
        assert samples.dtype == np.int16 and len(samples) <= 8 * 2000 * 2
        wanted = codec.rate_hz * (20, 40, 60)[step % 3] // 1000
        assert len(coder.conceal(wanted)) in (0, wanted)


@pytest.mark.parametrize("codec", [c for c in codecs.ALL if c.coder is None], ids=lambda c: f"{c.rtpmap}-{c.clock_hz}")
def test_array_codecs_code_whole_arrays(codec: Codec) -> None:
    said = tones.tone(500, 200, codec.rate_hz)
    heard = codec.decode(codec.encode(said))
    assert np.abs(heard.astype(int) - said).max() <= (0 if codec.rtpmap == "L16" else 260)


def test_what_descriptions_say() -> None:
    """One format a name and clock; static numbers as in RFC 3551 §6, and no two alike."""
    said = codecs.formats()
    assert len({known.codec for known in said}) == len(said) and codecs.find("nothing", 8000) is None
    numbers = {known.codec: known.payload_type for known in said if known.payload_type >= 0}
    right = {"PCMU/8000": 0, "G721/8000": 2, "GSM/8000": 3, "PCMA/8000": 8, "G722/8000": 9, "L16/44100": 11, "G729/8000": 18}
    assert numbers.items() <= right.items()


def test_ilbc_has_the_frames_that_the_peer_asks_for() -> None:
    short, long = named("ILBC", 8000, "mode=20"), named("iLBC", 8000, "")
    assert (short.frame_ms, long.frame_ms) == (20, 30) and codecs.find("ILBC", 8000, "mode=30") is long
    assert codecs.find("ILBC", 8000, " Mode = 20 ; x") is short
    assert {len(payload) for payload in coded(short, "mode=20")} == {38}
    assert {len(payload) for payload in coded(long, "")} == {50}
    assert long.coder is not None
    receiver = long.coder("mode=30")  # whatever was agreed on: the length tells
    assert [len(receiver.decode(payload)) for payload in coded(short, "mode=20", 3)] == [160] * 3
    assert len(receiver.conceal(160)) == 160


def test_g729_frames_and_noise_frames() -> None:
    codec = named("G729", 8000)
    assert codec.coder is not None
    payload = coded(codec, "annexb=yes")[0]
    assert len(payload) == 20  # speech only, whatever the peer would take
    receiver = codec.coder("")
    lengths = [
        len(receiver.decode(data)) for data in (payload, payload[:10], payload + b"\x12\x34", b"\x12\x34", payload[:11], b"")
    ]
    assert lengths == [160, 80, 240, 80, 0, 0]
    assert len(receiver.conceal(160)) == 160


@pytest.mark.parametrize("bits", [2, 3, 4, 5])
def test_g726_code_words_begin_in_the_low_bits(bits: int) -> None:
    """RFC 3551 §4.5.4, against the library's code words one a byte; the AAL2 order is the other way round."""
    codec = named(f"G726-{8 * bits}", 8000)
    assert codec.coder is not None and itu._library is not None
    samples = np.random.default_rng(2).normal(0, 3000, 160).astype(np.int16)
    state, words = ctypes.c_void_p(itu._library.g726_init(None, 8000 * bits, 0, 0)), ctypes.create_string_buffer(400)
    count = itu._library.g726_encode(state, words, ctypes.c_void_p(samples.ctypes.data), len(samples))
    itu._library.g726_free(state)
    packed = sum(word << bits * place for place, word in enumerate(words.raw[:count]))
    assert count == 160 and codec.coder("").encode(samples) == packed.to_bytes(20 * bits, "little")


def test_opus_follows_the_peer() -> None:
    codec = named("OPUS", 48000)
    free, narrow = coded(codec, ""), coded(codec, "maxaveragebitrate=8000; maxplaybackrate=8000;useinbandfec=0")
    assert sum(map(len, narrow)) < sum(map(len, free)) / 3
    assert len({len(payload) for payload in coded(codec, "cbr=1;maxaveragebitrate=24000")}) == 1
    assert {payload[0] >> 3 for payload in narrow} <= {0, 1, 2, 3, 16, 17, 18, 19}  # RFC 6716 §3.1: narrow band
    silence = np.zeros(960, np.int16)
    assert codec.coder is not None
    sender = codec.coder("usedtx=1")
    assert len([sender.encode(silence) for _ in range(40)][-1]) <= 2


def test_speex_follows_the_peer() -> None:
    codec = named("SPEEX", 8000)
    assert {len(payload) for payload in coded(codec, 'mode="2,any"')} == {15}
    assert {len(payload) for payload in coded(codec, "mode=any")} == {len(payload) for payload in coded(codec, "")} == {38}
    assert len({len(payload) for payload in coded(codec, "vbr=on")}) > 2
    assert {len(payload) for payload in coded(named("SPEEX", 16000), "mode=4")} != {
        len(payload) for payload in coded(named("SPEEX", 16000), "")
    }


@given(st.text(max_size=80))
def test_any_parameters_make_a_coder(fmtp: str) -> None:
    read = parameters(fmtp)
    assert all(name == name.lower().strip() for name in read)
    for value in (number(read, name, 5, 7) for name in read):
        assert value is None or 5 <= value <= 7
    for codec in LIBRARY[:3]:
        assert codec.coder is not None and codec.coder(fmtp) is not None
    assert parameters(" a=1;B = 2 ;a=3; c ") == {"a": "1", "b": "2", "c": ""}
