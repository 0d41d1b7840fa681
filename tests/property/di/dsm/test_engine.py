# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine against a small interpreter written from the rules of spec dsm.md §3 alone, on random diagrams and events."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from di.dsm.language.event import Event, Kind
from di.dsm.run.drivers import run_now
from di.dsm.run.engine import Machine
from di.dsm.run.pack import pack, restore
from di.dsm.run.simulated import SimulatedSession
from tests.support.dsm_scripts import load
from tests.support.sizes import size

STATES, DIAGRAMS, KEYS, BUDGET = "ABC", ("t", "u"), (1, 2), 6
Node = tuple[Any, ...]


def statements(depth: int) -> st.SearchStrategy[list[Node]]:
    leaves = st.one_of(
        st.tuples(st.just("log"), st.sampled_from("pqrs")),
        st.sampled_from(
            [("repost",), ("break",), ("throw",), ("call", "u"), ("jump", "u"), ("jump", "t"), ("return",), ("call", "none")]
        ),
    )
    if depth:
        inner = statements(depth - 1)
        leaves = st.one_of(
            leaves,
            leaves,
            st.tuples(st.just("if"), st.sampled_from(KEYS), inner, inner),
            st.tuples(st.just("for"), st.integers(0, 2), inner),
        )
    return st.lists(leaves, max_size=3)


transitions = st.tuples(
    st.sampled_from(STATES),
    st.sampled_from([*STATES, "Z"]),
    st.sampled_from([0, *KEYS]),
    st.booleans(),
    st.booleans(),
    statements(1),
)
diagrams = st.fixed_dictionaries(
    {
        name: st.tuples(*[st.tuples(statements(1), statements(0)) for _ in STATES], st.lists(transitions, max_size=5))
        for name in DIAGRAMS
    }
)


def text_of(nodes: list[Node]) -> str:
    parts = []
    for node in nodes:
        match node:
            case ("log", word):
                parts.append(f"append($log, {word});")
            case ("call", "none"):
                parts.append("callFSM(none);")
            case ("repost" | "throw" | "call" | "jump" as name, *rest):
                call = {"repost": "repost()", "throw": "throw(oops)"}.get(name) or f"{name}FSM({rest[0]})"
                after = "append($log, k);" if name == "call" else ""
                parts.append(f"if test($n < {BUDGET}) {{ inc($n); {call}; {after} }}")
            case ("return",):
                parts.append("returnFSM();")
            case ("break",):
                parts.append("break;")
            case ("if", key, then, otherwise):
                parts.append(f"if test(#key == {key}) {{ {text_of(then)} }} else {{ {text_of(otherwise)} }}")
            case ("for", count, body):
                parts.append(f"for ($i in range({count})) {{ {text_of(body)} }}")
    return " ".join(parts)


def script(spec: Any) -> str:
    *states, edges = spec
    parts = [
        f"{'initial ' if name == 'A' else ''}state {name} enter {{ append($log, e{name}); {text_of(enter)} }} "
        f"exit {{ append($log, x{name}); {text_of(leave)} }};"
        for name, (enter, leave) in zip(STATES, states, strict=True)
    ]
    for number, (source, target, key, negated, exception, actions) in enumerate(edges):
        test = f"{'not ' if negated else ''}test(#key == {key}); " if key else ""
        parts.append(
            f"transition t{number} {source} - {test}{'exception' if exception else ''} "
            f"/ {{ append($log, t{number}); {text_of(actions)} }} -> {target};"
        )
    return "\n".join(parts)


class Thrown(Exception):
    pass


@dataclass
class Reference:
    """Straight from the text of the specification, with Python's own recursion."""

    specs: dict[str, Any]
    log: str = ""
    n: int = 0
    diagram: str = ""
    state: str = ""
    stack: list[tuple[str, str, list[Node]]] = field(default_factory=list)
    reposted: bool = False
    broken: bool = False
    key: str = ""

    def jump(self, name: str) -> bool:
        if name not in self.specs:
            return False
        self.diagram, self.state = name, "A"
        was, self.reposted = self.reposted, False
        try:
            self.list(self.enter_list("A"))
        finally:
            self.reposted = was
        self.broken = False
        return True

    def enter_list(self, state: str) -> list[Node]:
        return [("log", "e" + state), *self.specs[self.diagram][STATES.index(state)][0]]

    def exit_list(self, state: str) -> list[Node]:
        return [("log", "x" + state), *self.specs[self.diagram][STATES.index(state)][1]]

    def list(self, nodes: list[Node]) -> bool:
        return any(self.one(node, nodes[at + 1 :]) for at, node in enumerate(nodes))

    def one(self, node: Node, rest: list[Node]) -> bool:
        match node:
            case ("log", word):
                self.log += word
            case ("call", "none"):
                self.stack.append((self.diagram, self.state, rest))
            case ("repost" | "throw" | "jump" | "call" as name, *arguments):
                if self.n >= BUDGET:
                    return False
                self.n += 1
                if name == "throw":
                    raise Thrown
                if name == "repost":
                    self.reposted = True
                    return False
                if name == "call":
                    self.stack.append((self.diagram, self.state, [("log", "k")]))
                return self.jump(arguments[0])
            case ("return",):
                if not self.stack:
                    return False
                self.diagram, self.state, saved = self.stack.pop()
                was, self.reposted = self.reposted, False
                self.list(saved)
                self.reposted, self.broken = was, False
                return True
            case ("break",):
                self.broken = True
                return True
            case ("if", key, then, otherwise):
                return self.list(then if self.key == str(key) else otherwise)
            case ("for", count, body):
                for _ in range(count):
                    self.broken = False
                    self.list(body)
                    if self.broken:
                        break
                self.broken = False
        return False

    def run(self, key: str, exception: bool = False) -> None:
        self.key = key
        while True:
            self.reposted = False
            try:
                self.one_pass(exception)
            except Thrown:
                exception, self.key = True, ""
                continue
            if not self.reposted:
                return

    def one_pass(self, exception: bool) -> None:
        state, diagram = self.state, self.diagram
        for number, (source, target, wanted, negated, is_exception, actions) in enumerate(self.specs[diagram][-1]):
            if source != state or is_exception is not exception or (wanted and (self.key == str(wanted)) is negated):
                continue
            if self.list(self.exit_list(state)) or self.list([("log", f"t{number}"), *actions]) or target == "Z":
                return
            self.diagram, self.state = diagram, target
            self.list(self.enter_list(target))
            return

    def start(self) -> None:
        try:
            self.jump("t")
        except Thrown:
            self.run("", exception=True)
            return
        self.run("")


@settings(max_examples=size(150, 20_000), deadline=None)
@given(diagrams, st.lists(st.sampled_from(KEYS), max_size=4))
def test_engine_agrees_with_the_reference(specs: dict[str, Any], keys: list[int]) -> None:
    reference = Reference(specs)
    machine = Machine({name: load(script(spec), name) for name, spec in specs.items()}, SimulatedSession())
    reference.start()
    run_now(machine.start("t", Kind.START))
    seen = [(machine.diagram.name, machine.state.name, machine.vars.get("log", ""), len(machine.stack))]  # type: ignore[union-attr]
    assert seen[-1] == (reference.diagram, reference.state, reference.log, len(reference.stack))
    for key in keys:
        reference.n = 0
        machine.vars["n"] = "0"
        reference.run(str(key))
        run_now(machine.run(Event(Kind.KEY, {"key": str(key)})))
        got = (machine.diagram.name, machine.state.name, machine.vars.get("log", ""), len(machine.stack))  # type: ignore[union-attr]
        assert got == (reference.diagram, reference.state, reference.log, len(reference.stack))


@settings(max_examples=size(80, 5_000), deadline=None)
@given(diagrams, st.lists(st.sampled_from(KEYS), max_size=3), st.lists(st.sampled_from(KEYS), max_size=3))
def test_a_packed_call_goes_on_as_if_nothing_had_happened(specs: dict[str, Any], before: list[int], after: list[int]) -> None:
    texts = {name: script(spec) for name, spec in specs.items()}
    one = Machine({name: load(text, name) for name, text in texts.items()}, SimulatedSession())
    run_now(one.start("t", Kind.START))
    for key in before:
        run_now(one.run(Event(Kind.KEY, {"key": str(key)})))
    data = json.loads(json.dumps(pack(one, {7: 1500})))
    two = Machine({name: load(text, name) for name, text in texts.items()}, SimulatedSession())
    assert restore(two, data) == {7: 1500}
    for key in after:
        for machine in (one, two):
            run_now(machine.run(Event(Kind.KEY, {"key": str(key)})))
    assert json.loads(json.dumps(pack(two))) == json.loads(json.dumps(pack(one)))
