# SPDX-License-Identifier: GPL-2.0-or-later
"""What a call keeps beside its pjsua2 object, and pjsua2's parameter structures made from plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pjsua2 as pj

from di.sip.headers import header_problem
from interfaces.sip import mapping
from interfaces.sip.message import header_pairs, one_line, text_of, wire_bytes
from interfaces.sip.native import description_text
from interfaces.sip.placeholders import Placeholders
from interfaces.sip.received import Request
from interfaces.sip.shim import ffi, lib

Reply = tuple[int, str, tuple[tuple[str, str], ...], str, bytes]
"""Code, reason, headers, content type, body."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request inside a call whose reply the hub owes, by its top Via and CSeq in `SipCall.waiting`. `second`: when it came."""

    token: int
    request: Request
    second: int


class Credentials:
    """What a dialled call may answer a challenge with. Never printed."""

    __slots__ = ("answered", "hosts", "password", "realm", "username")

    def __init__(self, realm: str, username: str, password: str, hosts: set[str]) -> None:
        self.realm, self.username, self.password = realm, username, password
        self.hosts = hosts
        self.answered: dict[int, dict[str, int]] = {}
        """CSeq of a request that carries an answer → how many it had so far, and who asked: header and realm."""


def description(session: pj.SdpSession) -> str:
    """The text of a session description that pjsip has made or received, however long."""
    return description_text(int(session.pjSdpSession or 0), session.wholeSdp)


def final(code: int) -> int:
    """A final reply's code; what is none becomes 500."""
    return code if 200 <= code < 700 else 500


def reason_of(error: Exception) -> str:
    """What pjsip or Python says of a failure, on one line."""
    return " ".join(str(getattr(error, "reason", "") or error).split())


def state_of(call: pj.Call) -> tuple[int, int, str]:
    """A call's pjsip_inv_state (-1: none), the last code and its reason; far less work than getInfo."""
    code, length, reason = ffi.new("int *"), ffi.new("int *"), ffi.new("const char **")
    state = int(lib.shim_call_state(call.getId(), code, reason, length))
    return state, int(code[0]), text_of(ffi.buffer(reason[0], length[0])[:]) if length[0] > 0 else ""


def stream_of(found: Any) -> mapping.Stream:
    """An audio stream as the shim tells of it."""
    codec, remote, fmtp = (text_of(ffi.string(text)) for text in (found.codec, found.remote, found.fmtp))
    return mapping.Stream(
        index=found.index,
        codec=codec,
        clock_hz=found.clock_hz,
        channels=found.channels,
        payload_type_send=found.send,
        payload_type_receive=found.receive,
        dtmf_send=found.event_send,
        dtmf_receive=found.event_receive,
        direction=found.direction,
        frame_ms=found.frame_ms,
        frames_per_packet=found.frames,
        remote_address=remote,
        fmtp=fmtp,
    )


_MOST_REMEMBERED = 1000
"""Characters of header lines."""
CLines = tuple[Any, int, Sequence[Any]]
"""What the shim takes as `headers`, how many pairs those are, and what they point to, which has to live as long."""


def c_lines(lines: tuple[str, ...], contact: bool = False) -> CLines:
    """Header lines of the hub that may be sent (see `header_pairs`)."""
    try:
        return _faultless(lines, contact)
    except _Faulty:
        return _in_c(lines, contact)


class _Faulty(Exception):
    """There are lines that the log must name each time, or they are too long to be remembered."""


@lru_cache(64)  # most answers of an application have the same
def _faultless(lines: tuple[str, ...], contact: bool) -> CLines:
    if sum(map(len, lines)) > _MOST_REMEMBERED or any(header_problem(line.rstrip("\r\n"), contact) for line in lines):
        raise _Faulty
    return _in_c(lines, contact)


def _in_c(lines: tuple[str, ...], contact: bool) -> CLines:
    pairs = header_pairs(lines, contact)
    texts = [ffi.new("char[]", wire_bytes(text)) for pair in pairs for text in pair]
    return ffi.new("const char *[]", texts) if texts else ffi.NULL, len(pairs), texts


def plain(text: str) -> str:
    """A text of one line as pjsua2 takes it: what is no character becomes U+FFFD."""
    text = one_line(text)
    if text.isascii():
        return text
    return wire_bytes(text).decode("utf-8", "replace")


def parameters(placeholders: Placeholders, code: int = 0, reason: str = "", headers: tuple[str, ...] = ()) -> pj.CallOpParam:
    """What most operations of a call take: one audio stream, code, reason, further headers."""
    made = pj.CallOpParam(True)
    streams = made.opt
    streams.audioCount = 1
    streams.videoCount = 0
    streams.textCount = 0
    made.statusCode = code
    if reason:
        made.reason = plain(reason)
    if headers:
        made.txOption.headers = header_vector(headers, placeholders, contact=300 <= code < 400)
    return made


def header_vector(lines: tuple[str, ...], placeholders: Placeholders, contact: bool = False) -> pj.SipHeaderVector:
    """Header lines of the hub that may be sent."""
    vector = pj.SipHeaderVector()
    for name, value in header_pairs(lines, contact):
        header = pj.SipHeader()
        header.hName, header.hValue = name, placeholders.header(name, value)
        vector.append(header)
    return vector
