# SPDX-License-Identifier: GPL-2.0-or-later
"""What a call keeps beside its pjsua2 object, and pjsua2's parameter structures made from plain values."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pjsua2 as pj

from di.sip.records import ReplyReceived
from interfaces.sip.message import Message, parse, split_header
from interfaces.sip.native import Request, description_text

log = logging.getLogger(__name__)

Reply = tuple[int, str, tuple[tuple[str, str], ...], str, bytes]
"""Code, reason, headers, content type, body."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request inside a call whose reply the hub owes, by its CSeq in `SipCall.waiting`. `second`: when it came."""

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


def reply_record(call: int, token: int, code: int, reason: str, message: Message | None) -> ReplyReceived:
    """The final reply to a request of ours; without a message it never came."""
    if message is None:
        return ReplyReceived(call, token, code or 408, reason or "Request Timeout")
    return ReplyReceived(call, token, message.code, message.reason, message.headers, message.body)


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


def parameters(code: int = 0, reason: str = "", headers: tuple[str, ...] = ()) -> pj.CallOpParam:
    """What most operations of a call take: one audio stream, code, reason, further headers."""
    made = pj.CallOpParam(True)
    made.opt.audioCount = 1
    made.opt.videoCount = 0
    made.opt.textCount = 0
    made.statusCode = code
    made.reason = reason
    made.txOption.headers = header_vector(headers)
    return made


def header_vector(lines: tuple[str, ...]) -> pj.SipHeaderVector:
    """Header lines of the hub; one that is none is left out and told."""
    vector = pj.SipHeaderVector()
    for line in lines:
        pair = split_header(line)
        if pair is None:
            log.error("header line %.80r was left out: it must be 'Name: value' on one line", line)
            continue
        header = pj.SipHeader()
        header.hName, header.hValue = pair
        vector.append(header)
    return vector
