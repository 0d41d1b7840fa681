# SPDX-License-Identifier: GPL-2.0-or-later
"""Where pjsip keeps what we read of its structures, and the checks that it is so before anything is read through a pointer.

Offsets are those of pjproject 2.17 on 64-bit machines with the default PJSIP_MAX_PKT_LEN and PJ_MAX_OBJ_NAME; other versions and builds
may have the same. `native` tries them out at the start: on a request that we send to ourselves and on one that is made and thrown away.
Each check asks whether a pointer leads into memory that the structure itself owns, or whether what we put there stands there; what
might lead nowhere is read through `Memory`, which says so instead of ending the process.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from ctypes import c_char_p, c_int, c_long, c_void_p

from interfaces.sip.message import text_of, wire_bytes
from interfaces.sip.placeholders import Placeholders


class Text(ctypes.Structure):
    """pj_str_t. The bytes of one made here live as long as it and its copies do."""

    _fields_ = [("pointer", c_char_p), ("length", c_long)]

    @classmethod
    def of(cls, text: str) -> Text:
        """A text as UTF-8; undecodable bytes of messages come back as they were."""
        return cls.around(wire_bytes(text))

    @classmethod
    def around(cls, data: bytes) -> Text:
        """Bytes as they are."""
        return cls(data, len(data))

    def data(self) -> bytes:
        """What it points to, up to its length: pjsip ends its texts with no NUL."""
        address = c_void_p.from_address(ctypes.addressof(self)).value
        return ctypes.string_at(address, self.length) if address and self.length > 0 else b""

    def text(self) -> str:
        """What it points to, as text."""
        return text_of(self.data())


class Memory:
    """This process's memory, read by the kernel: an address that leads nowhere is an OSError."""

    def __init__(self) -> None:
        self._file = os.open("/proc/self/mem", os.O_RDONLY)

    def data(self, address: int, length: int) -> bytes:
        """So many bytes. Raises OSError."""
        if not 0 < address < 1 << 47:
            raise OSError(errno.EFAULT, "no address")
        found = os.pread(self._file, length, address)
        if len(found) != length:
            raise OSError(errno.EFAULT, "no such memory")
        return found

    def word(self, address: int) -> int:
        """A pointer. Raises OSError."""
        return int.from_bytes(self.data(address, 8), sys.byteorder)

    def number(self, address: int) -> int:
        """An int. Raises OSError."""
        return int.from_bytes(self.data(address, 4), sys.byteorder, signed=True)

    def close(self) -> None:
        """Done."""
        os.close(self._file)


class RxData:
    """pjsip_rx_data: a received message."""

    packet, source_name, source_port, text, length, message_at = 320, 4368, 4416, 4424, 4432, 4440
    packet_bytes = 4000
    source_name_bytes = 46

    def read(self, pointer: int) -> tuple[str, str, int] | None:
        """Text, source address and port; None when the structure is laid out differently."""
        text = c_void_p.from_address(pointer + self.text).value or 0
        length = c_int.from_address(pointer + self.length).value
        packet = pointer + self.packet
        end = packet + self.packet_bytes
        if not packet <= text < end or not 0 < length <= end - text:
            return None
        name = ctypes.string_at(pointer + self.source_name, self.source_name_bytes).split(b"\0", 1)[0].decode("ascii", "replace")
        port = c_int.from_address(pointer + self.source_port).value
        return text_of(ctypes.string_at(text, length)), name, port

    def holds(self, memory: Memory, pointer: int, text: bytes, source: tuple[str, int]) -> bool:
        """Whether the structure at `pointer`, which is that of a message sent to ourselves, says what we know of it."""
        try:
            length = memory.number(pointer + self.length)
            name = memory.data(pointer + self.source_name, self.source_name_bytes).split(b"\0", 1)[0].decode("ascii", "replace")
            port = memory.number(pointer + self.source_port)
            return (
                length == len(text) and memory.data(memory.word(pointer + self.text), length) == text
                and (name, port) == source and self.read(pointer) is not None
                and _is_request(memory, memory.word(pointer + self.message_at), text.split(b" ", 1)[0])
            )  # fmt: skip
        except OSError:
            return False

    def pool(self, pointer: int) -> int:
        """Its memory pool."""
        return c_void_p.from_address(pointer).value or 0

    def message(self, pointer: int) -> int:
        """The pjsip_msg that was read."""
        return c_void_p.from_address(pointer + self.message_at).value or 0

    def transport(self, pointer: int) -> int:
        """The transport that it came by."""
        return c_void_p.from_address(pointer + 8).value or 0


class MessageLayout:
    """pjsip_msg."""

    method, headers, body = 16, 40, 104
    value = 64  # of a pjsip_generic_string_hdr
    content = 80  # of a pjsip_msg_body
    is_request = 0

    def set_body(self, message: int, body: int) -> None:
        """Give a message of ours a pjsip_msg_body."""
        c_void_p.from_address(message + self.body).value = body


class TxData:
    """pjsip_tx_data: a message to be sent."""

    pool_at, message_at = 16, 392
    longest = 4000
    longest_placeholder = 64

    def __init__(self) -> None:
        self._memory: Memory | None = None

    def pool(self, pointer: int) -> int:
        """Its memory pool."""
        return c_void_p.from_address(pointer + self.pool_at).value or 0

    def message(self, pointer: int, method: str) -> int | None:
        """Its request, which must be of that method and have a list of headers; None when the structure is laid out differently."""
        try:
            self._memory = self._memory or Memory()
            return self._found(self._memory, pointer, method.encode())
        except OSError:
            return None

    def _found(self, memory: Memory, pointer: int, method: bytes) -> int | None:
        message = memory.word(pointer + self.message_at)
        if not _is_request(memory, message, method):
            return None
        head = message + MESSAGE.headers
        previous, following = memory.word(head), memory.word(head + 8)
        return message if memory.word(following) == head and memory.word(previous + 8) == head else None

    def put_back(self, library: ctypes.CDLL, pointer: int, placeholders: Placeholders) -> None:
        """Write the bytes that pjsua2 did not take into a message that leaves. Raises OSError."""
        self._memory = memory = self._memory or Memory()
        message = memory.word(pointer + self.message_at)
        pool = self.pool(pointer)
        for name, placeholder, data in placeholders.headers():
            wanted = Text.of(name)
            header = library.pjsip_msg_find_hdr_by_name(message, ctypes.byref(wanted), None)
            while header:
                place = header + MESSAGE.value
                length = memory.word(place + 8)
                if length == len(placeholder) and memory.data(memory.word(place), length) == placeholder:
                    _put(library, pool, place, data)
                header = library.pjsip_msg_find_hdr_by_name(message, ctypes.byref(wanted), memory.word(header + 8))
        body = memory.word(message + MESSAGE.body)
        if body:
            place = body + MESSAGE.content
            length = memory.number(place + 8)
            held = memory.data(memory.word(place), length) if 0 < length < self.longest_placeholder else b""
            found = placeholders.of_body(held)
            if found is not None:
                _put(library, pool, place, found)

    def prints(self, library: ctypes.CDLL, pointer: int, *wanted: bytes) -> bool:
        """Whether pjsip makes a text of its message that has each of these parts."""
        room = ctypes.create_string_buffer(self.longest)
        length = library.pjsip_msg_print(c_void_p.from_address(pointer + self.message_at).value, room, self.longest)
        return all(part in room.raw[: max(length, 0)] for part in wanted)


def _put(library: ctypes.CDLL, pool: int, place: int, data: bytes) -> None:
    """Let a pointer and the length behind it say these bytes, copied into a pool."""
    copy = library.pj_pool_alloc(pool, len(data) + 1)
    ctypes.memmove(copy, data + b"\0", len(data) + 1)
    c_void_p.from_address(place).value = copy
    c_int.from_address(place + 8).value = len(data)


def _is_request(memory: Memory, message: int, method: bytes) -> bool:
    """Whether a pjsip_msg is a request of that method. Raises OSError."""
    name, length = memory.word(message + MESSAGE.method), memory.word(message + MESSAGE.method + 8)
    return memory.number(message) == MESSAGE.is_request and length == len(method) and memory.data(name, length) == method


class EventLayout:
    """pjsip_event of the kind "transaction state": what caused it, and the message or error."""

    kind_at, source_at, cause_at = 16, 24, 44
    timer, received, transport_failed, state_changed = 1, 3, 4, 5

    def read(self, pointer: int) -> tuple[int, int]:
        """Cause and source. A pointer to something else counts as a timer."""
        if not pointer or c_int.from_address(pointer + self.kind_at).value != self.state_changed:
            return self.timer, 0
        cause = c_int.from_address(pointer + self.cause_at).value
        return cause, c_void_p.from_address(pointer + self.source_at).value or 0


RX_DATA, TX_DATA, MESSAGE, EVENT = RxData(), TxData(), MessageLayout(), EventLayout()
