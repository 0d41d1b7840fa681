# SPDX-License-Identifier: GPL-2.0-or-later
"""The simulated stage: what a test forgot to say fails it, with words; any operation is done or refused, as in the server."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clients.app import App, Call, CallFailed, Worker
from clients.app.testing import Simulator
from clients.app.testing.simulated_call import _OPERATIONS, SimulatedCall
from clients.app.testing.simulator import AppBroken, SimulatedCaller
from clients.app.testing.virtual_time import run
from interfaces.apps.operations import OPERATIONS as OF_THE_SERVER

app = App()


@app.call
async def by_user(call: Call) -> None:
    await call.answer()
    await globals()[f"do_{call.user}"](call)


async def do_dial(call: Call) -> None:
    try:
        await call.connect("sip:nobody@nowhere.example")
    except CallFailed as failed:
        call.log(code=failed.code)


async def do_ask(call: Call) -> None:
    try:
        await call.worker.di("stock", "count", 1)
    except CallFailed:
        call.log(failed="yes")


async def do_fail(call: Call) -> None:
    raise ZeroDivisionError("a mistake")


async def do_long(call: Call) -> None:
    await call.sleep(10_000)
    await call.play("late.wav")


def played(scene: Any) -> None:
    sim = Simulator()
    work: Coroutine[object, object, None] = scene(sim)
    sim.run(work)


def test_a_target_that_nobody_named_fails_the_test() -> None:
    async def scene(sim: Simulator) -> None:
        caller = await sim.call(app, to="sip:dial@x")
        assert await caller.logged("code") == "404"

    with pytest.raises(AssertionError, match=r"dials sip:nobody@nowhere.example, and there is no `sim.dials"):
        played(scene)


def test_a_function_that_nobody_named_fails_the_test() -> None:
    async def scene(sim: Simulator) -> None:
        caller = await sim.call(app, to="sip:ask@x")
        assert await caller.logged("failed") == "yes"

    with pytest.raises(AssertionError, match=r"stock.count was called, and there is no `sim.di"):
        played(scene)


def test_a_fault_fails_the_test_that_does_not_expect_it() -> None:
    async def scene(sim: Simulator) -> None:
        caller = await sim.call(app, to="sip:fail@x")
        assert await caller.ended() == "app"

    with pytest.raises(AssertionError, match="ZeroDivisionError: a mistake"):
        played(scene)


def test_hours_pass_at_once() -> None:
    async def scene(sim: Simulator) -> None:
        sim.sound("late.wav", 3)
        caller = await sim.call(app, to="sip:long@x")
        await caller.hears("late.wav", within_s=10_001)
        assert 10_000 < asyncio.get_running_loop().time() < 10_001

    played(scene)


def test_what_was_heard_instead_is_said_with_the_arrows() -> None:
    async def scene(sim: Simulator) -> None:
        sim.sound("late.wav")
        caller = await sim.call(app, to="sip:long@x")
        await caller.hears("early.wav", within_s=20_000)

    with pytest.raises(
        AssertionError, match=r"early.wav was not heard, but late.wav, and the call has ended\n.*INVITE sip:long@x"
    ):
        played(scene)


def test_an_application_that_cannot_be_set_up() -> None:
    broken = App()

    @broken.setup
    async def no_database(worker: Worker) -> None:
        raise ConnectionError("no database")

    @broken.call
    async def never(call: Call) -> None: ...

    async def scene(sim: Simulator) -> None:
        with pytest.raises(AppBroken, match="ConnectionError: no database"):
            await sim.call(broken)

    played(scene)


def test_a_file_is_imported_with_its_configuration(tmp_path: Path) -> None:
    path = tmp_path / "shop.py"
    path.write_text(
        "from clients.app import App\napp = App()\n@app.call\nasync def shop(call):\n    call.reject(int(call.worker.config['code']))\n"
    )

    async def scene(sim: Simulator) -> None:
        assert await (await sim.call(path, config={"code": "603"})).answered() == 603

    played(scene)


def test_calls_do_not_mix() -> None:
    async def scene(sim: Simulator) -> None:
        sim.sound("late.wav")
        callers: list[SimulatedCaller] = [await sim.call(app, to="sip:long@x") for _ in range(100)]
        callers[7].hangs_up()
        await sim.wait(1)
        assert [caller.call.ended_by for caller in callers].count(None) == 99

    played(scene)


# -------------------------------------------------------------------------------------------------- held to the server's side
def test_it_has_the_operations_of_the_server() -> None:
    assert set(_OPERATIONS) == set(OF_THE_SERVER)


class Around:
    def length_s(self, path: str) -> float:
        return 1.0

    def place(self, *arguments: object) -> Any:
        raise AssertionError("no target of these is right")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
names = st.sampled_from(
    "code reason headers path loop number max_ms keys room targets ring_ms leg on method body token ms".split()
)
operations = st.lists(
    st.tuples(st.sampled_from([*_OPERATIONS, "nonsense"]), st.dictionaries(names, values, max_size=5)), max_size=8
)


@example([("record", {"path": "a", "max_ms": None}), ("record", {"path": "a"})], True)
@example([("connect", {"targets": ["sip:a@b.example"], "ring_ms": None}), ("end_other", {})], True)
@example([("request", {"method": "INFO"}), ("reject", {})], False)
@given(operations, st.booleans())
def test_any_operation_is_done_or_refused_and_no_two_answers_come(several: list[tuple[str, dict[str, object]]], up: bool) -> None:
    told: list[dict[str, Any]] = []

    async def scene() -> None:
        call = SimulatedCall("c", Around(), told.append, "app")
        if up:
            call.perform(1, "answer", {})
            await asyncio.sleep(0)
        for number, (what, given_values) in enumerate(several, 2):
            call.perform(number, what, given_values)
        await asyncio.sleep(100)
        call.peer_hangs_up()

    run(scene())
    answered = [message["op"] for message in told if message["k"] in ("done", "failed")]
    assert len(answered) == len(set(answered))
    assert [message["k"] for message in told].count("ended") == 1 and told[-1]["k"] == "ended"
