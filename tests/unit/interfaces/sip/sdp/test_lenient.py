# SPDX-License-Identifier: GPL-2.0-or-later
"""What phones write and pjsip refuses, and what it reads instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.sip.sdp.lenient import is_on_hold, mended, unspecified_of, with_stand_ins
from interfaces.sip.sdp.model import connection_of, parse

HEAD = "v=0\r\no=phone 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"
AUDIO = (
    "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=sendrecv\r\n"
)
GOOD = HEAD + AUDIO


def read(text: str, *known: str) -> str:
    return str(mended(parse(text), known))


def test_what_is_fine_is_returned_as_it_is() -> None:
    for text in (GOOD, GOOD.replace("\r\n", "\n"), HEAD + "m=audio 0 RTP/AVP 0\r\n", GOOD.replace("o=phone 1 1", "o=- 4611731400430051336 2"),
                 GOOD + "a=X-Odd:1\r\na=candidate:1 1 UDP 2 10.0.0.1 5 typ host\r\n", GOOD + "m=image 5000 udptl t38\r\n",
                 GOOD.replace("c=IN IP4 10.0.0.1", "c=IN IP4 224.2.1.1/127")):  # fmt: skip
        description = parse(text)
        assert mended(description) is description and with_stand_ins(description) is description


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        (GOOD.replace("s=-\r\n", ""), GOOD),
        (GOOD.replace("s=-", "s="), GOOD),
        (GOOD.replace("s=-", "s= "), GOOD),
        (GOOD.replace("o=phone 1", "o= 1"), GOOD.replace("o=phone", "o=-")),
        (GOOD.replace("o=phone 1", "o=a b 1"), GOOD.replace("o=phone", "o=a_b")),
        (GOOD.replace("in ip4 10.0.0.1\r\ns", "in ip4 10.0.0.1\r\ns"), GOOD),
        (GOOD.replace("IN IP4 10.0.0.1\r\nt", "in ip4 10.0.0.1\r\nt"), GOOD),
        (GOOD.replace("c=IN IP4 10.0.0.1", "c=IN IP4 2001:db8::7"), GOOD.replace("c=IN IP4 10.0.0.1", "c=IN IP6 2001:db8::7")),
        (GOOD.replace("a=rtpmap:101", "\r\na=rtpmap:101"), GOOD),
        ("\r\n" + GOOD + "\r\n\r\n", GOOD),
        (GOOD + "a=\r\n", GOOD),
        (GOOD + "a=:x\r\nno line\r\n=\r\nA=x\r\nb=x\r\na=rtpmap:\r\na=rtpmap:7\r\n", GOOD),
        (GOOD.replace("a=fmtp", "  a=fmtp"), GOOD),
        (GOOD.replace("a=rtpmap:0", "a=RTPMAP:0"), GOOD),
        (GOOD.replace("t=0 0", "t=now"), GOOD),
        (GOOD.replace("v=0\r\n", ""), GOOD),
        (GOOD.replace("m=audio 4000 ", "m=audio  4000  "), GOOD),
        (GOOD.replace("0 101\r\n", "0 0 101 0 200 x\r\n"), GOOD),
        (GOOD.replace("0 101\r\n", "0 97 101\r\n"), GOOD),
        (HEAD + "m=audio 4000 RTP/AVP 0 101\r\n", HEAD + "m=audio 4000 RTP/AVP 0\r\n"),
        (GOOD + "m=video 5006 RTP/AVP 96\r\n", GOOD + "m=video 0 RTP/AVP 96\r\n"),
        (GOOD + "m=video 5006 RTP/AVP\r\n", GOOD + "m=video 0 RTP/AVP 0\r\n"),
        (GOOD + "m=video\r\na=x\r\n", GOOD + "m=video 0 RTP/AVP 0\r\na=x\r\n"),
        (GOOD + "m=video 70000 RTP/AVP 31\r\n", GOOD + "m=video 0 RTP/AVP 31\r\n"),
        (GOOD + "m=\r\n", GOOD + "m=audio 0 RTP/AVP 0\r\n"),
        (GOOD.replace("c=IN IP4 10.0.0.1\r\n", "").replace("0 101\r\n", "0 101\r\nc=IN IP4 10.0.0.1\r\n"),) * 2,
        (GOOD.replace("c=IN IP4 10.0.0.1\r\n", ""), GOOD.replace("c=IN IP4 10.0.0.1\r\n", "").replace("0 101\r\n", "0 101\r\nc=IN IP4 10.0.0.1\r\n")),
    ],
)  # fmt: skip
def test_one_ignorable_item_costs_nothing_else(bad: str, good: str) -> None:
    assert read(bad) == good
    assert read(bad.replace("\r\n", "\n")).replace("\r\n", "\n") == good.replace("\r\n", "\n")


def test_nothing_is_answered_to_a_stream_without_any_address() -> None:
    text = GOOD.replace("c=IN IP4 10.0.0.1\r\n", "").replace("o=phone 1 1 IN IP4 10.0.0.1", "o=phone 1 1 IN IP4 pc.example")
    assert "m=audio 0 RTP/AVP 0 101" in read(text)


@pytest.mark.parametrize(
    ("formats", "known", "clock_hz"),
    [("0 101", (), 8000), ("97 101", (), 16000), ("97 0 101", (), 16000), ("97 0 101", ("PCMU/8000",), 8000), ("9 101", (), 8000),
     ("98 101", (), 16000)],
)  # fmt: skip
def test_of_two_events_under_one_number_the_fitting_one_is_meant(formats: str, known: tuple[str, ...], clock_hz: int) -> None:
    text = HEAD + f"m=audio 4000 RTP/AVP {formats}\r\na=rtpmap:97 speex/16000\r\na=rtpmap:98 opus/48000/2\r\n"
    left = mended(parse(text + "a=rtpmap:101 telephone-event/16000\r\na=rtpmap:101 telephone-event/8000\r\n"), known)
    assert left.audio is not None and left.audio.rtpmaps["101"].clock_hz == clock_hz
    assert str(left).count("rtpmap:101") == 1 and str(left) == text + f"a=rtpmap:101 telephone-event/{clock_hz}\r\n"


def test_of_two_codecs_under_one_number_the_first_is_meant() -> None:
    text = HEAD + "m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 speex/16000\r\na=rtpmap:97 speex/8000\r\na=rtpmap:97 speex/16000\r\n"
    assert read(text) == HEAD + "m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 speex/16000\r\n"


@pytest.mark.parametrize(
    ("direction", "meant"), [("", "sendonly"), ("a=sendrecv\r\n", "sendonly"), ("a=sendonly\r\n", "sendonly"), ("a=recvonly\r\n", "inactive"),
                             ("a=inactive\r\n", "inactive")],
)  # fmt: skip
@pytest.mark.parametrize("host", ["IP4 0.0.0.0", "IP6 ::", "IP4 phone.invalid", "IP4 0"])
@pytest.mark.parametrize("in_stream", [False, True])
def test_who_is_nowhere_only_sends(direction: str, meant: str, host: str, in_stream: bool) -> None:
    """Hold as RFC 2543 §B.5 has it: pjsip is given another address, since it would answer with this one."""
    stream = "m=audio 4000 RTP/AVP 0\r\n" + (f"c=IN {host}\r\n" if in_stream else "") + direction
    text = (HEAD if in_stream else HEAD.replace("IP4 10.0.0.1\r\nt", f"{host}\r\nt")) + stream
    description = mended(parse(text))
    assert description.audio is not None and description.direction_of(description.audio) == meant
    assert description.audio_address[0] == host.split()[1] and is_on_hold(description.connection_of(description.audio))
    given = with_stand_ins(description)
    assert given.audio_address[0] in ("192.0.2.1", "2001:db8::1") and unspecified_of(given, given.audio) == ""
    assert unspecified_of(description, description.audio) == ("::" if "IP6" in host else "0.0.0.0")


def test_a_direction_of_the_session_is_that_of_a_stream_that_is_nowhere() -> None:
    text = (
        HEAD.replace("c=IN IP4 10.0.0.1", "c=IN IP4 0.0.0.0").replace("t=0 0\r\n", "t=0 0\r\na=recvonly\r\n")
        + "m=audio 4000 RTP/AVP 0\r\n"
    )
    description = mended(parse(text))
    assert description.direction_of(description.media[0]) == "inactive"


def test_a_host_name_is_kept_for_us_and_no_host_is_left_to_pjsip() -> None:
    named = parse(GOOD.replace("c=IN IP4 10.0.0.1", "c=IN IP4 media.example."))
    assert mended(named) is named and "c=IN IP4 192.0.2.1\r\n" in str(with_stand_ins(named))
    for host in ("999.1.1.1", "1.2.3", "::::", "ü.example"):
        wrong = parse(GOOD.replace("c=IN IP4 10.0.0.1", f"c=IN IP4 {host}"))
        assert with_stand_ins(wrong) is wrong
    assert not is_on_hold(None) and not is_on_hold(connection_of("c=IN IP4 valid.example"))


def test_what_matters_comes_first_where_there_is_too_much() -> None:
    candidates = "".join(f"a=candidate:{i} 1 UDP 1 10.0.0.1 {i} typ host\r\n" for i in range(1, 90))
    text = (
        HEAD
        + "m=audio 4000 RTP/AVP 97 98\r\n"
        + candidates
        + "a=rtpmap:98 x/8000\r\na=rtpmap:97 opus/48000/2\r\na=rtpmap:3 GSM/8000"
    )
    lines = read(text).split("\r\n")
    assert lines[6:8] == ["a=rtpmap:98 x/8000", "a=rtpmap:97 opus/48000/2"] and len(lines) == len(text.split("\r\n")) + 1
    many = " ".join(str(i) for i in range(90))
    assert "m=audio 4000 RTP/AVP " + " ".join(str(i) for i in range(64)) + "\r\n" in read(
        HEAD + f"m=audio 4000 RTP/AVP {many}\r\n"
    )


LINES = (*GOOD.split("\r\n"), *(GOOD.replace("10.0.0.1", "0.0.0.0")).split("\r\n"), "m=video 9 RTP/AVP 96", "a=rtpmap:96 H264/90000", "", "a=", "s=",
         "o=1 2", "c=IN IP4 host.example", "c=x", "m=audio 4000 RTP/SAVP 97", "b=AS:x", "a=inactive", " a=x", "m=x y z")  # fmt: skip


@given(st.lists(st.sampled_from(LINES) | st.text(max_size=12), max_size=30), st.sampled_from(("\r\n", "\n", "\r")))
def test_any_lines_are_mended_once_and_for_all(lines: list[str], end: str) -> None:
    once = mended(parse(end.join(lines)))
    again = mended(parse(str(once)))
    assert str(again) == str(once) and len(once.media) == len(parse(end.join(lines)).media)
    given = with_stand_ins(once)
    starts = {line[:2] for line in given.lines}
    assert {"v=", "o=", "s="} <= starts
    for stream in given.media:
        assert stream.formats and (not stream.port or given.connection_of(stream) is not None)
        assert all(kind in stream.rtpmaps for kind in stream.formats if stream.port and kind.isdigit() and int(kind) >= 96)
    assert all(
        line[:1] in "abcdefghijklmnopqrstuvwxyz" and line[1:2] == "="
        for line in [*given.lines, *[x for s in given.media for x in s.lines]]
    )


@given(st.binary(max_size=600))
def test_any_bytes_are_mended(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    assert str(with_stand_ins(mended(parse(text))))
