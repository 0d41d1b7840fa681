# SPDX-License-Identifier: GPL-2.0-or-later
"""Which messages are of calls that are watched."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from interfaces.sip.message_log import MessageLog, SipPacket

S_NS = 1_000_000_000


def packet(data: bytes) -> SipPacket:
    return SipPacket(data, "192.0.2.1", 5060, "192.0.2.2", 5062, False)


def test_a_call_is_known_by_either_form_of_its_call_id() -> None:
    log = MessageLog()
    log.watch(2, "x@y")
    for head in (b"Call-ID: x@y", b"CALL-ID:x@y", b"i : x@y"):
        seen = log.seen(packet(b"BYE sip:a SIP/2.0\r\n" + head + b"\r\n\r\nbody"), 17)
        assert seen is not None and (seen.call, seen.epoch_us, seen.target_port) == (2, 17, 5062)
    assert log.seen(packet(b"BYE sip:a SIP/2.0\r\nCall-ID: x@yz\r\n\r\n"), 17) is None
    assert log.seen(packet(b"BYE sip:a SIP/2.0\r\nSubject: Call-ID: x@y\r\n\r\n"), 17) is None


def test_our_own_invite_is_known_as_it_leaves() -> None:
    log = MessageLog()
    log.begin(4)
    assert log.seen(packet(b"OPTIONS sip:a SIP/2.0\r\nCall-ID: o\r\n\r\n"), 1) is None
    first = log.seen(packet(b"INVITE sip:a SIP/2.0\r\nCall-ID: n\r\n\r\n"), 1)
    assert first is not None and first.call == 4
    assert log.seen(packet(b"INVITE sip:a SIP/2.0\r\nCall-ID: m\r\n\r\n"), 1) is None, "one INVITE only"
    assert log.seen(packet(b"SIP/2.0 200 OK\r\nCall-ID: n\r\n\r\n"), 1) is not None


def test_it_is_watched_for_a_while_after_its_end() -> None:
    log = MessageLog()
    log.watch(2, "x")
    log.ended(2, "x", 0)
    log.second_passed(20 * S_NS)
    assert log.seen(packet(b"SIP/2.0 200 OK\r\nCall-ID: x\r\n\r\n"), 1) is not None
    log.second_passed(60 * S_NS)
    assert not log and log.seen(packet(b"SIP/2.0 200 OK\r\nCall-ID: x\r\n\r\n"), 1) is None


def test_how_it_came() -> None:
    assert packet(b"BYE sip:a SIP/2.0\r\nVia: SIP/2.0/TLS a\r\nVia: SIP/2.0/UDP b\r\n\r\n").transport == "tls"
    assert packet(b"BYE sip:a SIP/2.0\r\nv:SIP / 2.0 / tcp a\r\n\r\n").transport == "tcp"
    assert packet(b"").transport == "udp"


@given(st.binary(max_size=300))
def test_any_bytes_are_somebody_elses_or_ours(data: bytes) -> None:
    log = MessageLog()
    log.watch(2, "x")
    seen = log.seen(packet(data), 1)
    assert seen is None or seen.data == data


def test_keys_of_srtp_are_crossed_out() -> None:
    log = MessageLog()
    log.watch(2, "x")
    line = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"S" * 40 + b"|2^20\r\n"
    data = b"INVITE sip:a SIP/2.0\r\nCall-ID: x\r\n\r\nv=0\r\n" + line
    seen = log.seen(packet(data), 1)
    assert seen is not None and seen.data == data.replace(b"S" * 40, b"*" * 40)
