# SPDX-License-Identifier: GPL-2.0-or-later
"""What a call keeps beside its pjsua2 object, and pjsua2's parameter structures made from plain values."""

from __future__ import annotations

from dataclasses import dataclass

import pjsua2 as pj

from interfaces.sip import mapping
from interfaces.sip.message import Message, header_pairs, parse, wire_bytes
from interfaces.sip.native import description_text
from interfaces.sip.placeholders import Placeholders
from interfaces.sip.received import Request

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
        self.answered: dict[str, int] = {}


def received(event: pj.SipEvent) -> Message | None:
    """The message that an event is about, if it is about one that came in."""
    if event.type == pj.PJSIP_EVENT_RX_MSG:
        text = event.body.rxMsg.rdata.wholeMsg
    elif event.type == pj.PJSIP_EVENT_TSX_STATE and event.body.tsxState.type == pj.PJSIP_EVENT_RX_MSG:
        text = event.body.tsxState.src.rdata.wholeMsg
    else:
        return None
    return parse(text) if text else None


def description(session: pj.SdpSession) -> str:
    """The text of a session description that pjsip has made or received, however long."""
    return description_text(int(session.pjSdpSession or 0), session.wholeSdp)


def final(code: int) -> int:
    """A final reply's code; what is none becomes 500."""
    return code if 200 <= code < 700 else 500


def reason_of(error: Exception) -> str:
    """What pjsip or Python says of a failure, on one line."""
    return " ".join(str(getattr(error, "reason", "") or error).split())


def stream_of(call: pj.Call) -> mapping.Stream | None:
    """The call's audio stream; None while there is none."""
    info = call.getInfo()  # a name of its own: pjsua2's items point into it
    for media in info.media:
        if media.type != pj.PJMEDIA_TYPE_AUDIO or media.status == pj.PJSUA_CALL_MEDIA_NONE:
            continue
        try:
            stream = call.getStreamInfo(media.index)
        except pj.Error:
            return None
        codec = stream.audCodecParam
        return mapping.Stream(
            index=media.index,
            codec=stream.codecName,
            clock_hz=stream.codecClockRate,
            channels=codec.info.channelCnt,
            payload_type_send=stream.txPt,
            payload_type_receive=stream.rxPt,
            dtmf_send=stream.audTxEventPt,
            dtmf_receive=stream.audRxEventPt,
            direction=stream.dir,
            frame_ms=codec.info.frameLen,
            frames_per_packet=codec.setting.frmPerPkt,
            remote_address=stream.remoteRtpAddress,
            fmtp=";".join(f"{one.name}={one.val}" if one.name else one.val for one in codec.setting.encFmtp),
        )
    return None


def plain(text: str) -> str:
    """A text as pjsua2 takes it: what is no character becomes U+FFFD."""
    return wire_bytes(text).decode("utf-8", "replace")


def parameters(placeholders: Placeholders, code: int = 0, reason: str = "", headers: tuple[str, ...] = ()) -> pj.CallOpParam:
    """What most operations of a call take: one audio stream, code, reason, further headers."""
    made = pj.CallOpParam(True)
    made.opt.audioCount = 1
    made.opt.videoCount = 0
    made.opt.textCount = 0
    made.statusCode = code
    made.reason = plain(reason)
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
