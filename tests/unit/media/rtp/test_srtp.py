# SPDX-License-Identifier: GPL-2.0-or-later
"""Contexts of libsrtp: which can be made, what they do to packets, and the reference that they are compared with."""

from __future__ import annotations

import ctypes
import struct

import pytest

from media.control.records import SrtpKey
from media.control.srtp_library import NAME, load
from media.rtp import srtp
from media.rtp.srtp import SrtpError
from media.rtp.srtp_numbers import OK
from tests.support.engine_rig import rtp
from tests.support.srtp_reference import CM, GCM, KEY_BYTES, TAG_BYTES, Stream, derive

SUITES = (CM, GCM)
LIBRARY = load() or ctypes.CDLL(NAME)


def key_of(suite: str, first: int = 1) -> bytes:
    return bytes((first + i) % 256 for i in range(KEY_BYTES[suite]))


def call(name: str, context: int, packet: bytes, *more: int) -> tuple[int, bytes]:
    buffer = ctypes.create_string_buffer(packet, len(packet) + 64)
    length = ctypes.c_int(len(packet))
    status = getattr(LIBRARY, name)(ctypes.c_void_p(context), buffer, ctypes.byref(length), *map(ctypes.c_uint, more))
    return status, buffer.raw[: length.value]


def test_reference_derives_the_keys_of_the_rfc() -> None:
    """RFC 3711 §B.3."""
    key, salt = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139"), bytes.fromhex("0EC675AD498AFEEBB6960B3AABE6")
    assert derive(key, salt, 0, 16).hex().upper() == "C61E7A93744F39EE10734AFE3FF7A087"
    assert derive(key, salt, 2, 14).hex().upper() == "30CBBC08863D8C85D49DB34A9AE1"
    assert derive(key, salt, 1, 20).hex().upper() == "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"


@pytest.mark.parametrize("suite", SUITES)
def test_what_is_protected_is_what_the_rfc_says(suite: str) -> None:
    context, reference = srtp.sending(suite, key_of(suite), 7), Stream(suite, key_of(suite))
    try:
        for sequence in (65534, 65535, 0, 1):
            packet = rtp(sequence, 160, bytes(range(160)), ssrc=7)
            status, protected = call("srtp_protect", context, packet)
            assert status == OK and len(protected) == len(packet) + TAG_BYTES[suite]
            assert reference.unprotect(protected) == packet
        assert srtp.rollover_of(context, 7) == 1
        status, report = call("srtp_protect_rtcp", context, b"\x80\xc8\0\6" + struct.pack(">I", 7) + bytes(20))
        assert status == OK and reference.unprotect_report(report)[8:] == bytes(20)
    finally:
        srtp.close(context)


@pytest.mark.parametrize("mki", [b"", b"\1", b"\0\0\0\2"])
@pytest.mark.parametrize("suite", SUITES)
def test_what_the_rfc_says_is_opened(suite: str, mki: bytes) -> None:
    context, peer = srtp.receiving(suite, (SrtpKey(key_of(suite), mki),)), Stream(suite, key_of(suite), mki)
    try:
        packet = rtp(1, 160, b"hello", ssrc=9)
        assert call("srtp_unprotect_mki", context, peer.protect(packet), bool(mki)) == (OK, packet)
        report = b"\x80\xc9\0\1" + struct.pack(">I", 9)
        assert call("srtp_unprotect_rtcp_mki", context, peer.protect_report(report), bool(mki)) == (OK, report)
    finally:
        srtp.close(context)


def test_each_of_several_keys_is_named_by_its_mki() -> None:
    keys = (SrtpKey(key_of(CM), b"\1"), SrtpKey(key_of(CM, 50), b"\2"))
    context = srtp.receiving(CM, keys)
    try:
        for sequence, key in enumerate(keys):
            packet = rtp(sequence, 0, b"x")
            protected = Stream(CM, key.key, key.mki).protect(packet)
            assert call("srtp_unprotect_mki", context, protected, 1) == (OK, packet)
    finally:
        srtp.close(context)


def test_a_stream_goes_on_where_it_was() -> None:
    context, peer = srtp.receiving(CM, (SrtpKey(key_of(CM)),), (3, 5)), Stream(CM, key_of(CM), rollover=5)
    try:
        packet = rtp(100, 0, b"x", ssrc=3)
        assert call("srtp_unprotect_mki", context, peer.protect(packet), 0) == (OK, packet)
        assert srtp.rollover_of(context, 3) == 5 and srtp.rollover_of(context, 4) == 0
    finally:
        srtp.close(context)


@pytest.mark.parametrize(
    ("suite", "keys", "why"),
    [
        ("AES_256_CM_HMAC_SHA1_80", (SrtpKey(bytes(46)),), "no suite"),
        (CM, (SrtpKey(bytes(28)),), "28 bytes"),
        (CM, (), "MKI"),
        (CM, (SrtpKey(bytes(30)), SrtpKey(bytes(30))), "MKI"),
        (CM, (SrtpKey(bytes(30), b"1"), SrtpKey(bytes(30), b"22")), "MKI"),
    ],
)
def test_what_cannot_be_is_refused(suite: str, keys: tuple[SrtpKey, ...], why: str) -> None:
    with pytest.raises(SrtpError, match=why):
        srtp.receiving(suite, keys)


def test_a_missing_library_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(srtp, "_library", srtp._library.__wrapped__)  # a process can begin with libsrtp once only
    monkeypatch.setattr(srtp, "load", lambda: None)
    with pytest.raises(SrtpError, match="install the package libsrtp2-1"):
        srtp.sending(CM, key_of(CM), 1)


def test_a_counter_that_cannot_be_set_is_no_secret() -> None:
    """Going on from 0 instead, the peer would open nothing and nobody would know why."""
    context = srtp.sending(CM, key_of(CM), 1)
    with pytest.raises(SrtpError, match="srtp_set_stream_roc failed"):
        srtp._go_on(context, 2, 7)
