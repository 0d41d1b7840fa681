# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages of a program and the server: whatever pieces the bytes come in; what is none ends the talk; a socket that closes is the end."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable

import msgpack
import pytest

from clients.app.link import Link, Message, checked, packed, unpacker
from interfaces.apps.peer import pack

SOME: list[Message] = [
    {"k": "hello", "version": 1, "config": {"greeting": "a.wav"}},
    {"k": "request", "body": b"\x00\xff", "headers": [["X-A", "1"]]},
    {"k": "log", "text": "Müller \udcff", "none": None, "number": -(2**63)},
]


@pytest.mark.parametrize("seed", range(5))
def test_messages_come_whole_in_whatever_pieces_their_bytes_come(seed: int) -> None:
    stream, box, got, pieces = b"".join(map(packed, SOME)), unpacker(), [], random.Random(seed)
    while stream:
        size = pieces.randint(1, 20)
        box.feed(stream[:size])
        stream = stream[size:]
        got += [checked(message) for message in box]
    assert got == SOME


@pytest.mark.parametrize("wrong", [None, 1, "k", ["k", "hello"], {}, {"k": 5}, {"k": None}, {"K": "hello"}, {"k": b"hello"}])
def test_what_is_no_message(wrong: object) -> None:
    with pytest.raises(ValueError, match="no message"):
        checked(wrong)


def linked(talk: Callable[[Link, socket.socket], Awaitable[None]]) -> None:
    async def both() -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            link = Link(*await asyncio.open_connection(sock=ours))
            try:
                await talk(link, theirs)
            finally:
                link.close()

    asyncio.run(both())


def test_a_socket_that_closes_is_the_end_and_what_is_sent_then_goes_nowhere() -> None:
    async def talk(link: Link, server: socket.socket) -> None:
        server.sendall(packed(SOME[0]) + packed(SOME[1]))
        link.send(SOME[2])
        assert [await link.receive(), await link.receive()] == SOME[:2]
        assert msgpack.unpackb(await asyncio.to_thread(server.recv, 1000), unicode_errors="surrogateescape") == SOME[2]
        server.shutdown(socket.SHUT_WR)
        assert await link.receive() is None
        link.close()
        link.send(SOME[0])

    linked(talk)


def test_half_a_message_at_the_end_is_none() -> None:
    async def talk(link: Link, server: socket.socket) -> None:
        server.sendall(packed(SOME[0])[:-3])
        server.shutdown(socket.SHUT_WR)
        assert await link.receive() is None

    linked(talk)


@pytest.mark.parametrize("wrong", [b"\xc1", b"\x05", msgpack.packb({1: "hello"}), msgpack.packb({"k": 1})])
def test_bytes_that_are_no_message_are_refused(wrong: bytes) -> None:
    async def talk(link: Link, server: socket.socket) -> None:
        server.sendall(wrong)
        with pytest.raises(ValueError):
            await link.receive()

    linked(talk)


@pytest.mark.parametrize("message", SOME)
def test_the_server_packs_as_a_program_does_and_each_reads_the_other(message: Message) -> None:
    """The wire is written down on both sides, which share no code: here they are held to each other."""
    assert pack(message) == packed(message)
    box = unpacker()
    box.feed(pack(message))
    assert [checked(one) for one in box] == [message]
