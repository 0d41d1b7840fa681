# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from dataclasses import replace

import pytest

from interfaces.sip.mapping import Stream, codec_id, ended, negotiated, offered, paused
from interfaces.sip.message import parse

INVITE = parse(
    'INVITE sip:a@h SIP/2.0\r\nFrom: <sip:b@h>;tag=r\r\nTo: <sip:a@h>\r\nCall-ID: i\r\nContact: "x" <sip:b@1.2.3.4:9>;q=1\r\n'
    "P-App-Name: echo\r\nContent-Type: application/sdp\r\n\r\nc=IN IP4 5.6.7.8\r\nm=audio 4000 RTP/AVP 0\r\n"
)
STREAM = Stream("pcmu", 8000, 1, 0, 0, 101, 96, 3, 20, 1, "5.6.7.8:4000")


def test_an_invite_becomes_an_offer() -> None:
    record = offered(1, INVITE, "1.2.3.4:5060")
    assert (record.call, record.call_id, record.remote_tag, record.contact_uri) == (1, "i", "r", "sip:b@1.2.3.4:9")
    assert (record.source_ip, record.source_port, record.has_offer) == ("1.2.3.4", 5060, True)
    assert (record.remote_media_ip, record.remote_media_port) == ("5.6.7.8", 4000) and ("P-App-Name", "echo") in record.headers


def test_an_invite_without_description_has_no_offer() -> None:
    record = offered(3, parse("INVITE sip:a@h SIP/2.0\r\nContent-Type: text/plain\r\n\r\nhello"), "h")
    assert not record.has_offer and record.body == b"hello" and record.remote_media_port == 0


@pytest.mark.parametrize(
    ("direction", "send", "receive"), [(0, False, False), (1, True, False), (2, False, True), (3, True, True)]
)
def test_directions(direction: int, send: bool, receive: bool) -> None:
    record = negotiated(1, replace(STREAM, direction=direction), "")
    assert (record.send, record.receive) == (send, receive)


def test_a_stream_becomes_a_record() -> None:
    record = negotiated(1, replace(STREAM, frames_per_packet=2, fmtp="x=1"), "")
    assert (record.codec, record.clock_hz, record.ptime_ms, record.fmtp) == ("PCMU", 8000, 40, "x=1")
    assert (record.remote_ip, record.remote_port, record.dtmf_send, record.dtmf_receive) == ("5.6.7.8", 4000, 101, 96)
    quiet = paused(record)
    assert not quiet.send and not quiet.receive and quiet.remote_port == 4000


def test_g722_runs_on_the_clock_of_its_rtp() -> None:
    assert codec_id("G722/8000") == "G722/16000" and codec_id("PCMA/8000") == "PCMA/8000"
    assert negotiated(1, replace(STREAM, codec="G722", clock_hz=16000), "").clock_hz == 8000


def test_opus_is_always_what_its_rtpmap_says() -> None:
    """pjmedia tells the rate that the peer's maxplaybackrate asks for."""
    record = negotiated(1, replace(STREAM, codec="opus", clock_hz=16000, channels=1, fmtp="maxplaybackrate=16000"), "")
    assert (record.codec, record.clock_hz, record.channels, record.fmtp) == ("OPUS", 48000, 2, "maxplaybackrate=16000")


@pytest.mark.parametrize(
    ("text", "code", "confirmed", "outcome"),
    [
        ("BYE sip:a SIP/2.0\r\nX-Why: b\r\n\r\n", 200, True, (200, "remote")),
        ("CANCEL sip:a SIP/2.0\r\n\r\n", 487, False, (487, "cancel")),
        ("SIP/2.0 486 Busy Here\r\n\r\n", 486, False, (486, "remote")),
        ("SIP/2.0 481 Gone\r\n\r\n", 481, True, (481, "timeout")),
        ("", 408, True, (408, "timeout")),
        ("", 503, False, (503, "error")),
        ("", 0, True, (408, "timeout")),
    ],
)
def test_why_a_call_ended(text: str, code: int, confirmed: bool, outcome: tuple[int, str]) -> None:
    record = ended(1, code, "", parse(text) if text else None, confirmed)
    assert (record.code, record.by) == outcome and record.reason
