# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions that programs publish: who was asked answers, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from di.kernel.errors import CallFailed
from di.kernel.registry import INTERNAL, Registry
from interfaces.apps.functions import AppFunctions
from tests.support.program_call import Program

PUBLISHED = {"count": {"parameters": [], "help": "How many there are."}}


async def asked() -> tuple[AppFunctions, Program, asyncio.Future[object]]:
    """A function of the application `stock` has been called: who has been asked, and the caller."""
    registry, program = Registry(), Program()
    functions = AppFunctions(registry, lambda name: program)  # type: ignore[arg-type, return-value]
    functions.publish("stock", PUBLISHED)
    answer = registry.invoke("stock", "count", [], INTERNAL)
    assert isinstance(answer, Awaitable)
    calling: asyncio.Future[object] = asyncio.ensure_future(answer)
    await asyncio.sleep(0)
    (question,) = program.sent
    assert (question["k"], question["n"], question["function"]) == ("di_call", 1, "count")
    return functions, program, calling


async def test_who_was_asked_answers() -> None:
    functions, program, calling = await asked()
    functions.answered(program, {"k": "di_result", "n": 1, "result": 5})  # type: ignore[arg-type]
    assert await calling == 5


async def test_what_failed_is_told() -> None:
    functions, program, calling = await asked()
    functions.answered(program, {"k": "di_result", "n": 1, "error": "ValueError: no"})  # type: ignore[arg-type]
    with pytest.raises(CallFailed, match="ValueError: no"):
        await calling


async def test_who_was_asked_is_gone() -> None:
    functions, program, calling = await asked()
    functions.gone(Program(), "has ended with status 1")  # type: ignore[arg-type]
    assert not calling.done()
    functions.gone(program, "has ended with status 1")  # type: ignore[arg-type]
    with pytest.raises(CallFailed, match="its process has ended with status 1"):
        await calling
    functions.gone(program, "was ended")  # type: ignore[arg-type]


async def test_another_program_cannot_answer(caplog: pytest.LogCaptureFixture) -> None:
    """Numbers are easily guessed."""
    functions, program, calling = await asked()
    functions.answered(Program(), {"k": "di_result", "n": 1, "result": "forged"})  # type: ignore[arg-type]
    functions.answered(program, {"k": "di_result", "n": 1, "result": 5})  # type: ignore[arg-type]
    assert await calling == 5
    (line,) = caplog.messages
    assert "question 1" in line and "not taken" in line


@pytest.mark.parametrize("number", [2, None, "1", [1]])
async def test_an_answer_to_no_question_is_nothing(number: object) -> None:
    functions, program, calling = await asked()
    functions.answered(program, {"k": "di_result", "n": number, "result": "x"})  # type: ignore[arg-type]
    functions.answered(program, {"k": "di_result", "n": 1, "result": 5})  # type: ignore[arg-type]
    assert await calling == 5
