# SPDX-License-Identifier: GPL-2.0-or-later
"""What is said instead of pjsip's description."""

from __future__ import annotations

from di.sip.records import Appearance
from interfaces.sip.descriptions import Descriptions
from interfaces.sip.sdp.model import parse
from tests.support import sdp

OURS = (
    "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 3 101\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:0 PCMU/8000\r\n"
    "a=rtpmap:8 PCMA/8000\r\na=rtpmap:3 GSM/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
)
THEIRS = OURS.replace("0 8 3 101", "3 8 101")


def of(outgoing: bool = False) -> Descriptions:
    return Descriptions(outgoing, {"PCMU/8000", "PCMA/8000", "GSM/8000"})


def test_first_answer_waits_for_the_address() -> None:
    ours = of()
    ours.received = parse(THEIRS)
    assert sdp.audio_codecs(ours.created(OURS, "")) == ["PCMA/8000", "GSM/8000"]
    ours.limit(("GSM/8000",))
    ours.move(("127.0.0.1", 30000))
    answer = ours.answer_now()
    assert sdp.audio_codecs(answer) == ["GSM/8000"] and sdp.audio_address(answer) == ("127.0.0.1", 30000)
    ours.agreed()
    assert ours.answer_now() == ""


def test_offer_in_the_wanted_order_once() -> None:
    ours = of(True)
    ours.move(("127.0.0.1", 30000))
    before = ours.offer_again("sendonly", ("GSM/8000", "PCMU/8000"), ("127.0.0.2", 30002))
    offer = ours.created(OURS, "")
    assert sdp.audio_codecs(offer) == ["GSM/8000", "PCMU/8000"] and sdp.audio_address(offer) == ("127.0.0.2", 30002)
    assert "a=sendonly" in offer and "a=sendrecv" not in offer and "101" in offer.splitlines()[4]
    ours.agreed()
    assert sdp.audio_codecs(ours.created(OURS, "")) == ["PCMU/8000", "PCMA/8000", "GSM/8000"]
    ours.restore(before)
    again = ours.created(OURS, "")
    assert sdp.audio_address(again) == ("127.0.0.1", 30000) and "a=sendrecv" in again


def test_telephone_event_is_answered_as_it_is_offered() -> None:
    """Also where the clock is none of the codecs', and the hub then limits these."""
    ours = Descriptions(False, {"OPUS/48000", "PCMU/8000"})
    opus = OURS.replace("0 8 3 101", "0 96 101 102") + "a=rtpmap:96 opus/48000/2\r\na=rtpmap:102 telephone-event/48000\r\n"
    ours.received = parse(OURS.replace("0 8 3", "96") + "a=rtpmap:96 opus/48000/2\r\n")
    first = parse(ours.created(opus, "")).audio
    assert first is not None and first.codecs == ("OPUS/48000",) and sorted(first.events.values()) == [8000, 48000]
    ours.limit(("OPUS/48000",))
    ours.move(("127.0.0.1", 30000))
    answer = parse(ours.answer_now()).audio
    assert answer is not None and sorted(answer.events.values()) == [8000, 48000]


def test_spoken_codec_stays_in_our_offers() -> None:
    ours = Descriptions(True, {"PCMU/8000"})
    assert sdp.audio_codecs(ours.created(OURS, "GSM/8000")) == ["PCMU/8000", "GSM/8000"]
    assert sdp.audio_codecs(ours.created(OURS, "")) == ["PCMU/8000"]


def test_what_cannot_be_made_refuses_every_stream() -> None:
    """pjsip's own description names an address of no socket."""
    ours = of()
    ours.received = parse(THEIRS + "m=video 5000 RTP/AVP 31\r\na=x\r\n")
    for text in ("", "v=0\r\n"):
        said = parse(ours.nothing_said(text))
        assert [(stream.kind, stream.port) for stream in said.media] == [("audio", 0), ("video", 0)] and "0.0.0.0" not in str(
            said
        )
    assert ours.created("", "") == ours.nothing_said("")
    ours.move(("127.0.0.1", 30000))
    assert "4000" not in ours.nothing_said(OURS) and "c=IN IP4 127.0.0.1" in ours.nothing_said(OURS)
    assert [stream.port for stream in parse(of(True).nothing_said("")).media] == [0]


def test_their_answer_is_what_came_and_their_offer_what_was_received() -> None:
    ours = of(True)
    ours.created(OURS, "")
    answer = parse(THEIRS)
    ours.agreed(answer)
    assert ours.theirs is answer and ours.we_offered
    ours.received = offer = parse(THEIRS.replace("3 8 101", "8"))
    ours.created(OURS, "")
    ours.agreed(answer)
    assert ours.theirs is offer and not ours.we_offered


def test_an_appearance_shows_in_offers_and_answers() -> None:
    ours = of(True)
    ours.appearance = Appearance(lines=("a=x-flag", "a=rtpmap:0 not this"), anonymous=True)
    ours.offer_only(("GSM/8000",))
    ours.move(("127.0.0.1", 30000))
    offer = ours.created(OURS, "")
    assert sdp.audio_codecs(offer) == ["GSM/8000"] and offer.endswith("a=x-flag\r\n") and "not this" not in offer
    assert "o=- " in offer and "s=-\r\n" in offer
    ours.agreed()
    ours.received = parse(THEIRS)
    assert "a=x-flag\r\n" in ours.created(OURS, "")


def test_a_limit_holds_for_later_offers_of_ours_where_something_is_left() -> None:
    ours = of(True)
    ours.move(("127.0.0.1", 30000))
    ours.limit(("PCMU/8000", "GSM/8000"))
    ours.offer_again("sendrecv", ("PCMA/8000", "GSM/8000"), None)
    assert sdp.audio_codecs(ours.created(OURS, "")) == ["GSM/8000"]
    ours.offer_again("sendrecv", ("PCMA/8000",), None)
    assert sdp.audio_codecs(ours.created(OURS, "")) == ["PCMA/8000"]


def test_a_hold_at_no_address_is_said_once_and_taken_back() -> None:
    ours = of(True)
    ours.move(("127.0.0.1", 30000))
    before = ours.offer_again("sendrecv", (), None, nowhere=True)
    held = ours.created(OURS, "")
    assert sdp.audio_address(held)[0] == "0.0.0.0" and "a=sendrecv" in held and "IN IP4 127.0.0.1" in held.splitlines()[1]
    ours.agreed()
    ours.received = parse(THEIRS)
    assert sdp.audio_address(ours.created(OURS, ""))[0] == "127.0.0.1", "an offer of theirs meanwhile is answered with ours"
    ours.restore(before)
    ours.received = parse("")
    assert sdp.audio_address(ours.created(OURS, "")) == ("127.0.0.1", 30000)
