# SPDX-License-Identifier: GPL-2.0-or-later
"""A call's audio in a program, against a server's socket that the test holds: both ways, in order, and the end by whoever ends it."""

from __future__ import annotations

import array
import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import pytest

from clients.app import stream as streams
from clients.app.pcm import RtpReader, RtpWriter
from clients.app.results import CallEnded, CallFailed
from clients.app.stream import Stream

T = TypeVar("T")
RATE_HZ = 8000
FRAME_BYTES = 320


def frame(value: int) -> bytes:
    return array.array("h", [value] * (FRAME_BYTES // 2)).tobytes()


class Owner:
    """A call whose server is a socket of the test."""

    def __init__(self, refuses: str = "") -> None:
        self.over: CallEnded | None = None
        self.streams: set[Stream] = set()
        self.asked: list[tuple[str, Any]] = []
        self.told: list[str] = []
        self.refuses = refuses
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(5)
        self.writer, self.reader = RtpWriter(RATE_HZ, 1, 1, 1), RtpReader(RATE_HZ)

    def tell(self, what: str, values: object = None) -> None:
        self.told.append(what)

    async def ask(self, what: str, values: object, read: Callable[[object], T]) -> T:
        self.asked.append((what, values))
        if what == self.refuses:
            raise CallFailed(500, f"no {what}")
        ip, port = self.socket.getsockname()
        return read({"ip": ip, "port": port} if what == "stream" else None)

    def say(self, *values: int) -> None:
        """Send frames to where the program said it is."""
        there = dict(self.asked)["stream_to"]
        for value in values:
            self.socket.sendto(self.writer.write(frame(value)), (there["ip"], there["port"]))

    async def hears(self) -> bytes:
        """The samples of the next packet."""
        return self.reader.read(await asyncio.to_thread(self.socket.recv, 2000))


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[tuple[Owner, Stream]]:
    owner = Owner()
    with owner.socket:
        async with Stream(owner, RATE_HZ) as audio:
            yield owner, audio


async def until(reached: Callable[[], bool]) -> None:
    for _ in range(1000):
        if reached():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it does not come to that")


async def test_what_the_caller_says_comes_in_frames_and_in_order() -> None:
    async with opened() as (owner, audio):
        assert dict(owner.asked)["stream_to"]["rate_hz"] == RATE_HZ and owner.streams == {audio}
        owner.say(1, 2, 3)
        assert [await anext(audio) for _ in range(3)] == [frame(1), frame(2), frame(3)]
    assert owner.told == ["stream_end"] and not owner.streams


async def test_what_others_send_to_the_port_is_not_heard() -> None:
    async with opened() as (owner, audio):
        there = dict(owner.asked)["stream_to"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(RtpWriter(RATE_HZ, 1, 0, 0).write(frame(9)), (there["ip"], there["port"]))
        owner.say(1)
        assert await anext(audio) == frame(1)


async def test_what_the_program_says_goes_out_frame_by_frame_and_is_drained() -> None:
    async with opened() as (owner, audio):
        audio.write(frame(1) + frame(2)[:100])
        audio.write(frame(2)[100:] + frame(3)[:4])
        assert audio.unsent_ms == 40, "and a quarter of a millisecond"
        await audio.drained()
        assert audio.unsent_ms == 0
        heard = [await owner.hears() for _ in range(3)]
        assert heard == [frame(1), frame(2), frame(3)[:4].ljust(FRAME_BYTES, b"\0")]


async def test_what_is_cleared_is_not_said_and_what_comes_after_it_is() -> None:
    async with opened() as (owner, audio):
        audio.write(frame(1) * 500)
        assert await owner.hears() == frame(1)
        audio.clear()
        await audio.drained()
        audio.write(frame(2))
        said = [await owner.hears()]
        while said[-1] != frame(2):
            said.append(await owner.hears())
        assert len(said) < 400, "ten seconds of it were dropped"


async def test_of_a_program_that_does_not_listen_the_oldest_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_MOST_FRAMES", 2)
    async with opened() as (owner, audio):
        owner.say(1, 2, 3, 4)
        await until(lambda: audio.dropped == 2)
        assert [await anext(audio), await anext(audio)] == [frame(3), frame(4)]


async def test_the_end_by_the_server_ends_the_loop_and_lets_who_waits_go_on() -> None:
    async with opened() as (owner, audio):
        owner.say(1)
        await until(lambda: bool(audio._heard))
        audio.write(frame(1) * 500)
        drained = asyncio.ensure_future(audio.drained())
        await asyncio.sleep(0)
        audio.end()
        assert [heard async for heard in audio] == [frame(1)], "what had come is still heard"
        await asyncio.wait_for(drained, 5)
        audio.write(frame(2))
        assert not owner.streams
    assert owner.told == [], "the server knows"


async def test_the_end_of_the_call_is_raised_where_it_is_waited_for() -> None:
    async with opened() as (owner, audio):
        waits = asyncio.ensure_future(anext(audio))
        await asyncio.sleep(0)
        owner.over = CallEnded(200, "BYE", "remote")
        audio.end()
        for waiting in (waits, audio.drained()):
            with pytest.raises(CallEnded):
                await asyncio.wait_for(waiting, 5)


@pytest.mark.parametrize("refuses", ["stream", "stream_to"])
async def test_a_stream_that_the_server_does_not_make_is_a_failure_and_leaves_nothing(refuses: str) -> None:
    owner = Owner(refuses)
    with owner.socket:
        with pytest.raises(CallFailed, match=f"no {refuses}"):
            async with Stream(owner, RATE_HZ):
                raise AssertionError("it has begun")
        assert not owner.streams and owner.told == []
    await asyncio.sleep(0)
    if refuses == "stream_to":
        there = dict(owner.asked)["stream_to"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind((there["ip"], there["port"]))  # raises OSError while it is still open
