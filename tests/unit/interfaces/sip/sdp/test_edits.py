# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.sip.sdp import edits
from interfaces.sip.sdp.model import parse

OURS = (
    "v=0\r\no=- 11 12 IN IP4 127.0.0.1\r\ns=pjmedia\r\nb=AS:84\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 0 101\r\nc=IN IP4 127.0.0.1\r\na=rtcp:4001 IN IP4 127.0.0.1\r\na=ssrc:1 cname:x\r\na=sendrecv\r\n"
    "a=fmtp:101 0-16\r\nm=video 0 RTP/AVP 31\r\n"
)
OFFER = (
    "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 0 96 97 98 120 121 122\r\na=rtpmap:0 PCMU/8000\r\n"
    "a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=rtpmap:97 iLBC/8000\r\na=fmtp:97 mode=20\r\na=rtpmap:98 L16/16000\r\n"
    "a=rtpmap:120 telephone-event/8000\r\na=fmtp:120 0-16\r\na=rtpmap:121 telephone-event/48000\r\na=fmtp:121 0-16\r\n"
    "a=rtpmap:122 telephone-event/16000\r\na=sendrecv\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
)
MIXED = (
    "v=0\r\nm=audio 4000 RTP/AVP 0 8 96 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=sendrecv\r\nm=video 0 RTP/AVP 31\r\na=rtpmap:31 H261/90000\r\n"
)


def placed(text: str, ip: str, port: int, ptime_ms: int = 20) -> str:
    return str(edits.placed(parse(text), ip, port, ptime_ms=ptime_ms))


def test_the_audio_stream_is_moved() -> None:
    moved = placed(OURS, "192.0.2.1", 20000)
    assert parse(moved).audio_address == ("192.0.2.1", 20000)
    lines = moved.split("\r\n")
    assert lines[1] == "o=sems 11 12 IN IP4 192.0.2.1" and lines[2] == "s=sems"
    assert "m=audio 20000 RTP/AVP 0 101" in lines and "m=video 0 RTP/AVP 31" in lines and "a=sendrecv" in lines
    assert "127.0.0.1" not in moved and "b=AS" not in moved and "a=rtcp" not in moved and "a=ssrc" not in moved


def test_a_refused_stream_stays_refused_and_ipv6_is_named() -> None:
    assert "m=audio 0 RTP/AVP 0" in placed("m=audio 0 RTP/AVP 0\r\n", "192.0.2.1", 20000)
    assert "c=IN IP6 2001:db8::1" in placed(OURS, "2001:db8::1", 20000)


def test_a_wish_stands_in_the_audio_stream_unless_it_is_20_ms() -> None:
    assert "a=ptime" not in placed(OURS, "192.0.2.1", 20000)
    lines = placed(OURS, "192.0.2.1", 20000, ptime_ms=40).split("\r\n")
    assert lines.index("a=ptime:40") < lines.index("m=video 0 RTP/AVP 31")
    assert placed("\r\n".join(lines), "192.0.2.1", 20000) == placed(OURS, "192.0.2.1", 20000)


@given(st.integers(1, 65535), st.ip_addresses(v=4).map(str))
def test_what_is_written_is_read_back(port: int, ip: str) -> None:
    assert parse(placed(OURS, ip, port)).audio_address == (ip, port)


@given(st.text(max_size=400), st.integers(1, 65535))
def test_any_text_can_be_changed(text: str, port: int) -> None:
    moved = placed(text, "192.0.2.1", port)
    assert placed(moved, "192.0.2.1", port) == moved
    for name in (*parse(text).codecs, "PCMU/8000"):
        kept = edits.keep_codecs(parse(moved), frozenset({name}))
        assert set(kept.codecs) <= {name} or kept == parse(moved)
    edits.agree_on_mode(parse(text), parse(text).meaning)
    edits.in_order(parse(text), ("PCMU/8000",))
    assert all(not stream.port for stream in edits.refused(parse(text)).media)


def test_only_some_codecs_are_offered() -> None:
    lines = str(edits.keep_codecs(parse(OFFER), frozenset({"ILBC/8000", "PCMU/8000"}))).split("\r\n")
    assert "m=audio 4000 RTP/AVP 0 97 120" in lines and "a=fmtp:97 mode=20" in lines and "a=fmtp:120 0-16" in lines
    assert not [line for line in lines if "opus" in line or "48000" in line or "16000" in line or line.startswith("a=fmtp:121")]
    assert "a=sendrecv" in lines and "m=video 0 RTP/AVP 96" in lines and "a=rtpmap:96 H264/90000" in lines
    assert (
        str(edits.keep_codecs(parse(OFFER), frozenset({"GSM/8000"}))) == OFFER
        and not edits.keep_codecs(parse(""), frozenset({"GSM/8000"})).media
    )


OPUS_ONLY = "m=audio 4000 RTP/AVP 96 101\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/48000\r\n"


@pytest.mark.parametrize(
    ("offer", "events"),
    [
        ("96 97|96 opus/48000/2|97 telephone-event/8000", {"101": 48000, "97": 8000}),
        ("96 97|96 opus/48000/2|97 telephone-event/48000", {"101": 48000}),
        ("96 97 98|97 TELEPHONE-EVENT/16000|98 telephone-event/8000", {"101": 48000, "97": 16000, "98": 8000}),
        ("96 x|x telephone-event/8000", {"101": 48000}),
        ("96|96 opus/48000/2", {"101": 48000}),
    ],
)
def test_an_answer_has_telephone_event_at_the_clocks_of_the_offer(offer: str, events: dict[str, int]) -> None:
    formats, *maps = offer.split("|")
    theirs = parse(f"m=audio 5 RTP/AVP {formats}\r\n" + "".join(f"a=rtpmap:{one}\r\n" for one in maps))
    answer = edits.with_events_of(parse(OPUS_ONLY), theirs.meaning)
    assert answer.audio is not None and answer.audio.events == events
    for kind in events.keys() - {"101"}:
        assert f"a=fmtp:{kind} 0-16\r\n" in str(answer)


def test_an_offer_has_telephone_event_at_the_clock_of_each_codec_and_8000() -> None:
    offer = edits.with_own_events(parse(OPUS_ONLY.replace("96 101", "96 11 101")))
    assert offer.audio is not None and list(offer.audio.events.values()) == [48000, 44100, 8000]
    assert parse(str(offer)).audio == offer.audio and str(edits.with_own_events(offer)) == str(offer)
    assert str(edits.with_own_events(parse(MIXED.replace("opus/48000/2", "G722/8000")))) == MIXED.replace(
        "opus/48000/2", "G722/8000"
    )
    full = "m=audio 4000 RTP/AVP " + " ".join(map(str, range(96, 128))) + "\r\na=rtpmap:96 opus/48000/2\r\n"
    assert str(edits.with_own_events(parse(full))) == full, "no payload type is left"
    assert str(edits.with_own_events(parse(OPUS_ONLY.replace("4000", "0")))) == OPUS_ONLY.replace("4000", "0")


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
    agreed = edits.agree_on_mode(parse(OFFER), parse(offer).meaning)
    assert agreed.audio is not None and agreed.audio.fmtp("97") == mode
    assert str(agreed).replace("mode=30", "mode=20") == OFFER


def test_only_the_wanted_codecs_are_left_and_keys() -> None:
    assert str(edits.only(parse(MIXED), ())) == MIXED
    left = str(edits.only(parse(MIXED), ("PCMA/8000", "G722/8000")))
    assert "m=audio 4000 RTP/AVP 8 101" in left and "opus" not in left and "0-16" in left and "H261" in left
    assert edits.only(parse(MIXED), ("PCMU/8000", "PCMA/8000")).codecs == ("PCMU/8000", "PCMA/8000")
    assert "m=audio 0 RTP/AVP" in str(edits.only(parse(MIXED), ("G722/8000",)))


@given(st.text(), st.lists(st.sampled_from(["PCMU/8000", "OPUS/48000"])))
def test_limiting_any_text_leaves_nothing_else(text: str, wanted: list[str]) -> None:
    left = edits.only(parse("m=audio 4000 RTP/AVP 0 8 " + text), tuple(wanted))
    assert not wanted or set(left.codecs) <= set(wanted)


def test_order_and_direction_are_of_live_audio_only() -> None:
    assert "m=audio 4000 RTP/AVP 8 0 96 101" in str(edits.in_order(parse(MIXED), ("PCMA/8000",)))
    assert str(edits.with_direction(parse(MIXED), "sendrecv")) == MIXED
    assert "a=sendonly" in str(edits.with_direction(parse(MIXED), "sendonly"))
    refused = MIXED.replace("m=audio 4000", "m=audio 0")
    assert str(edits.with_direction(parse(refused), "sendonly")) == refused
    assert str(edits.in_order(parse(refused), ("PCMA/8000",))) == refused
