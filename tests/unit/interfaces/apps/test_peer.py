# SPDX-License-Identifier: GPL-2.0-or-later
"""A program as the server knows it: greeted, asked each second, missed, heard again, given up; and what it sends that is no message."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from interfaces.apps import peer as module
from interfaces.apps.peer import LONGEST_ANSWER, MOST_UNREAD, AppPeer, Message, pack


class Program(AppPeer):
    """What is written to it is kept; the test says how much of it is unread."""

    def __init__(self) -> None:
        self.took: list[Message] = []
        self.gone: list[str] = []
        super().__init__("card", 1, 1, lambda peer, message: self.took.append(message), lambda peer, why: self.gone.append(why))
        self.written: list[dict[str, Any]] = []
        self.unread = 0

    def _write(self, data: bytes) -> None:
        self.written.append(msgpack.unpackb(data, unicode_errors="surrogateescape"))

    def _unread_bytes(self) -> int:
        return self.unread

    def kill(self, why: str) -> None:
        self._end(why)

    async def sends(self, *messages: object) -> bool:
        return await self._feed(b"".join(msgpack.packb(message, unicode_errors="surrogateescape") for message in messages))


async def test_who_does_not_answer_is_missed_heard_again_and_given_up(caplog: pytest.LogCaptureFixture) -> None:
    program = Program()
    program.look(2, 4)
    assert not program.written and not program.able(10), "nothing is asked before it is ready"
    await program.sends({"k": "ready"})
    assert program.able(10) and program.written == [{"k": "ping", "n": 0}]
    for _ in range(3):
        program.look(2, 4)
    assert not program.silent
    program.look(2, 4)
    assert program.silent and not program.able(10) and "has not answered for 3 s: new calls go elsewhere" in caplog.text
    await program.sends({"k": "pong"})
    assert program.able(10) and "answers again" in caplog.text
    for _ in range(6):
        program.look(2, 4)
    assert program.gone == ["it has not answered for 5 s"] and not program.ready
    program.look(2, 4)
    assert len(program.gone) == 1


@pytest.mark.parametrize(
    ("of_its_own", "calls", "able"), [(0, 9, True), (0, 10, False), (3, 2, True), (3, 3, False), (50, 10, False)]
)
async def test_it_has_as_many_calls_as_both_allow(of_its_own: int, calls: int, able: bool) -> None:
    program = Program()
    await program.sends({"k": "ready"})
    program.max_calls, program.calls = of_its_own, {str(number) for number in range(calls)}
    assert program.able(10) is able
    await program.sends({"k": "leave"})
    assert not program.able(1000)


async def test_what_it_cannot_run_is_kept_as_the_cause() -> None:
    program = Program()
    await program.sends({"k": "broken", "why": "ValueError: " + "x" * 5000})
    assert not program.ready and program.why_broken.startswith("ValueError") and len(program.why_broken) == 2000
    program.kill("later")
    assert program.why_broken.startswith("ValueError") and program.gone == ["later"]


@pytest.mark.parametrize("wrong", [[1], {"k": 1}, {}, "ready", None, {1: 2}])
async def test_what_is_no_message_ends_it_and_what_came_before_counts(wrong: object) -> None:
    program = Program()
    assert not await program.sends({"k": "op", "n": 1}, wrong)
    assert program.took == [{"k": "op", "n": 1}] and "it sends what is no message" in program.gone[0]


async def test_bytes_that_nest_for_ever_end_it() -> None:
    program = Program()
    assert not await program._feed(b"\x91" * 100_000)
    assert len(program.gone) == 1


async def test_a_message_may_come_in_pieces() -> None:
    program, data = Program(), pack({"k": "log", "text": "ü\udcff"})
    for place in range(len(data)):
        assert await program._feed(data[place : place + 1])
    assert program.took == [{"k": "log", "text": "ü\udcff"}]


async def test_an_answer_that_is_too_long_is_an_error_and_one_that_cannot_be_told_raises() -> None:
    program = Program()
    program.answer({"k": "di_done", "n": 1, "result": "x" * LONGEST_ANSWER})
    assert (
        program.written[0]["result"] is None
        and str(LONGEST_ANSWER) in program.written[0]["error"]
        and program.written[0]["n"] == 1
    )
    for wrong in (object(), 1 << 70):
        with pytest.raises((TypeError, ValueError, OverflowError)):
            program.answer({"k": "di_done", "n": 2, "result": wrong})
    assert len(program.written) == 1 and not program.gone


async def test_who_reads_nothing_is_ended_before_it_fills_the_memory() -> None:
    program = Program()
    program.unread = MOST_UNREAD
    program.send({"k": "ping"})
    program.unread += 1
    program.send({"k": "ping"})
    assert len(program.written) == 1 and program.gone == ["it reads nothing any more"]


async def test_many_messages_give_others_their_turn_and_a_mad_program_waits(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    monkeypatch.setattr(module.time, "monotonic", lambda: 100.0)
    program = Program()
    await program.sends(*[{"k": "op"}] * (module._TURN * 2 + 1))
    assert slept == [0, 0]
    await program.sends(*[{"k": "op"}] * (module.MOST_PER_S * 2))
    assert slept[-1] == 1.0 and set(slept) == {0, 1.0} and caplog.text.count("messages a second: they wait") == 1
