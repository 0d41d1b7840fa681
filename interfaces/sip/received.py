# SPDX-License-Identifier: GPL-2.0-or-later
"""A request that our module looks at before pjsip's dialogs do, and the answers that it may get without a transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from interfaces.sip.message import Message, one_line, parse, text_of, wire_bytes
from interfaces.sip.message_log import SipPacket
from interfaces.sip.shim import ffi, lib

log = logging.getLogger(__name__)

_CONTACT_BYTES = 4096
_WITH_CONTACT = ("REFER ", "SUBSCRIBE ", "NOTIFY ")
"""Requests in whose 2xx our address is asked for."""


_LINES_BYTES = 16_384
"""Messages of more are seldom."""
_FOUND, _ROOM, _HEAD, _LINES = ffi.new("shim_message *"), ffi.new("char[]", 64), ffi.new("int *"), ffi.new("char[]", _LINES_BYTES)
"""For one look at a time: pjsip runs in one thread."""


class _Current:
    """The message that pjsip works on, once it has been taken apart: the request, its call's new state and its end look at the same one."""

    arrival = -1
    message: Message


_current = _Current()


def looked_at(received: Any) -> tuple[str, str, int]:
    """Text, source address and port of a message that came."""
    found = _FOUND
    lib.shim_look(received, found)
    return text_of(ffi.unpack(found.text, found.length)), ffi.string(found.source).decode("ascii", "replace"), int(found.port)


def message_of(received: Any) -> Message:
    """A message that came, taken apart; the same object each time while pjsip works on it."""
    found = _FOUND
    lib.shim_look(received, found)
    return _message(found)


def _message(found: Any) -> Message:
    """Of what `shim_look` has found."""
    if (arrival := found.arrival) != _current.arrival:
        _current.arrival, _current.message = arrival, taken_apart(found.text, found.length)
    return _current.message


def taken_apart(text: Any, length: int) -> Message:
    """As `parse`, of so many bytes at a `char *`; the shim does it where that is simple."""
    used = lib.shim_lines(text, length, _LINES, _LINES_BYTES, _HEAD)
    if used < 0:
        return parse(text_of(ffi.unpack(text, length)))
    first, *lines = text_of(ffi.unpack(_LINES, used - 1)).split("\0")
    head = _HEAD[0]
    body = ffi.unpack(text + head, length - head) if length > head else b""
    return Message(first, tuple(zip(lines[::2], lines[1::2], strict=True)), body)


def arrived(received: Any) -> SipPacket:
    """A message that came, with its way."""
    found = _FOUND
    lib.shim_look(received, found)
    port = int(lib.shim_arrived_at(received, _ROOM, len(_ROOM)))
    ours, theirs = ffi.string(_ROOM).decode("ascii", "replace"), ffi.string(found.source).decode("ascii", "replace")
    return SipPacket(ffi.unpack(found.text, found.length), theirs, int(found.port), ours, port, bool(found.reliable))


class Request:
    """Valid only inside the callback, unless `keep` has been called. `account_of(received)` gives the pjsua account of one that came."""

    __slots__ = ("_account_of", "_contact", "_received", "_reply", "message", "source_ip", "source_port")

    def __init__(self, received: Any, account_of: Callable[[Any], int]) -> None:
        self._received, self._account_of = received, account_of
        self._reply: Any = None
        self._contact: str | None = None
        found = _FOUND
        lib.shim_look(received, found)
        self.source_ip, self.source_port = ffi.string(found.source).decode("ascii", "replace"), found.port
        self.message = _message(found)

    def keep(self) -> bool:
        """Keep what a reply needs, which can then be sent later. False when pjsip has no memory for it."""
        if self.message.start_line.startswith(_WITH_CONTACT):
            self._contact = self.contact()
        self._reply = lib.shim_reply_to(self._received, 1) or None
        return self._reply is not None

    def reply(
        self,
        code: int,
        reason: str = "",
        headers: Iterable[tuple[str, str]] = (),
        content_type: str = "",
        body: bytes = b"",
        to_tag: str = "",
    ) -> bool:
        """Answer without a transaction, once; a retransmitted request comes again and wants the same reply. False when it did not leave.

        `to_tag`: instead of pjsip's own.
        """
        reply = self._reply or lib.shim_reply_to(self._received, 0)
        self._reply = None
        if not reply:
            return False
        if to_tag:
            lib.shim_reply_tag(reply, wire_bytes(to_tag))
        for name, value in headers:
            lib.shim_reply_header(reply, wire_bytes(name), wire_bytes(value))
        if body:
            kind, _, subkind = one_line(content_type).partition("/")
            lib.shim_reply_body(reply, wire_bytes(kind.strip()), wire_bytes(subkind.strip()), body, len(body))
        status = int(lib.shim_reply_send(reply, code, wire_bytes(one_line(reason))))
        if status != 0:
            where = f"{self.source_ip}:{self.source_port}"
            log.warning(
                "the reply %d to %s could not be sent (status %d); 500 without header and body instead", code, where, status
            )
        return status == 0

    def contact(self) -> str:
        """Our address for who sent it; empty when pjsip knows none."""
        if self._contact is None:
            room = ffi.new("char[]", _CONTACT_BYTES)
            length = int(lib.shim_contact_for(self._received, self._account_of(self._received), room, _CONTACT_BYTES))
            self._contact = text_of(ffi.buffer(room, length)[:]) if length > 0 else ""
        return self._contact

    def hide(self, name: str) -> None:
        """Take every header of a name out of what pjsip has read; `message` and what pjsua2 shows of the request keep it."""
        lib.shim_hide(self._received, wire_bytes(name))

    def release(self) -> None:
        """No reply will be sent, or it has been."""
        if self._reply is not None:
            lib.shim_reply_drop(self._reply)
            self._reply = None
