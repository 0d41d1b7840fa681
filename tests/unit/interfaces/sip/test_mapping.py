# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from dataclasses import replace

import pytest

from interfaces.sip.descriptions import Descriptions
from interfaces.sip.keying import SrtpRule
from interfaces.sip.mapping import Stream, codec_id, ended, negotiated, offered, paused
from interfaces.sip.message import parse
from interfaces.sip.message_log import SipPacket
from interfaces.sip.sdp.lenient import mended
from interfaces.sip.sdp.model import NOTHING
from interfaces.sip.sdp.model import parse as parse_description
from media.control.records import ReceivedFormat

INVITE = parse(
    'INVITE sip:a@h SIP/2.0\r\nFrom: <sip:b@h>;tag=r\r\nTo: <sip:a@h>\r\nCall-ID: i\r\nContact: "x" <sip:b@1.2.3.4:9>;q=1\r\n'
    "P-App-Name: echo\r\nContent-Type: application/sdp\r\n\r\nc=IN IP4 5.6.7.8\r\nm=audio 4000 RTP/AVP 0\r\n"
)
CAME = SipPacket(b"", "1.2.3.4", 5060, "10.0.0.1", 5060, connected=True)
STREAM = Stream("pcmu", 8000, 1, 0, 0, 101, 96, 3, 20, 1, "5.6.7.8:4000")

HEAD = "c=IN IP4 5.6.7.8\r\n"
MANY = "a=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/48000\r\na=rtpmap:102 telephone-event/8000\r\na=fmtp:96 useinbandfec=1\r\n"


def agreement(theirs: str = "", ours: str = "", we_offered: bool = False) -> Descriptions:
    agreed = Descriptions(we_offered, ())
    agreed.theirs, agreed.ours = mended(parse_description(theirs)) if theirs else NOTHING, parse_description(ours)
    return agreed


def test_an_invite_becomes_an_offer() -> None:
    record = offered(1, INVITE, CAME, parse_description(INVITE.description))
    assert (record.call, record.call_id, record.remote_tag, record.contact_uri) == (1, "i", "r", "sip:b@1.2.3.4:9")
    assert (record.source_ip, record.source_port, record.has_offer) == ("1.2.3.4", 5060, True)
    assert (record.remote_media_ip, record.remote_media_port) == ("5.6.7.8", 4000) and ("P-App-Name", "echo") in record.headers


def test_an_invite_without_description_has_no_offer() -> None:
    record = offered(3, parse("INVITE sip:a@h SIP/2.0\r\nContent-Type: text/plain\r\n\r\nhello"), CAME, NOTHING)
    assert not record.has_offer and record.body == b"hello" and record.remote_media_port == 0


@pytest.mark.parametrize(
    ("direction", "send", "receive"), [(0, False, False), (1, True, False), (2, False, True), (3, True, True)]
)
def test_directions(direction: int, send: bool, receive: bool) -> None:
    record = negotiated(1, replace(STREAM, direction=direction), agreement(), None)
    assert (record.send, record.receive) == (send, receive)


def test_a_stream_becomes_a_record() -> None:
    record = negotiated(1, replace(STREAM, frames_per_packet=2, fmtp="x=1"), agreement(), None)
    assert (record.codec, record.clock_hz, record.ptime_ms, record.fmtp) == ("PCMU", 8000, 40, "x=1")
    assert (record.remote_ip, record.remote_port, record.dtmf_send, record.dtmf_receive) == ("5.6.7.8", 4000, 101, 96)
    quiet = paused(record)
    assert not quiet.send and not quiet.receive and quiet.remote_port == 4000


def test_g722_runs_on_the_clock_of_its_rtp() -> None:
    assert codec_id("G722/8000") == "G722/16000" and codec_id("PCMA/8000") == "PCMA/8000"
    assert negotiated(1, replace(STREAM, codec="G722", clock_hz=16000), agreement(), None).clock_hz == 8000


def test_opus_is_always_what_its_rtpmap_says() -> None:
    """pjmedia tells the rate that the peer's maxplaybackrate asks for."""
    record = negotiated(
        1, replace(STREAM, codec="opus", clock_hz=16000, channels=1, fmtp="maxplaybackrate=16000"), agreement(), None
    )
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


def test_durations_of_keys_are_counted_in_their_own_clock() -> None:
    theirs = HEAD + "m=audio 4000 RTP/AVP 96 101 102\r\n" + MANY
    opus = replace(STREAM, codec="opus", clock_hz=48000)
    ours = theirs.replace("101", "110").replace("102", "97")

    def keys(stream: Stream, theirs: str, ours: str, we_offered: bool) -> tuple[int, int, int]:
        record = negotiated(1, stream, agreement(theirs, ours, we_offered), None)
        assert record.dtmf_send_clock_hz == record.dtmf_receive_clock_hz
        return record.dtmf_send, record.dtmf_receive, record.dtmf_send_clock_hz

    assert keys(opus, theirs, ours, True) == (101, 110, 48000)
    assert keys(opus, theirs, ours, False) == (101, 101, 48000), "an answer has the offer's numbers"
    assert keys(STREAM, theirs, ours, True) == (102, 97, 8000)
    assert keys(replace(opus, codec="speex", clock_hz=16000), theirs, ours, True) == (101, 110, 48000), "the first of theirs"
    assert keys(opus, theirs.replace("telephone-event/48000", "x/1"), ours, False) == (102, 102, 8000), "what there is"
    assert keys(opus, theirs.replace("telephone", "Telephone"), ours, True) == (101, 110, 48000)
    assert keys(opus, theirs.replace("telephone-event/", "x/"), ours, True) == (-1, -1, 8000)
    assert keys(opus, theirs.replace("101", "x").replace("102", "200"), ours, True) == (-1, -1, 8000), "no payload types"


def test_every_codec_of_their_answer_is_received_under_our_number() -> None:
    ours = HEAD + "m=audio 4000 RTP/AVP 0 8 9 120 101\r\n" + MANY.replace("96", "120")
    theirs = HEAD + "m=audio 4000 RTP/AVP 0 8 96 101\r\n" + MANY
    record = negotiated(1, STREAM, agreement(theirs, ours, we_offered=True), None)
    assert record.also == (ReceivedFormat(8, 8, "PCMA", 8000), ReceivedFormat(120, 96, "OPUS", 48000, 2, "useinbandfec=1"))
    assert negotiated(1, STREAM, agreement(theirs, ours), None).also == (), "our own answer names one"


def test_the_peers_addresses_are_as_it_wrote_them() -> None:
    text = HEAD + "m=audio 4000 RTP/AVP 0\r\na=rtcp:4711 IN IP4 5.6.7.9\r\n"
    record = negotiated(1, STREAM, agreement(text), None)
    assert (record.rtcp_ip, record.rtcp_port) == ("5.6.7.9", 4711)
    stood_in = replace(STREAM, remote_address="192.0.2.1:4000")
    named = negotiated(1, stood_in, agreement(text.replace("5.6.7.8", "media.example")), None)
    assert (named.remote_ip, named.remote_port) == ("media.example", 4000)
    nowhere = agreement(text.replace("5.6.7.8", "0.0.0.0").replace("4000", "9"))
    held = negotiated(1, stood_in, nowhere, record)
    assert (held.remote_ip, held.remote_port) == ("5.6.7.8", 4000), "where it was before the hold"
    assert negotiated(1, stood_in, nowhere, None).remote_ip == "0.0.0.0"


@pytest.mark.parametrize(
    ("host", "ip"), [("IP4 0.0.0.0", "0.0.0.0"), ("IP4 media.example", "0.0.0.0"), ("IP6 media.example", "::")]
)
def test_an_offer_from_no_address_tells_the_family_only(host: str, ip: str) -> None:
    record = offered(1, INVITE, CAME, parse_description(f"c=IN {host}\r\nm=audio 4000 RTP/AVP 0\r\n"))
    assert (record.remote_media_ip, record.remote_media_port) == (ip, 0)


def test_keys_of_srtp_stay_in_the_sip_process_but_for_the_media_process() -> None:
    """What applications may look at has them crossed out; ConnectLeg's go by MediaNegotiated, which prints none."""
    line = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "S" * 40
    text = f"INVITE sip:a@h SIP/2.0\r\nContent-Type: application/sdp\r\n\r\n{HEAD}m=audio 4000 RTP/SAVP 0\r\n{line}\r\n"
    invite = parse(text)
    record = offered(1, invite, CAME, parse_description(invite.description))
    assert record.has_offer and b"inline:" + b"*" * 40 in record.body and "SSS" not in repr(record)
    agreed = agreement(f"{HEAD}m=audio 4000 RTP/SAVP 0\r\n{line}\r\n")
    agreed.keying.rule = SrtpRule("optional", ("AES_CM_128_HMAC_SHA1_80",), True)
    agreed.keying.agreed(agreed.theirs, False)
    found = negotiated(1, STREAM, agreed, None)
    assert found.srtp is not None and len(found.srtp.received[0].key) == 30 and "I$\\x92" not in repr(found)
    assert paused(found, found.srtp).srtp == found.srtp
