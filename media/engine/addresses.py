# SPDX-License-Identifier: GPL-2.0-or-later
"""Who sends to which port: a hash table from (local socket, remote address) to a leg's row, in an array that kernels can read.

An address is a 28-byte ``struct sockaddr`` (the IPv4 form fills 16). IPv4 addresses are kept as ::ffff:a.b.c.d, so that one table
serves both families. Open addressing with linear probing; removed entries stay as tombstones until the next growth.
"""

from __future__ import annotations

import ipaddress
import struct
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.dsp.kernel import inline_kernel, kernel, steady_kernel

NAME_BYTES = 28
FAMILY_IPV4 = 2
FAMILY_IPV6 = 10

EMPTY = -1
REMOVED = -2
RESTING = -3
"""Row values that name no leg. RESTING: a leg was here lately; its peer may still be sending, which must reach nobody else."""

ENTRY = np.dtype([("high", "u8"), ("low", "u8"), ("tail", "u8"), ("row", "i4"), ("expires_ns", "i8")], align=True)

Name = NDArray[np.uint8]


_LONGEST_ADDRESS = 64
"""RFC 4291 §2.2: 45 characters, and a scope, which Python takes at any length: a caller's description would be kept for ever."""
_parsed_before = lru_cache(1024)(ipaddress.ip_address)


def parsed(ip: str | bytes) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """`ipaddress.ip_address`, remembered: a carrier's thousands of calls come from a few addresses. Raises ValueError for what is none."""
    if len(ip) > _LONGEST_ADDRESS:
        raise ValueError(f"{ip[:_LONGEST_ADDRESS]!r}… is too long for an IP address")
    return _parsed_before(ip)


@lru_cache(4096)  # a leg's peer is asked for several times while its call is set up
def sockaddr(ip: str, port: int) -> tuple[bytes, int]:
    """Return (28 bytes of struct sockaddr, bytes of it in use) on Linux. Raises ValueError when `ip` is no IP address."""
    address = parsed(ip)
    if isinstance(address, ipaddress.IPv6Address):
        packed = struct.pack("=H", FAMILY_IPV6) + struct.pack(">HI", port, 0) + address.packed + bytes(4)
        return packed, NAME_BYTES
    return struct.pack("=H", FAMILY_IPV4) + struct.pack(">H", port) + address.packed + bytes(20), 16


@inline_kernel
def name_key(name: Any, socket: Any) -> Any:
    """Return (high, low, tail) of a sockaddr and a socket index: the table's key. `name`: uint8 (28,)."""
    tail = (np.uint64(socket) << np.uint64(16)) | (np.uint64(name[2]) << np.uint64(8)) | np.uint64(name[3])
    high = np.uint64(0)
    low = np.uint64(0)
    if name[0] == FAMILY_IPV4:
        low = np.uint64(0xFFFF)
        for i in range(4, 8):
            low = (low << np.uint64(8)) | np.uint64(name[i])
    else:
        for i in range(8, 16):
            high = (high << np.uint64(8)) | np.uint64(name[i])
        for i in range(16, 24):
            low = (low << np.uint64(8)) | np.uint64(name[i])
    return high, low, tail


@inline_kernel
def find(table: Any, high: Any, low: Any, tail: Any) -> Any:
    """Return the index of the entry with that key, or -1. `table`: ENTRY (a power of two,), never full."""
    mask = table.shape[0] - 1
    mixed = (high ^ (low * np.uint64(0x9E3779B97F4A7C15))) ^ (tail * np.uint64(0xC2B2AE3D27D4EB4F))
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    index = np.int64((mixed >> np.uint64(32)) & np.uint64(mask))
    while True:
        entry = table[index]
        if entry.row == EMPTY:
            return -1
        if entry.row != REMOVED and entry.low == low and entry.tail == tail and entry.high == high:
            return index
        index = (index + 1) & mask


@steady_kernel
def find_name(table: Any, name: Any, socket: Any) -> Any:
    """Return the index of an address's entry, or -1."""
    high, low, tail = name_key(name, socket)
    return find(table, high, low, tail)


@steady_kernel
def store_name(table: Any, name: Any, socket: Any, row: Any, expires_ns: Any) -> Any:
    """Set an address's entry; False when it took an empty entry. There must be room."""
    high, low, tail = name_key(name, socket)
    index = find(table, high, low, tail)
    if index >= 0:
        table[index].row = row
        table[index].expires_ns = expires_ns
        return True
    mask = table.shape[0] - 1
    mixed = (high ^ (low * np.uint64(0x9E3779B97F4A7C15))) ^ (tail * np.uint64(0xC2B2AE3D27D4EB4F))
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    index = np.int64((mixed >> np.uint64(32)) & np.uint64(mask))
    while table[index].row != EMPTY:
        index = (index + 1) & mask
    entry = table[index]
    entry.high, entry.low, entry.tail = high, low, tail
    entry.row, entry.expires_ns = row, expires_ns
    return False


@kernel
def move_entries(old: Any, new: Any, now_ns: Any) -> Any:
    """Copy what is still valid into an empty larger table; return how many."""
    moved = 0
    mask = new.shape[0] - 1
    for i in range(old.shape[0]):
        entry = old[i]
        if entry.row >= 0 or (entry.row == RESTING and entry.expires_ns > now_ns):
            mixed = (entry.high ^ (entry.low * np.uint64(0x9E3779B97F4A7C15))) ^ (entry.tail * np.uint64(0xC2B2AE3D27D4EB4F))
            mixed ^= mixed >> np.uint64(29)
            mixed *= np.uint64(0xBF58476D1CE4E5B9)
            index = np.int64((mixed >> np.uint64(32)) & np.uint64(mask))
            while new[index].row != EMPTY:
                index = (index + 1) & mask
            new[index] = entry
            moved += 1
    return moved


class AddressTable:
    """The table and its upkeep. `entries` is what kernels read; it is replaced when the table grows."""

    def __init__(self) -> None:
        self.entries = self._empty(1024)
        self._taken = 0

    def get(self, name: bytes, socket: int) -> int:
        """Return the row stored for an address, or EMPTY."""
        index = find_name(self.entries, np.frombuffer(name, np.uint8), socket)
        return EMPTY if index < 0 else int(self.entries[index]["row"])

    def set(self, name: bytes, socket: int, row: int, now_ns: int, expires_ns: int = 0) -> None:
        """Store a row (or RESTING until `expires_ns`) for an address."""
        if 2 * self._taken >= len(self.entries):
            self.grow(now_ns)
        if not store_name(self.entries, np.frombuffer(name, np.uint8), socket, row, expires_ns):
            self._taken += 1

    def remove(self, name: bytes, socket: int) -> None:
        """Forget an address."""
        index = find_name(self.entries, np.frombuffer(name, np.uint8), socket)
        if index >= 0:
            self.entries[index]["row"] = REMOVED

    def forget_sockets(self, sockets: list[int]) -> None:
        """Forget every address of these sockets, which are closed."""
        entries = self.entries
        gone = np.isin(entries["tail"] >> np.uint64(16), np.array(sockets, np.uint64))
        entries["row"][gone & (entries["row"] != EMPTY)] = REMOVED

    def grow(self, now_ns: int) -> None:
        """Renew the table with room for what is in it; rests that are over go, or it would grow with every call there ever was."""
        rows, rests_until_ns = self.entries["row"], self.entries["expires_ns"]
        alive = int((rows >= 0).sum() + ((rows == RESTING) & (rests_until_ns > now_ns)).sum())
        size = max(1024, 1 << (4 * alive - 1).bit_length()) if alive else 1024
        renewed = self._empty(size)
        self._taken = int(move_entries(self.entries, renewed, now_ns))
        self.entries = renewed

    @staticmethod
    def _empty(size: int) -> NDArray[np.void]:
        entries = np.zeros(size, ENTRY)
        entries["row"] = EMPTY
        return entries
