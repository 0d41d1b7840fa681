# SPDX-License-Identifier: GPL-2.0-or-later
"""Crypto lines as phones write them, and any other text; which stream is chosen; what stands in a log."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.sip.sdp.crypto import (
    LONGEST_MKI_BYTES,
    PROFILE,
    Crypto,
    chosen,
    crypto_line,
    crypto_of,
    for_pjmedia,
    is_secure,
    usable,
    with_crypto,
    without_keys,
)
from interfaces.sip.sdp.model import parse
from media.control.records import SrtpKey
from media.control.srtp_library import SUITES

CM, GCM = "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"
KEY, SHORT = bytes(range(30)), bytes(range(28))
B64, SHORT_B64 = base64.b64encode(KEY).decode(), base64.b64encode(SHORT).decode()
OTHER_B64 = base64.b64encode(KEY[::-1]).decode()
TEXT = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"


def stream(profile: str, *lines: str, port: int = 4000, kind: str = "audio") -> str:
    return f"m={kind} {port} {profile} 0\r\n" + "".join(f"{line}\r\n" for line in lines)


@pytest.mark.parametrize(
    ("value", "mki"),
    [
        (f"1 {CM} inline:{B64}", b""),
        (f"1 {CM.lower()} INLINE:{B64}", b""),
        (f"1 {CM} inline:{B64}|2^20", b""),
        (f"1 {CM} inline:{B64}|2^48", b""),
        (f"1 {CM} inline:{B64}|1048576", b""),
        (f"1 {CM} inline:{B64}|2^20|1:4", b"\0\0\0\1"),
        (f"1 {CM} inline:{B64}|66051:3", b"\1\2\3"),
        (f"1 {CM} inline:{B64}|1:{LONGEST_MKI_BYTES}", bytes(LONGEST_MKI_BYTES - 1) + b"\1"),
        (f"1  {CM}\tinline:{B64} WSH=128 -X_UNKNOWN=3", b""),
    ],
)
def test_what_can_be_used(value: str, mki: bytes) -> None:
    assert crypto_of(value) == Crypto(1, CM, (SrtpKey(KEY, mki),))


@pytest.mark.parametrize("key", [SHORT_B64, SHORT_B64.rstrip("="), SHORT_B64[:-1]])
def test_a_key_of_gcm_has_padding_or_not(key: str) -> None:
    assert crypto_of(f"999999999 {GCM} inline:{key}") == Crypto(999999999, GCM, (SrtpKey(SHORT),))


@pytest.mark.parametrize(
    "value",
    [
        "", "1", f"1 {CM}", f"x {CM} inline:{B64}", f"-1 {CM} inline:{B64}", f"1234567890 {CM} inline:{B64}", f"١ {CM} inline:{B64}",
        f"1 AES_256_CM_HMAC_SHA1_80 inline:{B64}", f"1 {GCM} inline:{B64}", f"1 {CM} inline:{SHORT_B64}", f"1 {CM} uri:{B64}",
        f"1 {CM} {B64}", f"1 {CM} inline:", f"1 {CM} inline:{B64[:-1]}!", f"1 {CM} inline:{B64[:-1]}", f"1 {CM} inline:{B64}|2^49",
        f"1 {CM} inline:{B64}|0", f"1 {CM} inline:{B64}|x", f"1 {CM} inline:{B64}|2^20|2^20", f"1 {CM} inline:{B64}|1:0",
        f"1 {CM} inline:{B64}|256:1", f"1 {CM} inline:{B64}|1:129", f"1 {CM} inline:{B64}|1:4|2^20", f"1 {CM} inline:{B64}|1:4|1:4",
        f"1 {CM} inline:{B64}|{'9' * 400}:128", f"1 {CM} inline:{B64} UNENCRYPTED_SRTP", f"1 {CM} inline:{B64} UNENCRYPTED_SRTCP",
        f"1 {CM} inline:{B64} UNAUTHENTICATED_SRTP", f"1 {CM} inline:{B64} KDR=1", f"1 {CM} inline:{B64} FEC_ORDER=FEC_SRTP",
        f"1 {CM} inline:{B64} X_UNKNOWN", f"1 {CM} inline:{B64} WSH=x", f"1 {CM} inline:{B64};inline:{OTHER_B64}",
        f"1 {CM} inline:{B64}|1:1;inline:{OTHER_B64}|1:1", f"1 {CM} inline:{B64}|1:1;inline:{OTHER_B64}|1:2",
        f"1 {CM} " + ";".join(f"inline:{B64}|{i}:1" for i in range(17)),
    ],
)  # fmt: skip
def test_what_cannot_counts_as_not_there(value: str) -> None:
    assert crypto_of(value) is None


def test_several_keys_are_told_apart_by_their_mki() -> None:
    found = crypto_of(f"2 {CM} inline:{B64}|2^20|1:1;inline:{OTHER_B64}|2:1")
    assert found == Crypto(2, CM, (SrtpKey(KEY, b"\1"), SrtpKey(KEY[::-1], b"\2")))


@given(st.sampled_from(sorted(SUITES)), st.integers(0, 999999999), st.data())
def test_our_own_lines_are_read_as_they_were_meant(suite: str, tag: int, data: st.DataObject) -> None:
    count = sum(SUITES[suite])
    key = data.draw(st.binary(min_size=count, max_size=count))
    line = crypto_line(tag, suite, key)
    assert line.startswith("a=crypto:") and crypto_of(line[9:]) == Crypto(tag, suite, (SrtpKey(key),))


_WORDS = st.sampled_from(
    [
        "1",
        CM,
        GCM,
        "inline:",
        B64,
        SHORT_B64,
        "|",
        ";",
        ":",
        "2^",
        "20",
        " ",
        "WSH=64",
        "-x",
        "a=crypto:",
        "\r\n",
        "m=audio 4 RTP/SAVP 0",
    ]
)


@given(st.one_of(st.text(max_size=200), st.lists(_WORDS, max_size=20).map("".join)))
def test_any_text_is_taken(text: str) -> None:
    found = crypto_of(text)
    if found is not None:
        assert all(len(key.key) == sum(SUITES[found.suite]) for key in found.keys)
    description = parse(TEXT + text)
    for suites in ((), tuple(SUITES)):
        kept = chosen(description, suites)
        assert len(kept.media) == len(description.media)
        assert not any(is_secure(one) for one in for_pjmedia(kept).media if one.is_live_audio)
    raw = (TEXT + text).encode("utf-8", "surrogatepass")
    assert len(without_keys(raw)) == len(raw)


def test_the_first_that_we_speak_is_taken_and_the_one_in_use_before() -> None:
    lines = (
        f"a=crypto:1 F8_128_HMAC_SHA1_80 inline:{B64}",
        f"a=crypto:2 {GCM} inline:{SHORT_B64}",
        f"a=crypto:3 {CM} inline:{B64}",
    )
    audio = parse(TEXT + stream("RTP/SAVP", *lines)).audio
    tags = [found.tag if (found := usable(audio, suites, first)) else 0 for suites, first in [
        (tuple(SUITES), ""), ((CM,), ""), (tuple(SUITES), CM), ((), ""), ((GCM,), CM)]]  # fmt: skip
    assert tags == [2, 3, 3, 0, 2] and usable(None, (CM,)) is None


GOOD = f"a=crypto:1 {CM} inline:{B64}"


@pytest.mark.parametrize(
    ("streams", "suites", "ports"),
    [
        ([("RTP/AVP",), ("RTP/SAVP", GOOD)], (CM,), [0, 4000]),
        ([("RTP/SAVPF", GOOD), ("RTP/AVP",)], (CM,), [4000, 0]),
        ([("RTP/AVP",), ("RTP/SAVP", GOOD)], (), [4000, 0]),
        ([("RTP/AVP",), ("RTP/SAVP", GOOD)], (GCM,), [4000, 0]),
        ([("RTP/SAVP", GOOD), ("RTP/SAVP", GOOD)], (CM,), [4000, 0]),
        ([("RTP/SAVP",), ("RTP/SAVP", GOOD)], (CM,), [0, 4000]),
        ([("RTP/SAVP",), ("RTP/SAVP",)], (CM,), [4000, 0]),
        ([("RTP/AVP",), ("RTP/AVP",)], (CM,), [4000, 4000]),
        ([("RTP/SAVP",)], (CM,), [4000]),
    ],
)
def test_one_kind_of_audio_is_left(streams: list[tuple[str, ...]], suites: tuple[str, ...], ports: list[int]) -> None:
    description = parse(TEXT + "".join(stream(*one) for one in streams))
    kept = chosen(description, suites)
    assert [one.port for one in kept.media] == ports
    assert (kept is description) is (ports.count(0) == 0)


def test_pjmedia_sees_no_srtp() -> None:
    text = TEXT + stream("RTP/SAVP", GOOD, "a=ptime:20") + stream("RTP/SAVP", GOOD, port=0) + stream("RTP/SAVP", kind="video")
    seen = for_pjmedia(parse(text))
    assert [one.protocol for one in seen.media] == ["RTP/AVP", "RTP/SAVP", "RTP/SAVP"] and "crypto" not in str(seen)
    assert "a=ptime:20" in str(seen)
    plain = parse(TEXT + stream("RTP/AVP"))
    assert for_pjmedia(plain) is plain


def test_our_stream_says_how_it_leaves() -> None:
    ours = with_crypto(parse(TEXT + stream("RTP/AVP") + stream("RTP/AVP", port=0)), (GOOD,), "RTP/SAVPF")
    assert ours.media[0].values("crypto") == [GOOD[9:]] and ours.media[0].values(PROFILE) == ["RTP/SAVPF"]
    assert not ours.media[1].values("crypto") and not ours.media[1].values(PROFILE)
    assert PROFILE not in str(with_crypto(ours, (), "RTP/AVP").media[1])


def test_keys_are_crossed_out() -> None:
    text = TEXT + stream(
        "RTP/SAVP", f"a=crypto:1 {CM} inline:{B64}|2^20|1:4;inline:{OTHER_B64}|2:4 WSH=64", f"A=Crypto:2 {CM} INLINE:{B64}"
    )
    hidden = without_keys(text.encode())
    assert B64.encode() not in hidden and OTHER_B64.encode() not in hidden and len(hidden) == len(text)
    assert b"|2^20|1:4;inline:****" in hidden and b" WSH=64\r\n" in hidden
    assert without_keys(b"a plain text about inline:x") == b"a plain text about inline:x"
