# SPDX-License-Identifier: GPL-2.0-or-later
"""Doubts about a diagram that can be read: SEMS's consistency check (spec dsm.md §1.8) and more for `cordboard dsm check`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator

from di.dsm.language.errors import Doubt, Position
from di.dsm.language.model import Call, Diagram, For, State, Statements, Test, calls, nested_lists, tests

_READ = re.compile(r"\$[(\"']?([A-Za-z_][\w.\[\]]*)")
_WRITES_FIRST = re.compile(r"\s*\$?([A-Za-z_][\w.\[\]]*)")
_WRITERS = ("set", "sets", "eval", "inc", "append")
_GIVEN = re.compile(
    r"(config|DI_res|db|curl|aws|regex|count_file|xml|dlg|prompts)\b.*|errno|strerror|hdrs|index|.*\.index|record_\w+|mon_session_record|"
    r"connect_\w+|accept_\w+|enable_\w+|b2b_\w+|match_connection_addr|DI_res.*"
)


def findings(diagram: Diagram, *, full: bool = True, known: Iterable[str] = ()) -> list[Doubt]:
    """What is doubtful. Without `full` only what SEMS warns of; `known` names the other diagrams of the collection."""
    found = [*_initial(diagram), *_targets(diagram), *_without_hangup(diagram)]
    if full:
        found += [*_unreachable(diagram), *_dead_ends(diagram), *_unknown_diagrams(diagram, set(known)), *_misspelt(diagram)]
    return sorted(found, key=lambda warning: (warning.position.file, warning.position.line, warning.position.column))


def _initial(diagram: Diagram) -> Iterator[Doubt]:
    if not diagram.initial:
        yield Doubt(diagram.position, f"diagram {diagram.name} has no initial state; it cannot be started")


def _targets(diagram: Diagram) -> Iterator[Doubt]:
    for transition in diagram.transitions:
        if transition.target not in diagram.by_name:
            near = difflib.get_close_matches(transition.target, diagram.by_name, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            target = transition.target or "(nothing)"
            yield Doubt(transition.position, f"transition {transition.name!r} goes to {target}, which is no state{hint}")


def _without_hangup(diagram: Diagram) -> Iterator[Doubt]:
    for state in diagram.states:
        if not state.transitions and _ends(diagram, state):
            continue
        if not any(test.name == "hangup" for transition in state.transitions for test in transition.tests):
            yield Doubt(state.position, f"state {state.name} has no transition with the condition hangup")


def _unreachable(diagram: Diagram) -> Iterator[Doubt]:
    reached: set[str] = set()
    waiting = [diagram.initial]
    while waiting:
        state = diagram.by_name.get(waiting.pop())
        if state is not None and state.name not in reached:
            reached.add(state.name)
            waiting += [transition.target for transition in state.transitions]
    for state in diagram.states:
        if diagram.initial and state.name not in reached:
            yield Doubt(state.position, f"state {state.name} cannot be reached from {diagram.initial}")


def _dead_ends(diagram: Diagram) -> Iterator[Doubt]:
    for state in diagram.states:
        if not state.transitions and not _ends(diagram, state):
            yield Doubt(state.position, f"state {state.name} has no way out, and nothing stops the call before it")


def _ends(diagram: Diagram, state: State) -> bool:
    """Whether the call is over in a state: every way into it, or its enter list, stops, jumps or returns."""
    leaving = {"stop", "jumpFSM", "callFSM", "returnFSM", "dlg.bye"}
    if any(call.name in leaving for call in calls(state.enter)):
        return True
    ways = [transition for transition in diagram.transitions if transition.target == state.name]
    return bool(ways) and all(any(call.name in leaving for call in calls(way.actions)) for way in ways)


def _all_calls(diagram: Diagram) -> Iterator[Call]:
    for state in diagram.states:
        yield from calls(state.enter)
        yield from calls(state.leave)
    for transition in diagram.transitions:
        yield from calls(transition.actions)


def _lists(state: State) -> Iterator[Statements]:
    yield from (state.enter, state.leave, *(transition.actions for transition in state.transitions))


def _all_tests(diagram: Diagram) -> Iterator[Test]:
    for state in diagram.states:
        for top in _lists(state):
            yield from tests(top)
        for transition in state.transitions:
            yield from transition.tests


def _unknown_diagrams(diagram: Diagram, known: set[str]) -> Iterator[Doubt]:
    for call in _all_calls(diagram):
        target = call.parameters.strip(" \t\"'")
        if (
            call.control in ("jumpFSM", "callFSM")
            and target[:1] not in ("$", "#", "@")
            and known
            and target not in known | {diagram.name}
        ):
            yield Doubt(call.position, f"{call.control}({target}): no diagram of this name is among those given")


def _misspelt(diagram: Diagram) -> Iterator[Doubt]:
    """Variables that are read and never written while one of nearly the same name is."""
    written = _written(diagram)
    for name, position in _reads(diagram).items():
        if name in written or _GIVEN.fullmatch(name) or any(other.startswith((name + ".", name + "[")) for other in written):
            continue
        near = difflib.get_close_matches(name, written, 1, 0.8)
        if near:
            yield Doubt(position, f"variable ${name} is never set; did you mean ${near[0]}?")


def _written_first(call: Call) -> re.Match[str] | None:
    """The first parameter of a call that may write it."""
    return _WRITES_FIRST.match(call.parameters)


def _written(diagram: Diagram) -> set[str]:
    """Variables that a call or a loop may write."""
    written: set[str] = set()
    for call in _all_calls(diagram):
        first = _written_first(call)
        if first is not None and (call.parameters.lstrip().startswith("$") or call.name in _WRITERS):
            written.add(first.group(1))
    lists = (inner for state in diagram.states for top in _lists(state) for inner in nested_lists(top))
    loops = (item for inner in lists for item in inner.items if isinstance(item, For))
    written.update(name.lstrip("$") for loop in loops for name in (loop.key, loop.value) if name)
    return written


def _reads(diagram: Diagram) -> dict[str, Position]:
    """Where each variable that is read is read first, calls before tests."""
    places: dict[str, Position] = {}
    for call in _all_calls(diagram):
        first = _written_first(call)
        for part in _READ.finditer(call.parameters):
            if first is None or part.start(1) != first.start(1):
                places.setdefault(part.group(1), call.position)
    for test in _all_tests(diagram):
        for part in _READ.finditer(test.parameters):
            places.setdefault(part.group(1), test.position)
    return places
