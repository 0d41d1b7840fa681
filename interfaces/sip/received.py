# SPDX-License-Identifier: GPL-2.0-or-later
"""A request that our module looks at before pjsip's dialogs do, and the answers that it may get without a transaction."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from ctypes import POINTER, byref, c_int, c_void_p

from interfaces.sip.exchange import body_of
from interfaces.sip.layout import RX_DATA, Text


class _Header(ctypes.Structure):
    """Head of a list of pjsip_hdr: only its links are used."""

    _fields_ = [("previous", c_void_p), ("next", c_void_p), ("rest", c_void_p * 6)]


class Stack:
    """What a request needs of pjsip. `account_of(rx_data)` gives the pjsua account of one that came."""

    def __init__(self, library: ctypes.CDLL, account_of: Callable[[int], int]) -> None:
        self.library, self.account_of = library, account_of
        self.endpoint = 0
        library.pjsip_rx_data_clone.argtypes = [c_void_p, ctypes.c_uint, POINTER(c_void_p)]
        library.pjsip_rx_data_free_cloned.argtypes = [c_void_p]
        library.pjsip_endpt_respond_stateless.argtypes = [c_void_p, c_void_p, c_int, POINTER(Text), c_void_p, c_void_p]
        library.pjsip_generic_string_hdr_create.argtypes = [c_void_p, POINTER(Text), POINTER(Text)]
        library.pjsip_generic_string_hdr_create.restype = c_void_p
        library.pj_list_insert_before.argtypes = [c_void_p, c_void_p]
        library.pj_list_erase.argtypes = [c_void_p]
        library.pjsua_acc_create_uas_contact.argtypes = [c_void_p, POINTER(Text), c_int, c_void_p]


class Request:
    """Valid only inside the callback, unless `keep` has been called."""

    __slots__ = ("_kept", "_pointer", "_stack", "source_ip", "source_port", "text")

    def __init__(self, stack: Stack, pointer: int, text: str, source_ip: str, source_port: int) -> None:
        self._stack = stack
        self._pointer = pointer
        self._kept = False
        self.text = text
        self.source_ip = source_ip
        self.source_port = source_port

    def keep(self) -> bool:
        """Copy what pjsip holds so that a reply can be sent later. False when pjsip has no memory for it."""
        copy = c_void_p()
        if self._stack.library.pjsip_rx_data_clone(self._pointer, 0, byref(copy)) != 0 or not copy.value:
            return False
        self._pointer, self._kept = copy.value, True
        return True

    def reply(
        self, code: int, reason: str = "", headers: Iterable[tuple[str, str]] = (), content_type: str = "", body: bytes = b""
    ) -> bool:
        """Answer without a transaction; a retransmitted request comes again and wants the same reply. False when it did not leave."""
        library, pool = self._stack.library, RX_DATA.pool(self._pointer)
        head = _Header()
        address = ctypes.addressof(head)
        head.previous = head.next = address
        for name, value in headers:
            name_text, value_text = Text.of(name), Text.of(value)
            header = library.pjsip_generic_string_hdr_create(pool, byref(name_text), byref(value_text))
            library.pj_list_insert_before(address, header)
        content = body_of(library, pool, content_type, body) if body else None
        text = byref(Text.of(reason)) if reason else None
        status = library.pjsip_endpt_respond_stateless(self._stack.endpoint, self._pointer, code, text, address, content)
        return int(status) == 0

    def contact(self) -> str:
        """Our address for who sent it; empty when pjsip knows none."""
        contact, account = Text(), self._stack.account_of(self._pointer)
        pool = RX_DATA.pool(self._pointer)
        status = self._stack.library.pjsua_acc_create_uas_contact(pool, byref(contact), account, self._pointer)
        return contact.text() if status == 0 else ""

    def hide(self, name: str) -> None:
        """Take every header of a name out of what pjsip has read; `text` and what pjsua2 shows of the request keep it."""
        wanted = Text.of(name)
        library, message = self._stack.library, RX_DATA.message(self._pointer)
        while header := library.pjsip_msg_find_hdr_by_name(message, byref(wanted), None):
            library.pj_list_erase(header)

    def release(self) -> None:
        """Give the copy back."""
        if self._kept:
            self._stack.library.pjsip_rx_data_free_cloned(self._pointer)
            self._kept, self._pointer = False, 0
