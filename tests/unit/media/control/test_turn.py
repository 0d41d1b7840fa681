# SPDX-License-Identifier: GPL-2.0-or-later
"""A turn: callbacks in order, ends after all others, at the end of a read or from the loop; what one raises costs no other."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

import pytest

from media.control.link import RecordLink
from media.control.turn import Turn
from media.control.wire import Hello, Ping, RecordCodec


class Loop:
    """Notes what is to be called, and calls it when asked."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []

    def call_soon(self, step: Callable[[], None]) -> None:
        self.soon.append(step)

    def run(self) -> int:
        """One turn of the loop; how many callbacks that were."""
        steps, self.soon = self.soon, []
        for step in steps:
            step()
        return len(steps)


def test_what_waits_runs_from_one_callback_of_the_loop_and_ends_come_last() -> None:
    loop, seen = Loop(), list[str]()
    turn = Turn(loop.call_soon)
    turn.at_end(lambda: seen.append("write"))
    turn.soon(lambda: seen.append("one"))
    turn.soon(lambda: seen.append("two"))
    assert seen == [] and loop.run() == 1
    assert seen == ["one", "two", "write"] and loop.run() == 0


def test_what_is_asked_for_while_it_runs_waits_for_the_loops_next_turn() -> None:
    loop, seen = Loop(), list[int]()
    turn = Turn(loop.call_soon)

    def again() -> None:
        seen.append(len(seen))
        turn.soon(again)

    turn.begin()
    turn.soon(again)
    turn.run()
    assert seen == [0]
    assert loop.run() == 1 and loop.run() == 1 and seen == [0, 1, 2]


def test_an_end_that_is_asked_for_by_a_step_comes_after_the_other_steps() -> None:
    loop, seen = Loop(), list[str]()
    turn = Turn(loop.call_soon)
    turn.begin()
    turn.soon(lambda: turn.at_end(lambda: seen.append("write")))
    turn.soon(lambda: seen.append("two"))
    turn.run()
    assert seen == ["two", "write"] and loop.soon == []


def test_a_read_takes_along_what_waits_in_the_loop_and_each_runs_once() -> None:
    loop, seen = Loop(), list[str]()
    turn = Turn(loop.call_soon)
    turn.soon(lambda: seen.append("before"))
    turn.begin()
    turn.soon(lambda: seen.append("of the read"))
    turn.run()
    assert seen == ["before", "of the read"]
    loop.run()
    turn.soon(lambda: seen.append("after"))
    loop.run()
    assert seen == ["before", "of the read", "after"]


def test_one_that_raises_costs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    loop, seen = Loop(), list[str]()
    turn = Turn(loop.call_soon)
    turn.soon(lambda: seen.remove("nothing"))
    turn.soon(lambda: seen.append("two"))
    turn.at_end(lambda: seen.append("write"))
    with caplog.at_level(logging.ERROR):
        loop.run()
    assert seen == ["two", "write"] and "a callback failed" in caplog.text


async def test_what_the_records_of_a_read_bring_about_leaves_in_one_piece_before_the_loop_goes_on() -> None:
    loop = asyncio.get_running_loop()
    turn, order, links = Turn(loop.call_soon), list[str](), list[RecordLink[Ping, Ping]]()
    ours, theirs = socket.socketpair()

    def step() -> None:
        order.append("step")
        links[0].send(Ping(len(order)))

    def taken(record: object) -> None:
        loop.call_soon(order.append, "loop")
        turn.soon(step)

    links.append(await RecordLink.open(ours, (), taken, lambda: None, turn))
    theirs.setblocking(False)
    codec = RecordCodec(())
    await loop.sock_sendall(theirs, codec.pack(Hello(1, "sip", 1)) + codec.pack(Hello(1, "sip", 2)))
    answer = await asyncio.wait_for(loop.sock_recv(theirs, 65536), 5)
    assert [record.number for record in codec.feed(answer)] == [1, 2]
    assert order[:2] == ["step", "step"]
    links[0].close()
    theirs.close()
