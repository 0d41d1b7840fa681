# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from interfaces.sip.keying import NO_RULE, SrtpRule
from interfaces.sip.reader import DescriptionReader
from interfaces.sip.sdp.carried import carried
from interfaces.sip.sdp.model import NOTHING

GOOD = b"v=0\r\no=p 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


def test_pjsip_reads_what_is_fine_itself() -> None:
    reader = DescriptionReader()
    assert reader.look("application/sdp", GOOD) is None
    assert reader.arrived.audio_address == ("10.0.0.1", 4000)
    assert reader.look("Application/SDP ; charset=x", GOOD) is None
    assert reader.look("text/plain", GOOD) is None and reader.arrived is NOTHING
    reader.look("application/sdp", GOOD)
    assert reader.look("", b"") is None and reader.arrived is NOTHING


def test_pjsip_is_given_the_rest_in_its_own_way() -> None:
    reader = DescriptionReader()
    assert reader.look("application/sdp", GOOD.replace(b"s=-\r\n", b"")) == GOOD
    named = GOOD.replace(b"c=IN IP4 10.0.0.1", b"c=IN IP4 media.example")
    assert reader.look("application/sdp", named) == GOOD.replace(b"c=IN IP4 10.0.0.1", b"c=IN IP4 192.0.2.1")
    assert reader.arrived.audio_address == ("media.example", 4000), "we know it as it was written"
    parts = (
        b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\nContent-Type: application/sdp\r\n\r\n" + GOOD + b"\r\n--b--\r\n"
    )
    assert reader.look('multipart/mixed; boundary="b"', parts) == GOOD
    latin = GOOD.replace(b"s=-", b"s=\xe4")
    assert reader.look("application/sdp", latin) is None
    assert reader.look("application/sdp", latin + b"a=\r\n") == latin


def test_pjsip_sees_no_srtp_where_calls_may_have_it() -> None:
    """What was said of keys stays with us; without a rule pjsip refuses such a stream by itself."""
    key = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"A" * 40 + b"\r\n"
    offer, reader = GOOD.replace(b"RTP/AVP", b"RTP/SAVP") + key, DescriptionReader()
    rule = SrtpRule("optional", ("AES_CM_128_HMAC_SHA1_80",), True)
    assert reader.look("application/sdp", offer, rule) == GOOD
    assert reader.arrived.media[0].values("crypto") and reader.read(offer.decode()) is reader.arrived
    assert reader.look("application/sdp", offer, NO_RULE) is None
    both = GOOD + offer.partition(b"t=0 0\r\n")[2]
    assert reader.look("application/sdp", both, rule) == both.replace(b"m=audio 4000 RTP/AVP", b"m=audio 0 RTP/AVP").replace(
        b"RTP/SAVP", b"RTP/AVP"
    ).replace(key, b"")


VIDEO = b"m=video 5000 RTP/AVP 34\r\na=rtpmap:34 H263/90000\r\n"
SECURE = b"m=audio 5002 RTP/SAVP 0\r\n"


@given(
    st.sampled_from(
        [
            GOOD, GOOD.replace(b"c=IN IP4 10.0.0.1\r\n", b""), GOOD.replace(b"4000", b"0"), GOOD.replace(b"s=-", b"s= "), GOOD + VIDEO,
            GOOD.replace(b"m=audio", VIDEO + b"m=audio"), GOOD.replace(b"m=audio", SECURE + b"m=audio"), GOOD + b"c=IN IP4 10.0.0.7\r\n",
            GOOD.replace(b"RTP/AVP 0", b"RTP/AVP  0 8 "), GOOD.replace(b"t=0 0", b"b=AS:4\r\nt=0 0\r\na=sendonly"),
        ]
    ),
    st.lists(
        st.tuples(
            st.integers(0, 70000),
            st.sampled_from(
                "10.0.0.1 10.0.0.2 192.168.255.1 223.1.2.3 0.0.0.0 224.0.0.1 1.2.3 1.2.3.256 01.2.3.4 9.9.9.9/127 host.example a.invalid".split()
            ),
            st.sampled_from(("p", "sip:ü@x", "p q", "+49301234", "")),
            st.sampled_from(("IN IP4 10.0.0.1", "IN IP6 ::1", "IN IP4 host.example", "IN IP4", "IN IP4 10.0.0.3")),
        ),
        min_size=2,
        max_size=4,
    ),
    st.integers(0, 10**19),
)  # fmt: skip
def test_what_one_of_a_kind_is_read_as_holds_for_the_next(
    offer: bytes, others: list[tuple[int, str, str, str]], origin: int
) -> None:
    """The reader that has read others of its kind says what a fresh one says."""
    reader = DescriptionReader()
    for number, (port, ip, user, place) in enumerate(others):
        text = offer.replace(b"o=p 1 1 IN IP4 10.0.0.1", f"o={user} {origin} {number} {place}".encode())
        text = text.replace(b"audio 4000", b"audio %d" % port).replace(b"c=IN IP4 10.0.0.1", b"c=IN IP4 " + ip.encode())
        fresh = DescriptionReader()
        assert reader.look("application/sdp", text) == fresh.look("application/sdp", text)
        assert reader.arrived == fresh.arrived and reader.arrived.audio_address == fresh.arrived.audio_address
        assert reader.arrived.audio == fresh.arrived.audio and reader.arrived.connection == fresh.arrived.connection


def test_a_phone_whose_video_stands_first_is_heard_at_its_own_port() -> None:
    reader = DescriptionReader()
    for port in (4000, 6000):
        reader.look("application/sdp", GOOD.replace(b"m=audio 4000", VIDEO + b"m=audio %d" % port))
        assert reader.arrived.audio_address == ("10.0.0.1", port)


def test_the_same_description_is_read_once() -> None:
    reader = DescriptionReader()
    assert reader.read(GOOD.decode()) is reader.read(GOOD.decode()) and reader.read("") is NOTHING
    first = reader.read(GOOD.decode())
    for number in range(100):
        reader.read(f"s={number}")
    assert reader.read(GOOD.decode()) is not first, "nor kept for ever"


@given(st.binary(max_size=300), st.sampled_from(("application/sdp", "multipart/mixed; boundary=b", "multipart/mixed", "x")))
def test_any_body_is_looked_at(data: bytes, kind: str) -> None:
    DescriptionReader().look(kind, data)


def test_long_descriptions_of_strangers_are_not_kept() -> None:
    """Three hundred of 60 kB each, with no two alike in their lines: 18 MB of text came."""
    reader = DescriptionReader()
    tracemalloc.start()
    try:
        for number in range(300):
            long = f"{number}{'x' * 15_000}"
            text = GOOD.decode() + f"a=x:{long}\r\na=rtpmap:0 {long}/8000\r\na=fmtp:0 {long}\r\nc=IN IP4 {long}\r\n"
            reader.look("application/sdp", text.encode())
            carried(reader.arrived.audio)
            del text, long
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept_bytes < 12_000_000
    assert reader.read(GOOD.decode()).audio_address == DescriptionReader().read(GOOD.decode()).audio_address
