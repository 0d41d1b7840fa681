# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.sip.sdp.model import MediaDescription, Rtpmap, parse, parse_like, rtpmap_of

SRTP = (
    "v=0\no=- 1 1 IN IP4 10.0.0.1\ns=-\nc=IN IP4 10.0.0.1\nt=0 0\na=inactive\n"
    "m=audio 7000 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\na=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:y\n"
    "m=audio 7002 RTP/AVP 0 101\nc=IN IP6 ::1\na=rtcp-mux\na=rtcp:9\na=sendonly\nm=video 7004 RTP/AVP 31\na=rtcp:7010 IN IP4 10.0.0.2\n"
)
LINES = st.lists(st.sampled_from((*SRTP.split("\n"), "", "garbage", "a=", "m=", "c=", "m=audio 0")), max_size=30)
ENDS = st.sampled_from(("\r\n", "\n", "\r"))


@given(st.text())
def test_any_text_is_printed_as_it_was(text: str) -> None:
    assert str(parse(text)) == text


@given(st.binary())
def test_any_bytes_are_read_and_printed_as_they_were(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    assert str(parse(text)).encode("utf-8", "surrogateescape") == data


@given(LINES, ENDS, st.booleans())
def test_lines_in_any_order_say_something_or_nothing(lines: list[str], end: str, closed: bool) -> None:
    text = end.join(lines) + (end if closed else "")
    description = parse(text)
    assert str(description) == text
    ip, port = description.audio_address
    assert 0 <= port < 65536 and " " not in ip and (not description.codecs or port)
    for stream in description.media:
        assert stream.lines[0].startswith("m=") and 10 <= stream.wished_ptime_ms() <= 120
        assert description.direction_of(stream) in ("sendrecv", "sendonly", "recvonly", "inactive")
        description.control_address_of(stream)


def test_streams_with_their_own_lines() -> None:
    description = parse(SRTP)
    secure, plain, video = description.media
    assert description.audio is plain, "where no keys are wanted"
    assert secure.protocol == "RTP/SAVP" and [value.split()[0] for value in secure.values("crypto")] == ["1", "2"]
    assert description.direction_of(secure) == "inactive" and description.direction_of(plain) == "sendonly"
    assert description.audio_address == ("::1", 7002) and description.connection_of(video) == ("IP4", "10.0.0.1")
    assert description.control_address_of(secure) == ("", 0)
    assert description.control_address_of(plain) == ("::1", 9)
    assert description.control_address_of(video) == ("10.0.0.2", 7010)
    assert parse(SRTP.replace("m=audio 7002", "m=audio 0")).audio == secure


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("c=IN IP4 1.2.3.4\nm=audio 5 RTP/AVP 0\n", ("1.2.3.4", 5)),
        ("c=IN IP4 1.2.3.4\nm=audio 5/2 RTP/AVP 0\nc=IN IP4 4.3.2.1/127\nm=audio 9 RTP/AVP 0\nc=IN IP4 9.9.9.9", ("4.3.2.1", 5)),
        ("m=audio 0 RTP/AVP 0\nm=audio 7 RTP/AVP 0\nc=IN IP4 1.1.1.1", ("1.1.1.1", 7)),
        ("m=video 7 RTP/AVP 0", ("", 0)), ("m=audio", ("", 0)), ("m=audio 99999 x", ("", 0)), ("m=audio -5 x", ("", 0)),
        ("", ("", 0)), ("m=AUDIO 7 RTP/AVP 0\nc=IN IP4 host.example", ("host.example", 7)),
    ],
)  # fmt: skip
def test_the_peers_address(text: str, address: tuple[str, int]) -> None:
    assert parse(text).audio_address == address


@pytest.mark.parametrize(
    ("text", "codecs"),
    [
        ("m=audio 5 RTP/AVP 0 101 97\na=rtpmap:101 telephone-event/8000\na=rtpmap:97 opus/48000/2", ["PCMU/8000", "OPUS/48000"]),
        ("m=audio 0 RTP/AVP 0\nm=audio 5 RTP/AVP 8", ["PCMA/8000"]),
        ("m=video 5 RTP/AVP 31", []),
        ("m=audio 5 RTP/AVP 97 x", []),
        ("m=audio 5 RTP/AVP 2 10 11 98\na=rtpmap:98 L16/16000/2", ["G721/8000", "L16/44100/2", "L16/44100", "L16/16000/2"]),
        ("m=audio 5 RTP/AVP 2 98\na=rtpmap:2 G726-32/8000/1\na=rtpmap:98 speex/16000", ["G726-32/8000", "SPEEX/16000"]),
    ],
)
def test_offered_codecs(text: str, codecs: list[str]) -> None:
    assert list(parse(text).codecs) == codecs


@pytest.mark.parametrize(
    ("value", "meaning"),
    [("0 PCMU/8000", ("0", Rtpmap("PCMU", 8000))), ("96  opus/48000/2", ("96", Rtpmap("opus", 48000, 2))),
     ("96 L16/8000/x", ("96", Rtpmap("L16", 8000))), ("", None), ("96", None), ("96 opus", None), ("96 opus/", None), ("96 opus/0", None),
     ("96 /8000", None), ("96 opus/-8000", None), ("96 opus/²", None), (f"96 opus/{'9' * 5000}", None)],
)  # fmt: skip
def test_meaning_of_a_payload_type(value: str, meaning: tuple[str, Rtpmap] | None) -> None:
    assert rtpmap_of(value) == meaning


@pytest.mark.parametrize(
    ("lines", "known_ms", "wished_ms"),
    [("", 0, 20), ("a=ptime:30", 0, 30), ("a=ptime:60\na=maxptime:40", 0, 40), ("a=maxptime:10", 0, 10), ("a=ptime:500", 0, 120),
     ("a=ptime:1", 0, 10), ("a=ptime:0\na=maxptime:0", 0, 20), ("a=ptime:-20\na=ptime:x\na=ptime:\na=ptime", 0, 20),
     ("a=ptime:60", 40, 40), ("a=maxptime:20", 40, 20), ("m=video 9 RTP/AVP 31\na=ptime:60", 0, 20), ("a=ptime:²", 0, 20)],
)  # fmt: skip
def test_wished_length_of_packets(lines: str, known_ms: int, wished_ms: int) -> None:
    assert parse(f"v=0\nm=audio 4000 RTP/AVP 0\n{lines}\n").wished_ptime_ms(known_ms) == wished_ms


def test_changed_copies_keep_what_is_not_touched() -> None:
    stream = MediaDescription(
        (
            "m=audio  5 RTP/AVP 0 96\n",
            "a=rtpmap:96 x/8000\n",
            "a=fmtp:96 y",
        )
    )
    assert stream.with_head(port=7).lines == ("m=audio 7 RTP/AVP 0 96\r\n", *stream.lines[1:])
    assert stream.keeping(["0"]).lines == ("m=audio 5 RTP/AVP 0\r\n",)
    assert stream.with_lines("a=x").lines == (*stream.lines[:2], "a=fmtp:96 y\r\n", "a=x\r\n")
    assert stream.fmtp("96") == "y" and stream.fmtp("9") == "" and stream.with_direction("inactive").direction == "inactive"
    assert stream.without(lambda line: "rtpmap" in line).codec("96") == ""


def test_a_description_like_a_known_one_means_what_it_would_mean_by_itself() -> None:
    text = "v=0\r\no=a 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 101\r\n"
    text += "a=rtpmap:101 telephone-event/8000\r\na=ptime:30\r\na=sendonly\r\nm=video 0 RTP/AVP 31\r\n"
    origin = "o=b 77 8 IN IP4 10.0.0.9\r\n"
    other = (
        text.replace("o=a 1 1 IN IP4 10.0.0.1\r\n", origin)
        .replace("4000", "50002")
        .replace("c=IN IP4 10.0.0.1", "c=IN IP4 10.0.0.2")
    )
    alike, alone = parse_like(parse(text), origin, "10.0.0.2", "50002"), parse(other)
    assert alike == alone and str(alike) == other
    assert alike.audio_address == alone.audio_address == ("10.0.0.2", 50002)
    assert alike.audio is not None and alone.audio is not None
    assert alike.audio.codecs == alone.audio.codecs and alike.audio.wished_ptime_ms() == 30
    assert alike.direction_of(alike.audio) == "sendonly" and alike.connection_of(alike.audio) == alone.connection
    assert alike.audio.words == alone.audio.words and alike.audio.attributes == alone.audio.attributes
