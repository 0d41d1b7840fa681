# SPDX-License-Identifier: GPL-2.0-or-later
"""The way to the server: msgpack objects one after the other, each a map with a word `k` that says what it is."""

from __future__ import annotations

import asyncio
from typing import Protocol, TypeAlias

import msgpack

Message: TypeAlias = "dict[str, object]"
LONGEST = 64 << 20
"""Bytes of a message of the server."""


def unpacker() -> msgpack.Unpacker:
    """What makes messages of bytes."""
    return msgpack.Unpacker(raw=False, strict_map_key=True, max_buffer_size=LONGEST, unicode_errors="surrogateescape")


def checked(message: object) -> Message:
    """What was unpacked, as a message. Raises ValueError for what is none: whoever sends that cannot be talked with."""
    if not isinstance(message, dict) or not isinstance(message.get("k"), str):
        raise ValueError("no message")
    return message


def packed(message: Message) -> bytes:
    """A message's bytes, which `unpacker` takes."""
    return bytes(msgpack.packb(message, use_bin_type=True, unicode_errors="surrogateescape"))


class Connection(Protocol):
    """A way to the server."""

    async def receive(self) -> Message | None:
        """The next message; None at the end. Raises ValueError for what is none."""

    def send(self, message: Message) -> None:
        """Queue a message; without effect when the connection has ended."""

    def close(self) -> None:
        """End the connection."""


class Link:
    """One connection by socket. `receive` gives None at its end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._unpacker = unpacker()

    async def receive(self) -> Message | None:
        """The next message. Raises ValueError for what is none: whoever sends that cannot be talked with."""
        while True:
            for message in self._unpacker:
                return checked(message)
            data = await self._reader.read(1 << 16)
            if not data:
                return None
            self._unpacker.feed(data)

    def send(self, message: Message) -> None:
        """Queue a message; without effect when the connection has ended."""
        if not self._writer.is_closing():
            self._writer.write(packed(message))

    def close(self) -> None:
        """End the connection."""
        self._writer.close()
