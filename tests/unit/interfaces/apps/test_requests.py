# SPDX-License-Identifier: GPL-2.0-or-later
"""What programs ask: their own calls and no others; functions of the server, in their name and with what failed as text."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from di.calls.session import Session
from di.kernel.registry import Caller, Registry, di_method
from di.kernel.value import Value
from interfaces.apps.functions import AppFunctions
from interfaces.apps.peer import pack
from interfaces.apps.requests import ProgramRequests
from tests.support.playbook import Playbook
from tests.support.program_call import Program, up


class Shop:
    """A module of the server."""

    def __init__(self) -> None:
        self.callers: list[str] = []

    @di_method("price")
    def price(self, caller: Caller, item: str) -> int:
        """What it costs."""
        self.callers.append(f"{caller.name} by {caller.transport}")
        return len(item)

    @di_method("later")
    async def later(self, value: Value) -> Value:
        """The same, after a while."""
        return value

    @di_method("fail")
    def fail(self, how: str) -> None:
        """Fail in ways that nobody foresaw."""
        raise FAILURES[how]

    @di_method("failLater")
    async def fail_later(self, how: str) -> None:
        """The same, after a while."""
        raise FAILURES[how]


FAILURES: dict[str, BaseException] = {
    "os": OSError("the disk is full"),
    "runtime": RuntimeError("a mistake"),
    "text": RuntimeError("half a character: \ud800"),
    "long": LookupError("x" * 10_000),
    "cancelled": asyncio.CancelledError("elsewhere"),
}


class Asking(Program):
    """A process with a name, which is answered."""

    name = "prog"

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[dict[str, Any]] = []

    def answer(self, message: dict[str, Any]) -> None:
        self.answers.append(message)


def desk(book: Playbook) -> tuple[ProgramRequests, Shop]:
    registry, shop = Registry(), Shop()
    registry.register("shop", shop)
    return ProgramRequests(book.sessions, registry, AppFunctions(registry, lambda name: None)), shop  # type: ignore[arg-type, return-value]


def operation(session: Session, op: object = 7, what: str = "hangup") -> dict[str, Any]:
    return {"k": "op", "call": session.id, "op": op, "do": what, "with": {}}


@pytest.mark.parametrize("its", ["calls", "legs", ""])
def test_it_steers_its_own_calls_and_no_others(its: str) -> None:
    book, _, session = up()
    requests, _ = desk(book)
    program = Asking()
    if its:
        getattr(program, its).add(session.id)
    requests.take(program, operation(session))  # type: ignore[arg-type]
    book.run()
    assert session.dialog.ending is bool(its)


def test_an_operation_without_a_number_is_none() -> None:
    book, _, session = up()
    program = Asking()
    program.calls.add(session.id)
    desk(book)[0].take(program, operation(session, op="7"))  # type: ignore[arg-type]
    book.run()
    assert not session.dialog.ending


async def asked(function: str, arguments: object) -> tuple[Asking, Shop]:
    book, program = Playbook(), Asking()
    requests, shop = desk(book)
    with contextlib.suppress(asyncio.CancelledError):
        await requests._di(program, {"k": "di", "n": 3, "module": "shop", "function": function, "args": arguments})  # type: ignore[arg-type]
    return program, shop


async def test_a_function_is_called_in_the_programs_name() -> None:
    program, shop = await asked("price", ["milk"])
    assert program.answers == [{"k": "di_done", "n": 3, "result": 4}] and shop.callers == ["app:prog by apps"]


async def test_one_that_waits_is_waited_for() -> None:
    program, _ = await asked("later", ["x"])
    assert program.answers == [{"k": "di_done", "n": 3, "result": "x"}]


@pytest.mark.parametrize(
    ("function", "arguments", "error"),
    [
        ("price", [], "OutOfBounds: "),
        ("price", [5], "TypeMismatch: "),
        ("price", "milk", "OutOfBounds: "),
        ("none", [], "NotImplementedInDI: "),
    ],
)
async def test_what_failed_is_told(function: str, arguments: object, error: str) -> None:
    program, shop = await asked(function, arguments)
    (told,) = program.sent
    assert (told["k"], told["n"]) == ("di_done", 3) and told["error"].startswith(error)
    assert not program.answers and not shop.callers


@pytest.mark.parametrize("function", ["fail", "failLater"])
@pytest.mark.parametrize("how", FAILURES)
async def test_what_nobody_foresaw_is_told_too(function: str, how: str, caplog: pytest.LogCaptureFixture) -> None:
    """The program would wait for ever."""
    program, _ = await asked(function, [how])
    (told,) = program.sent
    assert (told["k"], told["n"]) == ("di_done", 3) and told["error"].startswith(f"{type(FAILURES[how]).__name__}: ")
    assert len(pack(told)) < 3000
    if how != "cancelled":
        (line,) = caplog.messages
        assert f"shop.{function}" in line
