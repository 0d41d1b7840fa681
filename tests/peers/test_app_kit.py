# SPDX-License-Identifier: GPL-2.0-or-later
"""One contract for three sides of a `Call`: the test kit's simulation, the hub's code with fakes around it, a real server with real phones.

What is so in the one is so in the others.
"""

from __future__ import annotations

import pytest

from clients.app import CallFailed
from clients.app.testing import Caller, Simulator, Stage
from tests.support.app_hub import HubStage
from tests.support.kit_apps import app, worker_of
from tests.support.python_apps.oldstyle import Oldstyle
from tests.support.server import ROOT
from tests.support.sizes import size

pytestmark = pytest.mark.peers

SOUNDS = "enter_pin wrong_pin enter_number busy nobody"


STAGES = ("simulated", "hub", "real")
in_virtual_time = pytest.mark.parametrize("sim", STAGES[: size(2, 3)], indirect=True)
"""What the phones of other tests hear in real calls too, or what takes them long: here at full size only."""


@pytest.fixture(params=STAGES)
def sim(request: pytest.FixtureRequest) -> Stage:
    if request.param == "real":
        return _furnished(request.getfixturevalue("cordboard_server").stage())
    return _furnished(Simulator() if request.param == "simulated" else HubStage())


def _furnished(stage: Stage) -> Stage:
    for name in SOUNDS.split():
        stage.sound(f"{name}.wav", 0.5)
    stage.sound("music.wav", 5)
    stage.di("accounts.find", lambda pin: {"12": "acme"}.get(pin, ""))
    return stage


async def kept(sim: Stage, name: str) -> object:
    """What the application has kept for the test: a moment after the phone knows."""
    for _ in range(400):
        if name in worker_of[0].state:
            break
        await sim.wait(0.1)
    return worker_of[0].state[name]


async def known(sim: Stage, *headers: str) -> Caller:
    """A caller who has given a PIN."""
    caller = await sim.call(app, to="sip:card@example", headers=headers)
    await caller.hears("enter_pin.wav")
    caller.press("12#")
    assert await caller.logged("account") == "acme"
    await caller.hears("enter_number.wav")
    return caller


# --------------------------------------------------------------------------------------------------------- the calling card
@in_virtual_time
async def test_a_wrong_pin_may_be_mended_and_two_are_too_many(sim: Stage) -> None:
    caller = await sim.call(app, to="sip:card@example")
    assert await caller.answered() == 200
    for _ in range(2):
        await caller.hears("enter_pin.wav")
        caller.press("99#")
        await caller.hears("wrong_pin.wav")
    assert await caller.ended() == "app"
    assert sim.asked("accounts.find") == [["99"], ["99"]]


@in_virtual_time
async def test_silence_is_no_pin(sim: Stage) -> None:
    caller = await sim.call(app, to="sip:card@example", headers=["X-First: 0.3"])
    await caller.hears("enter_pin.wav")
    await caller.hears("wrong_pin.wav")
    caller.press("1")  # too few
    await caller.hears("wrong_pin.wav", within_s=20)
    assert await caller.ended() == "app" and sim.asked("accounts.find") == []


async def test_busy_is_said_and_another_number_may_follow(sim: Stage) -> None:
    sim.dials("sip:030@gw.example", rejected=486)
    callee = sim.dials("sip:040@gw.example")
    caller = await known(sim)
    caller.press("030#")
    await caller.hears("busy.wav")
    assert await caller.logged("failed") == "486"
    await caller.hears("enter_number.wav")
    caller.press("040#")
    headers = await callee.called()
    assert headers["x-account"] == "acme" and headers["request-uri"].startswith("sip:040@")
    await caller.talks_with(callee)  # though the music was stopped after it
    callee.hangs_up()
    assert await callee.ended() == "callee"
    assert await caller.logged("other") == "gone"
    await caller.hears("enter_number.wav")
    caller.hangs_up()
    assert await caller.ended() == "caller"


async def test_who_does_not_answer_is_given_up_and_who_rings_may_answer(sim: Stage) -> None:
    callee = sim.dials("sip:1@gw.example", rings=True)
    caller = await known(sim, "X-Ring: 3")
    caller.press("1#")
    await callee.called()
    await caller.hears("music.wav")
    await caller.hears("nobody.wav")
    assert await callee.ended() == "app" and await caller.logged("failed") == "408"
    await caller.hears("enter_number.wav")
    caller.press("1#")
    await callee.called()
    callee.answers()
    await caller.talks_with(callee)
    caller.press("*")
    assert await callee.ended() == "app"
    await caller.hears("enter_number.wav")
    caller.press("1#")
    await callee.called()
    callee.rejects(603)
    await caller.hears("nobody.wav")
    caller.hangs_up()


@in_virtual_time
async def test_the_second_leg_ends_with_the_first(sim: Stage) -> None:
    callee = sim.dials("sip:*@gw.example")
    caller = await known(sim)
    caller.press("7#")
    await caller.talks_with(callee)
    caller.hangs_up()
    assert await callee.ended() == "app"


# ------------------------------------------------------------------------------------------------------------ parts of a call
async def test_sounds_follow_each_other_until_they_are_stopped(sim: Stage) -> None:
    caller = await sim.call(app, to="sip:sounds@example")
    for name in ("enter_pin", "wrong_pin", "music"):
        await caller.hears(f"{name}.wav")
    caller.press("1")
    await caller.hears("busy.wav")
    assert await caller.logged("refused") == "400"
    await caller.hears("music.wav")
    caller.press("2")
    await caller.hears("nobody.wav")
    assert await caller.ended() == "app"


@pytest.mark.parametrize("code", [486, 603])
async def test_a_refusal_is_no_call(sim: Stage, code: int) -> None:
    caller = await sim.call(app, to="sip:refuse@example", headers=[f"X-Code: {code}"])
    assert await caller.answered() == code and await caller.ended() == "app"
    assert await kept(sim, "ended") == (200, "local")


async def test_who_returns_without_an_answer_refuses(sim: Stage) -> None:
    assert await (await sim.call(app, to="sip:return@example")).answered() == 480


@pytest.mark.parametrize(("headers", "code"), [((), 500), (("X-Answer: yes",), 200)])
async def test_a_fault_ends_its_call(sim: Stage, headers: tuple[str, ...], code: int) -> None:
    caller = await sim.call(app, to="sip:fault@example", headers=headers)
    assert await caller.answered() == code and await caller.ended() == "app"
    (fault,) = sim.faults()
    assert "a mistake in line 7" in fault


async def test_who_gives_up_before_the_answer(sim: Stage) -> None:
    caller = await sim.call(app, to="sip:ringing@example")
    for _ in range(400):
        await sim.wait(0.1)
        if caller.id:  # the application has the call
            break
    await sim.wait(0.2)
    caller.hangs_up()
    assert await caller.ended() == "caller"
    assert await kept(sim, "ended") == (487, "cancel")


async def test_a_sound_before_the_answer(sim: Stage) -> None:
    caller = await sim.call(app, to="sip:early@example")
    await caller.hears("busy.wav")
    assert await caller.answered() == 480


async def test_recordings(sim: Stage) -> None:
    caller = await sim.call(app, to="sip:record@example")
    await caller.answered()
    await sim.wait(1)
    caller.press("1")
    assert await caller.logged("path") == "said.wav"
    assert [await caller.logged(name) for name in ("why", "length", "short", "about")] == ["asked", "1", "length", "1000"]
    assert [await caller.logged(f"refused_{count}") for count in (3, 1, 3)] == ["400"] * 3
    caller.hangs_up()


async def test_rooms(sim: Stage) -> None:
    caller = await sim.call(app, to="sip:room@example")
    assert await caller.logged("conf_id") == "lobby"
    other = await sim.call(app, to="sip:room@example")
    assert await other.logged("conf_id") == "lobby"
    assert sorted(await sim.room("lobby")) == sorted([caller.id, other.id]) and await sim.room("hall") == []
    await caller.talks_with(other)
    other.hangs_up()
    await sim.post(caller, {"text": "hello"})
    assert await caller.logged("told") == "hello"
    await sim.kick(caller)
    await caller.hears("nobody.wav")
    assert await caller.ended() == "app"
    for _ in range(400):
        if not await sim.room("lobby"):
            break
        await sim.wait(0.1)
    assert await sim.room("lobby") == []


async def test_requests_and_keys_of_the_application(sim: Stage) -> None:
    caller = await sim.call(app, to="sip:requests@example")
    caller.replies("MESSAGE", 202)
    asked = await caller.asked("MESSAGE")
    assert asked["x-a"] == "1" and asked["body"] == "from the app"
    assert await caller.logged("code") == "202"
    assert (await caller.asked("REFER"))["refer-to"] == "<sip:other@gw.example>"
    assert await caller.logged("referred") == "202"
    await caller.gets_keys("12#")
    await caller.held()
    await caller.held(False)
    assert await caller.sends("MESSAGE", "hello") == 299
    assert await caller.sends("MESSAGE", "other") == 488
    caller.hangs_up()


async def test_requests_that_nobody_takes(sim: Stage) -> None:
    caller = await sim.call(app, to="sip:untaken@example")
    await caller.answered()
    assert await caller.sends("MESSAGE", "hello") == 501
    assert await caller.sends("OPTIONS") == 200
    caller.hangs_up()


async def test_a_limit(sim: Stage) -> None:
    caller = await sim.call(app, to="sip:limit@example")
    assert await caller.ended() == "app"


async def test_targets_in_turn_and_the_bridge_taken_off(sim: Stage) -> None:
    first, second = sim.dials("sip:one@gw.example", rejected=503), sim.dials("sip:two@gw.example")
    caller = await sim.call(app, to="sip:turns@example")
    await first.called()
    assert await caller.logged("stopped") == "yes"
    await caller.talks_with(second)
    caller.press("1")
    await caller.hears("busy.wav")
    await caller.talks_with(second)
    second.hangs_up()
    assert await caller.logged("gone") == "yes"
    caller.hangs_up()


async def test_targets_at_once(sim: Stage) -> None:
    sim.dials("sip:one@gw.example", rejected=486), sim.dials("sip:two@gw.example", rejected=603)
    rings, callee = sim.dials("sip:three@gw.example", rings=True), sim.dials("sip:four@gw.example", rings=True)
    caller = await sim.call(app, to="sip:all@example")
    assert await caller.logged("failed") == "603"
    await rings.called()
    await callee.called()
    callee.answers()
    assert await rings.ended() == "app"
    await caller.talks_with(callee)
    assert await caller.sends("MESSAGE", "to the other side") == 200
    assert (await callee.asked("MESSAGE"))["body"] == "to the other side"
    callee.hangs_up()
    assert await caller.ended() == "app"


async def test_who_answers_is_asked(sim: Stage) -> None:
    first, second = sim.dials("sip:one@gw.example"), sim.dials("sip:two@gw.example")
    caller = await sim.call(app, to="sip:confirm@example")
    await first.called()
    await first.hears("enter_pin.wav")
    await first.hears("enter_number.wav")
    await caller.hears("music.wav")
    first.press("2")
    assert await first.ended() == "app"
    await second.called()
    await second.hears("enter_pin.wav")
    await second.hears("enter_number.wav")
    second.press("1")
    await caller.talks_with(second)
    assert (await caller.logged("connected")).startswith("sip:two@gw.example")
    second.hangs_up()
    assert await caller.logged("gone") == "yes"
    caller.hangs_up()


async def test_nobody_is_rung_for_a_program_that_waits_no_more(sim: Stage) -> None:
    rings, callee = sim.dials("sip:1@gw.example", rings=True), sim.dials("sip:2@gw.example")
    caller = await sim.call(app, to="sip:impatient@example")
    await caller.answered()
    await rings.called()
    caller.press("1")
    assert await rings.ended() == "app" and await caller.logged("given_up") == "1"
    await caller.talks_with(callee)
    caller.hangs_up()
    assert await callee.ended() == "app"


@in_virtual_time  # with a real server: tests/peers/test_python_apps.py
async def test_the_class_of_2009(sim: Stage) -> None:
    callee = sim.dials("sip:bob@127.0.0.1:99")
    caller = await sim.call(Oldstyle, headers=["X-Callee: 99"])
    assert await caller.answered() == 200
    await sim.wait(1)
    assert await caller.logged("heard") == "start invite-99 session timer1 "
    caller.press("1")
    await caller.hears("wrong_pin.wav")
    await sim.wait(0.5)
    assert (await caller.logged("heard")).endswith("timer1 key1 empty ")
    assert await caller.sends("MESSAGE", "x") == 299
    caller.press("2")
    await caller.talks_with(callee)
    await sim.wait(0.2)
    assert (await caller.logged("heard")).endswith("key2 other180 other200 ")
    callee.hangs_up()
    assert await caller.ended() == "app"


@in_virtual_time  # with a real server: tests/peers/test_python_apps.py
async def test_a_script_for_sems(sim: Stage) -> None:
    callee = sim.dials("sip:bob@127.0.0.1:99", rings=True)
    script = ROOT / "tests" / "support" / "python_apps" / "survey.py"
    caller = await sim.call(script, to="sip:survey@example", headers=["X-Callee: 99"], config={"greeting": "enter_pin.wav"})
    await caller.hears("enter_pin.wav")
    await sim.wait(0.5)
    for key, seconds in (("8", 1.0), ("4", 1.0), ("2", 2.0), ("6", 1.0)):
        caller.press(key)
        await sim.wait(seconds)
    heard = "invite:99::survey session empty key8 notimer0 timer3 key4 empty key2 empty key6 reply-OPTIONS-200"
    assert await caller.logged("heard") == heard
    caller.press("1")
    await caller.hears("wrong_pin.wav")
    assert await caller.sends("MESSAGE", "hello") == 202
    caller.press("3")
    await callee.called()
    callee.answers()
    await caller.talks_with(callee)
    caller.press("9")
    assert await caller.ended() == "app"


async def test_functions_of_the_application(sim: Stage) -> None:
    caller = await sim.call(app, to="sip:untaken@example")
    await caller.answered()
    assert await sim.invoke(app, "add", 2, 3) == 5 and await sim.invoke(app, "add", 2) == 3
    with pytest.raises(RuntimeError, match="right is a number from 0 up"):
        await sim.invoke(app, "add", -1)
    caller.hangs_up()


async def test_a_function_of_others_may_fail(sim: Stage) -> None:
    def find(pin: object) -> object:
        raise LookupError(f"no database for {pin}")

    sim.di("accounts.find", find)
    caller = await sim.call(app, to="sip:card@example")
    await caller.hears("enter_pin.wav")
    caller.press("12#")
    assert await caller.ended() == "app"
    assert "no database for 12" in sim.faults()[0]
    with pytest.raises(CallFailed, match="no database for 5"):
        await worker_of[0].di("accounts", "find", "5")
