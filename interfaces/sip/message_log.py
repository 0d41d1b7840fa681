# SPDX-License-Identifier: GPL-2.0-or-later
"""Which messages on the wire belong to calls that are watched (`di.sip.records.LogMessages`). Pure: time comes in.

A call is known by its Call-ID, and watched for a while after its end: the last replies and what is sent again belong to it.
"""

from __future__ import annotations

import re

from di.sip.records import MessageSeen
from interfaces.sip.sdp.crypto import without_keys
from media.control.quick_records import record

_CALL_ID = re.compile(rb"^(?:call-id|i)[ \t]*:[ \t]*([^\s]+)", re.IGNORECASE | re.MULTILINE)
_VIA = re.compile(rb"^(?:via|v)[ \t]*:[ \t]*SIP[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*([A-Za-z]{2,5})\b", re.IGNORECASE | re.MULTILINE)
_AFTER_NS = 34_000_000_000
"""64·T1 and what the last message takes: then every transaction is over (RFC 3261 §17)."""


@record(frozen=True, slots=True)
class SipPacket:
    """A message and its way. `connected`: by TCP or TLS."""

    data: bytes
    source_ip: str
    source_port: int
    target_ip: str
    target_port: int
    connected: bool

    @property
    def transport(self) -> str:
        """How it came, as its first Via says: `udp`, `tcp`, `tls`."""
        found = _VIA.search(self.data)
        return found[1].decode().lower() if found is not None else "tcp" if self.connected else "udp"


class MessageLog:
    """The calls that are watched, by Call-ID."""

    def __init__(self) -> None:
        self._calls: dict[bytes, int] = {}
        self._gone: dict[bytes, int] = {}
        self._next: int | None = None

    def __len__(self) -> int:
        return len(self._calls)

    def watch(self, call: int, call_id: str) -> None:
        """Watch a call from now on."""
        key = call_id.encode("utf-8", "surrogateescape")
        self._calls[key] = call
        self._gone.pop(key, None)

    def begin(self, call: int | None) -> None:
        """The next INVITE that is of no call that is watched is of this one; None: it is not."""
        self._next = call

    def ended(self, call: int, call_id: str, now_ns: int) -> None:
        """It is over."""
        key = call_id.encode("utf-8", "surrogateescape")
        if self._calls.get(key) == call:
            self._gone[key] = now_ns + _AFTER_NS

    def second_passed(self, now_ns: int) -> None:
        """Give up those that ended a while ago."""
        for key, at_ns in list(self._gone.items()):
            if now_ns >= at_ns:
                del self._gone[key]
                self._calls.pop(key, None)

    def seen(self, packet: SipPacket, epoch_us: int) -> MessageSeen | None:
        """What is to be told of a message; None when it is of no call that is watched."""
        found = _CALL_ID.search(packet.data)
        call = self._calls.get(found[1]) if found is not None else None
        if call is None and found is not None and self._next is not None and packet.data.startswith(b"INVITE "):
            call, self._next = self._next, None
            self._calls[found[1]] = call
        return told(call, packet, epoch_us) if call is not None else None


def told(call: int, packet: SipPacket, epoch_us: int) -> MessageSeen:
    """A message as a record, without keys of SRTP."""
    data = without_keys(packet.data)
    return MessageSeen(
        call, epoch_us, packet.source_ip, packet.source_port, packet.target_ip, packet.target_port, packet.connected, data
    )
