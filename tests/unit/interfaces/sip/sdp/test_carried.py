# SPDX-License-Identifier: GPL-2.0-or-later
"""Which attribute lines a call may carry over to another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from interfaces.sip.sdp.carried import LONGEST_LINE, MOST_LINES, carried, carrying, may_carry
from interfaces.sip.sdp.model import parse
from tests.support.sip_peer import description

BASE = description(40000)
OF_A_SIDE = (
    "a=rtpmap:97 X/8000",
    "a=fmtp:97 y",
    "a=crypto:1 AES inline:key",
    "a=ICE-ufrag:x",
    "a=setup:active",
    "a=rtcp:5",
    "a=inactive",
    "a=x-cordboard-profile:RTP/SAVP",
)


def test_what_is_for_another_phone_is_found_and_put_in() -> None:
    lines = ("a=x-flag", "a=label:10", "a=content:slides, main")
    text = BASE + "".join(line + "\r\n" for line in (*lines, *OF_A_SIDE))
    assert carried(parse(text).audio) == lines
    put = carrying(parse(BASE), lines)
    assert str(put) == BASE + "".join(line + "\r\n" for line in lines)
    assert carried(None) == () and carrying(parse(""), lines) == parse("")


def test_a_refused_stream_and_the_streams_behind_the_audio_get_none() -> None:
    text = BASE.replace("m=audio 40000", "m=audio 0")
    assert str(carrying(parse(text), ("a=x",))) == text
    two = parse(BASE + "m=video 5000 RTP/AVP 31\r\n")
    assert str(carrying(two, ("a=x",))) == BASE + "a=x\r\nm=video 5000 RTP/AVP 31\r\n"


@given(st.lists(st.text(max_size=40) | st.from_regex(r"a=[a-z-]{1,12}(:[ -~]*)?", fullmatch=True)))
def test_no_text_brings_more_than_attribute_lines(lines: list[str]) -> None:
    good = may_carry(lines)
    assert len(good) <= MOST_LINES and set(good) <= set(lines)
    assert all(line.startswith("a=") and line.isprintable() | (" " in line) and len(line) <= LONGEST_LINE for line in good)
    written = str(carrying(parse(BASE), tuple(lines)))
    assert written.count("m=") - sum(line.count("m=") for line in good) == 1, "no line became a stream of its own"
    assert parse(written).codecs == parse(BASE).codecs and parse(written).audio_address == ("127.0.0.1", 40000)
    assert may_carry(good) == good


@given(st.sampled_from(OF_A_SIDE), st.booleans())
def test_what_is_a_matter_of_one_side_never_passes(line: str, upper: bool) -> None:
    assert may_carry([line.upper().replace("A=", "a=", 1) if upper else line]) == ()
