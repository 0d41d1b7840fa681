# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.sip.sdp import agree_on_mode, audio_address, audio_codecs, fmtp_of, keep_codecs, only, rewrite, wished_ptime_ms

OURS = (
    "v=0\r\no=- 11 12 IN IP4 127.0.0.1\r\ns=pjmedia\r\nb=AS:84\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 0 101\r\nc=IN IP4 127.0.0.1\r\na=rtcp:4001 IN IP4 127.0.0.1\r\na=ssrc:1 cname:x\r\na=sendrecv\r\n"
    "a=fmtp:101 0-16\r\nm=video 0 RTP/AVP 31\r\n"
)


def test_the_audio_stream_is_moved() -> None:
    moved = rewrite(OURS, "192.0.2.1", 20000)
    assert audio_address(moved) == ("192.0.2.1", 20000)
    lines = moved.split("\r\n")
    assert lines[1] == "o=sems 11 12 IN IP4 192.0.2.1" and lines[2] == "s=sems"
    assert "m=audio 20000 RTP/AVP 0 101" in lines and "m=video 0 RTP/AVP 31" in lines and "a=sendrecv" in lines
    assert "127.0.0.1" not in moved and "b=AS" not in moved and "a=rtcp" not in moved and "a=ssrc" not in moved


def test_a_refused_stream_stays_refused_and_ipv6_is_named() -> None:
    assert "m=audio 0 RTP/AVP 0" in rewrite("m=audio 0 RTP/AVP 0\r\n", "192.0.2.1", 20000)
    assert "c=IN IP6 2001:db8::1" in rewrite(OURS, "2001:db8::1", 20000)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("c=IN IP4 1.2.3.4\nm=audio 5 RTP/AVP 0\n", ("1.2.3.4", 5)),
        ("c=IN IP4 1.2.3.4\nm=audio 5/2 RTP/AVP 0\nc=IN IP4 4.3.2.1/127\nm=audio 9 RTP/AVP 0\nc=IN IP4 9.9.9.9", ("4.3.2.1", 5)),
        ("m=audio 0 RTP/AVP 0\nm=audio 7 RTP/AVP 0\nc=IN IP4 1.1.1.1", ("1.1.1.1", 7)),
        ("m=video 7 RTP/AVP 0", ("", 0)), ("m=audio", ("", 0)), ("m=audio 99999 x", ("", 0)), ("m=audio -5 x", ("", 0)),
        ("", ("", 0)),
    ],
)  # fmt: skip
def test_the_peers_address(text: str, address: tuple[str, int]) -> None:
    assert audio_address(text) == address


def test_parameters_of_a_payload_type() -> None:
    assert fmtp_of(OURS, 101) == "0-16" and fmtp_of(OURS, 10) == "" and fmtp_of(OURS, 0) == ""


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
    assert audio_codecs(text) == codecs


@given(st.text(max_size=400), st.integers(1, 65535))
def test_any_text_can_be_rewritten_and_read(text: str, port: int) -> None:
    moved = rewrite(text, "192.0.2.1", port)
    assert rewrite(moved, "192.0.2.1", port) == moved
    audio_address(text)
    fmtp_of(text, 0)
    audio_codecs(text)
    for name in (*audio_codecs(text), "PCMU/8000"):
        assert set(audio_codecs(keep_codecs(moved, {name}))) <= {name} or keep_codecs(moved, {name}) == moved
    agree_on_mode(text, text)


OFFER = (
    "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 0 96 97 98 120 121 122\r\na=rtpmap:0 PCMU/8000\r\n"
    "a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=rtpmap:97 iLBC/8000\r\na=fmtp:97 mode=20\r\na=rtpmap:98 L16/16000\r\n"
    "a=rtpmap:120 telephone-event/8000\r\na=fmtp:120 0-16\r\na=rtpmap:121 telephone-event/48000\r\na=fmtp:121 0-16\r\n"
    "a=rtpmap:122 telephone-event/16000\r\na=sendrecv\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
)


def test_only_some_codecs_are_offered() -> None:
    lines = keep_codecs(OFFER, {"ILBC/8000", "PCMU/8000"}).split("\r\n")
    assert "m=audio 4000 RTP/AVP 0 97 120" in lines and "a=fmtp:97 mode=20" in lines and "a=fmtp:120 0-16" in lines
    assert not [line for line in lines if "opus" in line or "48000" in line or "16000" in line or line.startswith("a=fmtp:121")]
    assert "a=sendrecv" in lines and "m=video 0 RTP/AVP 96" in lines and "a=rtpmap:96 H264/90000" in lines
    assert keep_codecs(OFFER, {"GSM/8000"}) == OFFER and keep_codecs("", {"GSM/8000"}) == ""


@pytest.mark.parametrize(
    ("offer", "mode"),
    [
        ("m=audio 5 RTP/AVP 98\na=rtpmap:98 ilbc/8000\na=fmtp:98 mode=20", "mode=20"),
        ("m=audio 5 RTP/AVP 98\na=rtpmap:98 iLBC/8000\na=fmtp:98 x=1; mode=20", "mode=20"),
        ("m=audio 5 RTP/AVP 98\na=rtpmap:98 iLBC/8000\na=fmtp:98 mode=30", "mode=30"),
        ("m=audio 5 RTP/AVP 98\na=rtpmap:98 iLBC/8000", "mode=30"),
        ("m=audio 5 RTP/AVP 0 98\na=fmtp:98 mode=20", "mode=30"),
        ("", "mode=30"),
    ],
)
def test_ilbc_is_answered_with_the_offers_frames(offer: str, mode: str) -> None:
    assert fmtp_of(agree_on_mode(OFFER, offer), 97) == mode
    assert agree_on_mode(OFFER, offer).replace("mode=30", "mode=20") == OFFER


@given(st.integers(1, 65535), st.ip_addresses(v=4).map(str))
def test_what_is_written_is_read_back(port: int, ip: str) -> None:
    assert audio_address(rewrite(OURS, ip, port)) == (ip, port)


@pytest.mark.parametrize(
    ("lines", "known_ms", "wished_ms"),
    [("", 0, 20), ("a=ptime:30", 0, 30), ("a=ptime:60\na=maxptime:40", 0, 40), ("a=maxptime:10", 0, 10), ("a=ptime:500", 0, 120),
     ("a=ptime:1", 0, 10), ("a=ptime:0\na=maxptime:0", 0, 20), ("a=ptime:-20\na=ptime:x\na=ptime:\na=ptime", 0, 20),
     ("a=ptime:60", 40, 40), ("a=maxptime:20", 40, 20), ("m=video 9 RTP/AVP 31\na=ptime:60", 0, 20), ("a=ptime:²", 0, 20)],
)  # fmt: skip
def test_wished_length_of_packets(lines: str, known_ms: int, wished_ms: int) -> None:
    assert wished_ptime_ms(f"v=0\nm=audio 4000 RTP/AVP 0\n{lines}\n", known_ms) == wished_ms


@given(st.text())
def test_any_text_wishes_for_something_that_can_be_sent(text: str) -> None:
    assert 10 <= wished_ptime_ms(f"m=audio 4000 RTP/AVP 0\n{text}") <= 120


def test_a_wish_stands_in_the_audio_stream_unless_it_is_20_ms() -> None:
    assert "a=ptime" not in rewrite(OURS, "192.0.2.1", 20000)
    lines = rewrite(OURS, "192.0.2.1", 20000, ptime_ms=40).split("\r\n")
    assert lines.index("a=ptime:40") < lines.index("m=video 0 RTP/AVP 31")
    assert rewrite("\r\n".join(lines), "192.0.2.1", 20000) == rewrite(OURS, "192.0.2.1", 20000)


MIXED_OFFER = (
    "v=0\r\nm=audio 4000 RTP/AVP 0 8 96 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=sendrecv\r\nm=video 0 RTP/AVP 31\r\na=rtpmap:31 H261/90000\r\n"
)


def test_only_the_wanted_codecs_are_left_and_keys() -> None:
    assert only(MIXED_OFFER, ()) == MIXED_OFFER
    left = only(MIXED_OFFER, ("PCMA/8000", "G722/8000"))
    assert "m=audio 4000 RTP/AVP 8 101" in left and "opus" not in left and "0-16" in left and "H261" in left
    assert audio_codecs(only(MIXED_OFFER, ("PCMU/8000", "PCMA/8000"))) == ["PCMU/8000", "PCMA/8000"]
    assert "m=audio 0 RTP/AVP" in only(MIXED_OFFER, ("G722/8000",))


@given(st.text(), st.lists(st.sampled_from(["PCMU/8000", "OPUS/48000"])))
def test_limiting_any_text_leaves_nothing_else(text: str, wanted: list[str]) -> None:
    left = only("m=audio 4000 RTP/AVP 0 8 " + text, tuple(wanted))
    assert not wanted or set(audio_codecs(left)) <= set(wanted)
