# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine, rule by rule (spec dsm.md §3)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from di.dsm.language.errors import DsmException, RunawayScript
from di.dsm.language.event import Event, Kind
from di.dsm.language.library import Library, Res, action
from di.dsm.language.reader import read_diagram
from di.dsm.load.modules import Modules, core_library
from di.dsm.run import engine
from di.dsm.run.drivers import deliver, run_now
from di.dsm.run.simulated import SimulatedSession
from tests.support.dsm_scripts import MemoryFiles, Scene


def test_first_match_wins_and_order_is_exit_actions_enter() -> None:
    scene = Scene(
        "initial state A exit { append($l, x) }; state B enter { append($l, e) }; state C;"
        "transition one A - key / append($l, 1) -> B; transition two A - key / append($l, 2) -> C;"
    )
    scene.key(1)
    assert (scene.state, scene.vars["l"]) == ("B", "x1e")


def test_break_outside_a_loop_cancels_the_transition() -> None:
    scene = Scene("initial state A; state B enter { set($in=1) }; transition t A - key / { set($a=1); break; set($b=1) } -> B;")
    scene.key(1)
    assert (scene.state, "a" in scene.vars, "b" in scene.vars, "in" in scene.vars) == ("A", True, False, False)


def test_unknown_target_runs_actions_and_stays() -> None:
    scene = Scene("initial state A; transition t A - key / set($a=1) -> NOWHERE;")
    scene.key(1)
    assert (scene.state, scene.vars["a"]) == ("A", "1")


def test_sub_fsm_returns_to_the_source_state_and_runs_the_rest() -> None:
    scene = Scene(
        "initial state A; state B; transition t A - key(#key==1) / { set($x=1); callFSM(sub); set($rest=#key) } -> B;",
        sub="initial state S enter { append($l, S) }; transition r S - key(#key==2) / returnFSM() -> S;",
    )
    scene.key(1)
    assert (scene.state, scene.machine.diagram.name) == ("S", "sub")  # type: ignore[union-attr]
    scene.key(2)
    assert (scene.state, scene.vars["rest"]) == ("A", "2")


def test_repost_then_call_lets_the_sub_fsm_see_the_event() -> None:
    scene = Scene(
        "initial state A; transition t A - key / { repost(); callFSM(sub) } -> A;",
        sub="initial state S; state T; transition r S - key -> T;",
    )
    scene.key(1)
    assert scene.state == "T"


def test_repost_in_a_jumped_enter_list_is_lost() -> None:
    scene = Scene(
        "initial state A; transition t A - key / jumpFSM(sub) -> A;",
        sub="initial state S enter { repost() }; state T; transition r S - key -> T;",
    )
    scene.key(1)
    assert scene.state == "S"


def test_unknown_diagram_lets_the_list_go_on_but_keeps_the_frame() -> None:
    scene = Scene("initial state A; state B; transition t A - key / { callFSM(nope); set($a=1) } -> B;")
    scene.key(1)
    assert (scene.state, scene.vars["a"], len(scene.machine.stack)) == ("B", "1", 1)


def test_exception_in_the_handler_replaces_the_current_one() -> None:
    scene = Scene(
        "initial state A; state B; transition t A - key / throw(one) -> B;"
        "transition x A - exception; test(#type==one) / throw(two, a=b;c=;=d) -> B;"
        "transition y A - exception; test(#type==two) / sets($got=$(#)#type #a) -> B;"
    )
    scene.key(1)
    assert scene.state == "B"


def test_unhandled_exception_is_dropped_and_the_next_event_is_normal() -> None:
    scene = Scene("initial state A; state B; transition t A - key(#key==1) / throw(one) -> B; transition u A - key -> B;")
    scene.key(1)
    assert scene.state == "A"
    scene.key(2)
    assert scene.state == "B"


def test_exception_while_starting_keeps_the_start_event() -> None:
    scene = Scene("initial state A enter { throw(oops, w=z) }; state B; transition t A - exception; start; test(#w==z) -> B;")
    assert scene.state == "B"


@pytest.mark.parametrize(
    ("loop", "log"),
    [
        ("for ($i in range(3))", "0,1,2,"), ("for ($i in range(3,0))", "3,2,1,"), ("for (i in range($n))", "0,1,"),
        ("for ($i in range(x))", ""), ("for ($i in arr)", "".join(f"v{n}," for n in range(12))), ("for ($k, $i in st)", "1,2,"),
    ],
)  # fmt: skip
def test_loops(loop: str, log: str) -> None:
    fill = (
        "".join(f"set($arr[{n}]=v{n});" for n in range(12))
        + "set($n=2); set($st.a=1); set($st.b=2); set($stuff.x=9); set($st=7);"
    )
    scene = Scene(f"initial state A enter {{ {fill} {loop} {{ append($l, $i); append($l, ','); }} }};")
    assert scene.vars.get("l", "") == log
    assert "i" not in scene.vars and "k" not in scene.vars


def test_break_in_an_if_ends_the_loop_only() -> None:
    scene = Scene("initial state A enter { for ($i in range(9)) { if test($i==2) { break } append($l,$i) } set($after=1) };")
    assert (scene.vars["l"], scene.vars["after"]) == ("01", "1")


def test_nested_event_sees_the_source_state_and_is_overridden() -> None:
    scene = Scene(
        "import(mod_dlg); initial state A; state B; state C;"
        "transition t A - invite / dlg.acceptInvite() -> B; transition s A - sessionStart / set($nested=1) -> C;"
    )
    scene.event(Kind.INVITE)
    assert (scene.state, scene.vars["nested"]) == ("B", "1")


def test_set_of_a_parameter_needs_a_map() -> None:
    scene = Scene("initial state A; transition t A - sipRequest / set(#processed=true) -> A;")
    assert scene.event(Kind.SIP_REQUEST, method="OPTIONS").processed
    event = Event(Kind.SIP_REQUEST)
    run_now(scene.machine.run(event))
    assert event.params is None


def test_endless_repost_ends_the_call_and_not_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MAX_STEPS", 20_000)
    scene = Scene("initial state A; transition t A - key / repost() -> A;")
    with pytest.raises(RunawayScript, match="t/A"):
        scene.key(1)


@pytest.mark.parametrize(
    ("script", "each"),
    [
        ("initial state A enter { throw(again) }; transition again A - exception -> A;", 110),
        ("initial state A; transition over A - key / repost() -> B; state B; transition back B - key / repost() -> A;", 11),
    ],
)
def test_states_that_follow_each_other_without_end_give_others_their_turn_and_end(
    script: str, each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "MAX_STEPS", 20_000)
    scene, moves = Scene(script, start=False), [0]

    class Counts:
        def position_changed(self, diagram: str, state: str) -> None:
            moves[-1] += 1

        def transition_taken(self, transition: object) -> None: ...
        def action_called(self, call: object) -> None: ...

    scene.machine.watcher = Counts()
    with pytest.raises(RunawayScript):
        for _ in scene.machine.start("t", Kind.KEY):
            moves.append(0)
    assert len(moves) > 5
    assert max(moves) <= engine.PAUSE_AFTER_STEPS // each + 2


@pytest.mark.parametrize("loop", ["for ($i in range(2000000000)) { }", "for ($i in range(2000000000)) { set($a=1) }"])
def test_a_long_loop_gives_others_their_turn(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MAX_STEPS", 20_000)
    with pytest.raises(RunawayScript):
        Scene(f"initial state A enter {{ {loop} }};")


class _Waiting:
    """A module whose action waits."""

    def __init__(self) -> None:
        self.gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def library(self) -> Library:
        waiting = self

        @action("wait.gate")
        def gate(run: engine.Run, then: Res) -> Awaitable[object]:
            async def wait() -> None:
                await waiting.gate
                if then:
                    raise DsmException(then)

            return wait()

        library = Library("mod_wait")
        library.actions["wait.gate"] = gate.dsm_definitions[0]
        return library


@pytest.mark.parametrize(("thrown", "state"), [("", "B"), ("late", "X")])
async def test_an_action_that_waits_holds_its_own_event_only(thrown: str, state: str) -> None:
    module = _Waiting()
    text = (
        f"import(mod_wait); initial state A; state B; state X; transition t A - key / {{ wait.gate({thrown}); set($done=1) }} -> B;"
        "transition x A - exception; test(#type==late) -> X;"
    )
    modules = Modules()
    reading = read_diagram(
        "t", "t", text, loader=MemoryFiles(), core=core_library(),
        find_module=lambda name: module.library() if name == "mod_wait" else modules.find(name),
    )  # fmt: skip
    assert reading.diagram is not None
    machine = engine.Machine({"t": reading.diagram}, SimulatedSession())
    assert deliver(machine.start("t", Kind.START)) is None
    waiting = deliver(machine.run(Event(Kind.KEY, {"key": "1"})))
    assert waiting is not None and "done" not in machine.vars
    module.gate.set_result(None)
    await waiting
    assert machine.state is not None and machine.state.name == state
