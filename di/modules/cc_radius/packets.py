# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests as packets, and what answers mean. Pure; packets by pyrad, whose untyped objects do not leave this file."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyrad import packet as rad

from di.modules.cc_radius.dictionary import CREDIT_TIME, DICTIONARY

START, STOP, INTERIM = 1, 2, 3
"""Acct-Status-Type (RFC 2866 §5.1)."""
_LONGEST_VALUE_BYTES = 253
_CREDIT = re.compile(r"(?:h323-credit-time=)?(\d{1,9})$")


class BadPacket(Exception):
    """Bytes that are no packet of RADIUS, or not from whom they should be."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a request says. `texts`, `numbers`: by name; `classes`: given back as they came (RFC 2865 §5.25)."""

    texts: Mapping[str, str]
    numbers: Mapping[str, int]
    classes: Sequence[bytes] = ()
    state: bytes = b""


@dataclass(frozen=True, slots=True)
class RadiusRequest:
    """A request as sent. `data`: its bytes."""

    data: bytes
    _packet: Any


@dataclass(frozen=True, slots=True)
class RadiusReply:
    """What a server said. `accepted`: Access-Accept, Accounting-Response; `session_s`: None for no limit."""

    accepted: bool
    challenge: bool = False
    session_s: int | None = None
    ask_again: bool = False
    """At the end of that the server wants to be asked anew (Termination-Action, RFC 2865 §5.29)."""
    interim_s: int = 0
    classes: tuple[bytes, ...] = ()
    state: bytes = b""
    message: str = ""


def _fill(packet: Any, attributes: Attributes) -> None:
    for name, text in attributes.texts.items():
        if text:
            packet.AddAttribute(name, _cut(text))
    for name, number in attributes.numbers.items():
        packet.AddAttribute(name, min(max(0, number), (1 << 32) - 1))
    for one in attributes.classes:
        packet.AddAttribute("Class", one)
    if attributes.state:
        packet.AddAttribute("State", attributes.state)


def _cut(text: str) -> str:
    return text.encode("utf-8", "replace")[:_LONGEST_VALUE_BYTES].decode("utf-8", "ignore")


def access_request(id: int, secret: bytes, attributes: Attributes, password: str) -> RadiusRequest:
    """Access-Request, with Message-Authenticator as its first attribute."""
    packet = rad.AuthPacket(id=id, secret=secret, dict=DICTIONARY)
    packet.add_message_authenticator()
    _fill(packet, attributes)
    packet["User-Password"] = packet.PwCrypt(password)
    return RadiusRequest(packet.RequestPacket(), packet)


def accounting_request(id: int, secret: bytes, attributes: Attributes) -> RadiusRequest:
    """Accounting-Request."""
    packet = rad.AcctPacket(id=id, secret=secret, dict=DICTIONARY)
    _fill(packet, attributes)
    return RadiusRequest(packet.RequestPacket(), packet)


def read_reply(request: RadiusRequest, data: bytes, require_authenticator: bool) -> RadiusReply:
    """Read the answer to a request. Raises BadPacket, also for what was not made with the secret."""
    sent = request._packet
    try:
        reply = sent.CreateReply(packet=data)
        if not sent.VerifyReply(reply, data, enforce_ma=require_authenticator):
            raise BadPacket("it is not signed with the shared secret, or has no Message-Authenticator")
    except (rad.PacketError, ValueError, IndexError, KeyError, TypeError, struct.error) as error:
        raise BadPacket(f"it cannot be read: {error}") from error
    if reply.code not in (rad.AccessAccept, rad.AccessReject, rad.AccessChallenge, rad.AccountingResponse):
        raise BadPacket(f"it has the code {reply.code}")
    if (reply.code == rad.AccountingResponse) != (sent.code == rad.AccountingRequest):
        raise BadPacket(f"code {reply.code} answers code {sent.code}")
    return RadiusReply(
        accepted=reply.code in (rad.AccessAccept, rad.AccountingResponse),
        challenge=reply.code == rad.AccessChallenge,
        session_s=_session_s(reply),
        ask_again=_number(reply, 29) == 1,
        interim_s=_number(reply, 85) or 0,
        classes=tuple(_raw(reply, 25)),
        state=(_raw(reply, 24) or [b""])[0],
        message=" ".join(_text(value) for value in _raw(reply, 18))[:200],
    )


def _session_s(reply: Any) -> int | None:
    """Session-Timeout or h323-credit-time, whichever is shorter."""
    found = [] if (timeout := _number(reply, 27)) is None else [timeout]
    for value in _raw(reply, CREDIT_TIME):
        if match := _CREDIT.match(_text(value)):
            found.append(int(match[1]))
    return min(found, default=None)


def _raw(packet: Any, key: int | tuple[int, int]) -> list[bytes]:
    values: list[bytes] = dict.get(packet, key, [])
    return [value for value in values if isinstance(value, bytes)]


def _number(packet: Any, key: int) -> int | None:
    values = _raw(packet, key)
    return int.from_bytes(values[0], "big") if values and len(values[0]) == 4 else None


def _text(value: bytes) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in value.decode("utf-8", "replace")).strip()


# ------------------------------------------------------------------------------------------------- what servers ask us (RFC 5176)
@dataclass(frozen=True, slots=True)
class DynamicRequest:
    """Disconnect-Request or CoA-Request. `session_s`: the Session-Timeout that it sets; `event_s`: its Event-Timestamp, 0 without one."""

    disconnect: bool
    session_id: str
    user: str
    nas_identifier: str
    session_s: int | None
    event_s: int
    others: tuple[int, ...]
    """Numbers of further attributes that ask for something."""
    _packet: Any


_IDENTIFYING = frozenset((1, 4, 5, 8, 25, 30, 31, 32, 33, 44, 50, 55, 61, 80))
"""Attributes that say which session is meant, or protect the packet: they ask for nothing."""


def read_dynamic(data: bytes, secret: bytes) -> DynamicRequest:
    """Read a request of a server. Raises BadPacket."""
    try:
        packet = rad.CoAPacket(secret=secret, dict=DICTIONARY, packet=data)
        if packet.code not in (rad.DisconnectRequest, rad.CoARequest):
            raise BadPacket(f"code {packet.code}, neither Disconnect-Request nor CoA-Request")
        if not packet.VerifyCoARequest() or (packet.message_authenticator and not packet.verify_message_authenticator()):
            raise BadPacket("it is not signed with the shared secret")
    except (rad.PacketError, ValueError, IndexError, KeyError, TypeError, struct.error) as error:
        raise BadPacket(f"it cannot be read: {error}") from error
    texts = {key: _text((_raw(packet, key) or [b""])[0]) for key in (1, 32, 44)}
    numbers = [key if isinstance(key, int) else 26 for key in dict.keys(packet)]
    return DynamicRequest(
        disconnect=packet.code == rad.DisconnectRequest,
        session_id=texts[44],
        user=texts[1],
        nas_identifier=texts[32],
        session_s=_number(packet, 27),
        event_s=_number(packet, 55) or 0,
        others=tuple(sorted(set(numbers) - _IDENTIFYING - {27})),
        _packet=packet,
    )


def dynamic_reply(request: DynamicRequest, error_cause: int = 0) -> bytes:
    """ACK, or NAK with an Error-Cause (RFC 5176 §3.5)."""
    reply = request._packet.CreateReply()
    if error_cause:
        reply.code = rad.DisconnectNAK if request.disconnect else rad.CoANAK
        reply.AddAttribute("Error-Cause", error_cause)
    reply.add_message_authenticator()
    data: bytes = reply.ReplyPacket()
    return data
