# SPDX-License-Identifier: GPL-2.0-or-later
"""What pjsip tells of calls, brought to their objects by the shim (`shim/told.c`), not by pjsua2, which would copy each message several times.

A call is named by the address of its object in C++. Everything here runs inside pjsip: nothing may raise, and no object may be dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from interfaces.sip.message import Message, in_characters, text_of
from interfaces.sip.message_log import SipPacket
from interfaces.sip.received import arrived, message_of
from interfaces.sip.shim import ffi, lib
from interfaces.sip.structures import stream_of

if TYPE_CHECKING:
    from interfaces.sip.call import SipCall

log = logging.getLogger(__name__)


class ToldCalls:
    """`on_invite(slot, message, packet, received)` makes the object of a call that comes in: what came, as values and as bytes with its way, and
    pjsip's own record of it, valid until that has returned.
    """

    def __init__(self, on_invite: Callable[[int, Message, SipPacket, Any], None]) -> None:
        self._on_invite = on_invite
        self._calls: dict[int, SipCall] = {}

    def start(self) -> None:
        """The shim runs: from now on it tells us instead of pjsua2."""
        ffi.def_extern(name="shim_on_invite")(self._invite)
        ffi.def_extern(name="shim_on_call_state")(self._state)
        ffi.def_extern(name="shim_on_replied")(self._replied)
        ffi.def_extern(name="shim_on_media")(self._media)
        ffi.def_extern(name="shim_on_description")(self._description)
        lib.shim_take_callbacks()

    def add(self, call: SipCall) -> None:
        """Its object has just been made."""
        self._calls[int(call.this)] = call

    def forget(self, call: SipCall) -> None:
        """Its object is about to be deleted."""
        self._calls.pop(int(call.this), None)

    def _invite(self, slot: int, received: Any) -> None:
        try:
            packet = arrived(received)
            self._on_invite(slot, message_of(received), packet, received)
        except Exception:
            log.exception("taking a call in failed")

    def _state(self, key: int, state: int, code: int, reason: Any, length: int, received: Any) -> None:
        call = self._calls.get(key)
        if call is None:
            return
        try:
            call.state_changed(state, code, text_of(ffi.unpack(reason, length)) if length > 0 else "", received or None)
        except Exception:
            log.exception("call %d: a change of its state failed", call.number)

    def _replied(self, key: int, code: int, text: Any, length: int) -> None:
        call = self._calls.get(key)
        if call is None:
            return
        try:
            call.replied(code, text_of(ffi.unpack(text, length)) if length > 0 else "")
        except Exception:
            log.exception("call %d: looking at a reply of ours failed", call.number)

    def _media(self, key: int, stream: Any) -> None:
        call = self._calls.get(key)
        if call is None:
            return
        try:
            call.media_changed(stream_of(stream) if stream else None)
        except Exception:
            log.exception("call %d: looking at its audio failed", call.number)

    def _description(self, key: int, text: Any, length: int) -> None:
        call = self._calls.get(key)
        if call is None:
            return
        # of a stream that it refuses pjsip repeats what the peer wrote, whatever bytes that were
        said = in_characters(call.described(text_of(ffi.unpack(text, length)))).encode()  # raises nothing
        lib.shim_say(said, len(said))
