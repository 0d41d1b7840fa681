# SPDX-License-Identifier: GPL-2.0-or-later
"""A call as a program sees it, against a server that the test plays: operations, keys, menus, and the end at whichever line waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from clients.app import Call, CallEnded, CallFailed, Digits, Leg
from clients.app.home import Worker


class Server:
    """What the program sends is kept; the test answers."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.worker = Worker(self, "test", {})  # type: ignore[arg-type]
        self.call = Call(self.worker, "call-1", {"headers": [["X-A", "1"]], "app_params": {"uid": "42"}, "user": "bob"})

    def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    def ops(self, what: str) -> list[dict[str, Any]]:
        return [message for message in self.sent if message.get("do") == what]

    def done(self, what: str, result: object = None) -> None:
        self.call.took({"k": "done", "op": self.ops(what)[-1]["op"], "result": result})

    def press(self, keys: str) -> None:
        for key in keys:
            self.call.took({"k": "event", "name": "digit", "key": key, "duration_ms": 100})

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


def begun(work: Awaitable[Any]) -> asyncio.Future[Any]:
    return asyncio.ensure_future(work)


async def test_an_operation_has_begun_when_it_returns_and_can_be_awaited_stopped_or_left_alone() -> None:
    server = Server()
    playing = server.call.play("a.wav", loop=True)
    assert server.ops("play")[0]["with"] == {"path": "a.wav", "loop": True} and not playing.done
    playing.stop()
    assert server.ops("stop")[0]["with"] == {"number": server.ops("play")[0]["op"]}
    server.done("play")
    await playing
    assert playing.done
    playing.stop()
    assert len(server.ops("stop")) == 1


async def test_a_failure_is_raised_where_it_is_awaited() -> None:
    server = Server()
    waiting = begun(server.call.connect("sip:a@b"))
    await server.settle()
    server.call.took({"k": "failed", "op": server.ops("connect")[0]["op"], "code": 486, "reason": "Busy Here"})
    with pytest.raises(CallFailed) as failed:
        await waiting
    assert failed.value.code == 486


async def test_the_end_is_raised_wherever_the_program_waits_and_commands_after_it_do_nothing() -> None:
    server = Server()
    call = server.call
    waiting = [
        begun(work) for work in (call.gather("pin.wav"), call.sleep(100), call.play("a.wav")._wait(), call.connect("sip:a@b"))
    ]
    await server.settle()
    count = len(server.sent)
    call.took({"k": "ended", "code": 200, "reason": "BYE", "by": "remote"})
    for one in waiting:
        with pytest.raises(CallEnded):
            await one
    assert (await call.ended()).by == "remote"
    call.hangup()
    call.play("late.wav")
    assert len(server.sent) == count
    assert [event async for event in call.events()] == []


@pytest.mark.parametrize(
    ("keys", "right"),
    [
        ("12#", Digits("12", "end")),
        ("1234", Digits("1234", "length")),
        ("12", Digits("12", "timeout")),
        ("1", Digits("", "timeout")),
        ("#", Digits("", "end")),
    ],
)
async def test_gathering_keys(keys: str, right: Digits) -> None:
    server = Server()
    server.press("99")  # before the prompt: dropped
    gathering = begun(server.call.gather("pin.wav", digits=(2, 4), first_s=0.05, between_s=0.05, fresh=True))
    await server.settle()
    assert not gathering.done()
    server.press(keys)
    got = await gathering
    assert got == right and bool(got) == bool(right.digits)
    assert len(server.ops("flush")) == 1, "the first key cuts the prompt short"


async def test_who_types_ahead_hears_no_prompt() -> None:
    server = Server()
    server.press("12#3")
    assert await server.call.gather("pin.wav") == Digits("12", "end")
    assert await server.call.gather("more.wav", digits=(1, 1)) == Digits("3", "length")
    assert server.ops("play") == []


async def test_a_key_is_taken_once_by_whoever_comes_first() -> None:
    server = Server()
    server.press("1*2")
    assert (await server.call.gather(digits=(1, 1))).digits == "1"
    seen = []
    async for event in server.call.events():
        seen.append(event.key)
        if event.key == "*":
            break
    assert seen == ["*"]
    assert (await server.call.gather(digits=(1, 1))).digits == "2"


async def test_nobody_presses_a_key() -> None:
    server = Server()
    gathering = begun(server.call.gather(["one.wav", "two.wav"], first_s=0.02))
    await server.settle()
    assert [op["with"]["path"] for op in server.ops("play")] == ["one.wav", "two.wav"]
    server.done("play")
    assert await gathering == Digits("", "timeout")


async def test_a_prompt_that_cannot_be_played_is_raised() -> None:
    server = Server()
    gathering = begun(server.call.gather("gone.wav"))
    await server.settle()
    server.call.took({"k": "failed", "op": server.ops("play")[0]["op"], "code": 404, "reason": "no such file"})
    with pytest.raises(CallFailed, match="no such file"):
        await gathering


async def test_a_menu() -> None:
    server = Server()
    choosing = begun(server.call.menu("menu.wav", {"1": "sales", "2": "support"}, invalid="no.wav"))
    await server.settle()
    server.press("7")
    await server.settle()
    assert server.ops("play")[-1]["with"]["path"] == "no.wav"
    server.done("play")
    await server.settle()
    server.press("2")
    assert await choosing == "support"


async def test_requests_are_answered_501_unless_the_program_takes_them() -> None:
    server = Server()
    request = {
        "k": "event",
        "name": "request",
        "method": "MESSAGE",
        "headers": [["A", "b"]],
        "content_type": "text/plain",
        "body": b"x",
        "token": 3,
    }
    server.call.took(request)
    assert server.ops("reply")[0]["with"]["code"] == 501
    taken = []
    server.call.on_request = taken.append
    server.call.took({**request, "token": 4})
    assert taken[0].body == b"x" and taken[0].header("a") == "b" and len(server.ops("reply")) == 1


def test_what_the_call_is_told_is_there() -> None:
    async def look() -> None:
        call = Server().call
        assert call.header("x-a") == "1" and call.app_params == {"uid": "42"} and call.user == "bob"

    asyncio.run(look())


@pytest.mark.parametrize("mistake", [ZeroDivisionError("a mistake"), CallFailed(404, "no such file"), asyncio.CancelledError()])
async def test_who_was_asked_does_not_stay_when_the_question_fails(mistake: BaseException) -> None:
    """The first leg would not hear it, and nobody could end it but itself."""
    server = Server()

    async def confirm(leg: Leg) -> bool:
        raise mistake

    dialling = begun(server.call.dial("sip:one@a.example", "sip:two@a.example", confirm=confirm))
    await server.settle()
    server.call.leg("leg-1", {"ruri": "sip:one@a.example"})
    server.done("connect", "leg-1")
    with pytest.raises(type(mistake)):
        await dialling
    assert len(server.ops("end_other")) == 1 and len(server.ops("connect")) == 1


async def test_the_next_is_asked_when_one_declines_and_the_first_who_takes_it_stays() -> None:
    server, answers = Server(), {"leg-1": False, "leg-2": True}

    async def confirm(leg: Leg) -> bool:
        return answers[leg.id]

    dialling = begun(server.call.dial("sip:one@a.example", "sip:two@a.example", confirm=confirm))
    for number, user in ((1, "one"), (2, "two")):
        await server.settle()
        server.call.leg(f"leg-{number}", {"ruri": f"sip:{user}@a.example"})
        server.done("connect", f"leg-{number}")
    assert (await dialling).id == "leg-2"
    assert len(server.ops("end_other")) == 1 and server.ops("connect")[1]["with"]["targets"] == ["sip:two@a.example"]
