# SPDX-License-Identifier: GPL-2.0-or-later
"""SRTP by the text of RFC 3711 and RFC 7714, packet by packet: what libsrtp is compared with, and how test phones speak it."""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CM, GCM = "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"
KEY_BYTES = {CM: 30, GCM: 28}
TAG_BYTES = {CM: 10, GCM: 16}


class NotAuthentic(Exception):
    """A packet's tag is wrong."""


def key_stream(key: bytes, iv: bytes, count: int) -> bytes:
    """AES in counter mode over zeroes (RFC 3711 §4.1.1)."""
    return Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor().update(bytes(count))


def derive(key: bytes, salt: bytes, label: int, count: int) -> bytes:
    """A session key (RFC 3711 §4.3.1, RFC 7714 §11); the key derivation rate is 0."""
    mixed = int.from_bytes(salt.ljust(14, b"\0"), "big") ^ (label << 48)
    return key_stream(key, (mixed << 16).to_bytes(16, "big"), count)


@dataclass
class Stream:
    """One direction of a call. `rollover`: of the next packet; it goes on by itself when sequence numbers begin anew."""

    suite: str
    master: bytes
    mki: bytes = b""
    rollover: int = 0
    report_index: int = 0
    last: int = -1
    keys: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        key, salt = self.master[:16], self.master[16:]
        lengths = {0: 16, 1: 20, 2: len(salt), 3: 16, 4: 20, 5: len(salt)}
        self.keys = {label: derive(key, salt, label, count) for label, count in lengths.items()}

    # --------------------------------------------------------------------------------------------------------------- RTP
    def protect(self, packet: bytes) -> bytes:
        """An RTP packet as SRTP."""
        sequence = self._follow(packet)
        head = header_bytes(packet)
        if self.suite == GCM:
            sealed = AESGCM(self.keys[0]).encrypt(self._nonce(packet, sequence), packet[head:], packet[:head])
            return packet[:head] + sealed + self.mki
        payload = self._crypt(packet, sequence, packet[head:])
        return packet[:head] + payload + self.mki + self._tag(1, packet[:head] + payload + struct.pack(">I", self.rollover))

    def unprotect(self, packet: bytes) -> bytes:
        """The RTP packet in an SRTP packet. Raises NotAuthentic."""
        sequence = self._follow(packet)
        head = header_bytes(packet)
        if self.suite == GCM:
            sealed = packet[head : len(packet) - len(self.mki)]
            return packet[:head] + self._open(0, self._nonce(packet, sequence), sealed, packet[:head])
        tag, body = packet[-10:], packet[: -10 - len(self.mki)]
        if not hmac.compare_digest(tag, self._tag(1, body + struct.pack(">I", self.rollover))):
            raise NotAuthentic
        return body[:head] + self._crypt(packet, sequence, body[head:])

    # -------------------------------------------------------------------------------------------------------------- RTCP
    def protect_report(self, packet: bytes) -> bytes:
        """A compound RTCP packet as SRTCP."""
        self.report_index += 1
        trailer = struct.pack(">I", self.report_index | 1 << 31)
        if self.suite == GCM:
            sealed = AESGCM(self.keys[3]).encrypt(self._report_nonce(packet, self.report_index), packet[8:], packet[:8] + trailer)
            return packet[:8] + sealed + trailer + self.mki
        body = packet[:8] + self._crypt_report(packet, self.report_index, packet[8:]) + trailer
        return body + self.mki + self._tag(4, body)

    def unprotect_report(self, packet: bytes) -> bytes:
        """The RTCP packet in an SRTCP packet. Raises NotAuthentic."""
        if self.suite == GCM:
            whole = packet[: len(packet) - len(self.mki)]
            trailer, sealed = whole[-4:], whole[8:-4]
            index = struct.unpack(">I", trailer)[0] & 0x7FFFFFFF
            return packet[:8] + self._open(3, self._report_nonce(packet, index), sealed, packet[:8] + trailer)
        tag, body = packet[-10:], packet[: -10 - len(self.mki)]
        if not hmac.compare_digest(tag, self._tag(4, body)):
            raise NotAuthentic
        index = struct.unpack(">I", body[-4:])[0] & 0x7FFFFFFF
        return body[:8] + self._crypt_report(packet, index, body[8:-4])

    # ------------------------------------------------------------------------------------------------------------- inside
    def _follow(self, packet: bytes) -> int:
        sequence = struct.unpack(">H", packet[2:4])[0]
        if self.last - sequence > 32768:
            self.rollover += 1
        self.last = sequence
        return int(sequence)

    def _crypt(self, packet: bytes, sequence: int, payload: bytes) -> bytes:
        return self._crypt_at(0, packet[8:12], self.rollover << 16 | sequence, payload)

    def _crypt_report(self, packet: bytes, index: int, payload: bytes) -> bytes:
        return self._crypt_at(3, packet[4:8], index, payload)

    def _crypt_at(self, label: int, ssrc: bytes, index: int, payload: bytes) -> bytes:
        salt = int.from_bytes(self.keys[label + 2], "big") << 16
        iv = salt ^ int.from_bytes(ssrc, "big") << 64 ^ index << 16
        stream = key_stream(self.keys[label], iv.to_bytes(16, "big"), len(payload))
        return bytes(one ^ other for one, other in zip(payload, stream, strict=True))

    def _tag(self, label: int, data: bytes) -> bytes:
        return hmac.new(self.keys[label], data, hashlib.sha1).digest()[:10]

    def _nonce(self, packet: bytes, sequence: int) -> bytes:
        plain = b"\0\0" + packet[8:12] + struct.pack(">IH", self.rollover, sequence)
        return bytes(one ^ other for one, other in zip(plain, self.keys[2], strict=True))

    def _report_nonce(self, packet: bytes, index: int) -> bytes:
        plain = b"\0\0" + packet[4:8] + b"\0\0" + struct.pack(">I", index)
        return bytes(one ^ other for one, other in zip(plain, self.keys[5], strict=True))

    def _open(self, label: int, nonce: bytes, sealed: bytes, known: bytes) -> bytes:
        try:
            return AESGCM(self.keys[label]).decrypt(nonce, sealed, known)
        except InvalidTag:
            raise NotAuthentic from None


def header_bytes(packet: bytes) -> int:
    """How long an RTP packet's header is, with contributing sources and extension."""
    length = 12 + 4 * (packet[0] & 15)
    return length + 4 + 4 * struct.unpack(">H", packet[length + 2 : length + 4])[0] if packet[0] & 16 else length
