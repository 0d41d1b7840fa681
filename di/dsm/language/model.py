# SPDX-License-Identifier: GPL-2.0-or-later
"""A diagram as data: what the reader makes, the engine runs, and check and graph look at. Nothing here changes after loading."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from di.dsm.language.errors import NO_POSITION, Position
from di.dsm.language.event import Event, Kind
from di.dsm.language.values import Scope


@dataclass(slots=True)
class Nested:
    """An action's answer: run this event now, inside the running list (spec dsm.md §3.7), then call `after`."""

    event: Event
    after: Callable[[], None] | None = None


Outcome: TypeAlias = Awaitable[object] | Nested | None
"""What an action may return: nothing, something to wait for, or an event to run at once."""
Performer: TypeAlias = Callable[[Scope], Outcome]
"""Called with the run that the event is processed in (`di.dsm.run.engine`)."""
Predicate: TypeAlias = Callable[[Scope], bool | Awaitable[bool]]
Steps: TypeAlias = "Generator[Awaitable[object], Any, bool]"


@dataclass(frozen=True, slots=True)
class Call:
    """An action with its parameters as written. `control`: repost, break, jumpFSM, callFSM, returnFSM, which the engine does itself."""

    name: str
    parameters: str
    position: Position
    perform: Performer = field(compare=False, repr=False)
    control: str = ""

    @property
    def text(self) -> str:
        """As written, for logs and drawings."""
        return f"{self.name}({self.parameters})"


@dataclass(frozen=True, slots=True)
class Test:
    """One condition. `kind` None fits every event; `matches` None needs nothing more than the kind."""

    name: str
    parameters: str
    position: Position
    negated: bool
    kind: Kind | None
    matches: Predicate | None = field(compare=False, repr=False)

    @property
    def text(self) -> str:
        """As written, for logs and drawings."""
        call = f"{self.name}({self.parameters})" if self.parameters else self.name
        return f"not {call}" if self.negated else call


@dataclass(frozen=True, slots=True)
class If:
    """All of `tests` hold: `then`, else `otherwise`."""

    tests: tuple[Test, ...]
    then: Statements
    otherwise: Statements
    position: Position


@dataclass(frozen=True, slots=True)
class For:
    """A loop. `form` is array, struct or range; `key` is used by struct only; `first`/`last` by range only."""

    form: str
    value: str
    body: Statements
    position: Position
    key: str = ""
    name: str = ""
    first: str = "0"
    last: str = ""


Statement: TypeAlias = Call | If | For


@dataclass(frozen=True, slots=True)
class Statements:
    """A list of statements. `number` counts the lists of a diagram in reading order, so that a saved call finds its list again."""

    items: tuple[Statement, ...] = ()
    number: int = -1


EMPTY = Statements()


@dataclass(frozen=True, slots=True)
class Transition:
    """An edge. It stands in every one of its source states."""

    name: str
    sources: tuple[str, ...]
    target: str
    tests: tuple[Test, ...]
    actions: Statements
    is_exception: bool
    position: Position


@dataclass(frozen=True, slots=True)
class State:
    """A node with the transitions that leave it, in file order."""

    name: str
    enter: Statements
    leave: Statements
    transitions: tuple[Transition, ...]
    position: Position


@dataclass(frozen=True)
class Diagram:
    """One script."""

    name: str
    states: tuple[State, ...]
    initial: str = ""
    imports: tuple[str, ...] = ()
    libraries: tuple[object, ...] = ()
    position: Position = NO_POSITION
    by_name: dict[str, State] = field(default_factory=dict, compare=False, repr=False)
    lists: dict[int, Statements] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        for state in self.states:
            self.by_name.setdefault(state.name, state)
            for found in state_lists(state):
                self.lists[found.number] = found

    @property
    def transitions(self) -> tuple[Transition, ...]:
        """Every transition once, in file order."""
        found: dict[int, Transition] = {}
        for state in self.states:
            for transition in state.transitions:
                found[id(transition)] = transition
        return tuple(sorted(found.values(), key=lambda t: (t.actions.number, t.position.line, t.position.column)))


def state_lists(state: State) -> Iterator[Statements]:
    """Every statement list in a state and its transitions, nested ones too."""
    for top in (state.enter, state.leave, *(transition.actions for transition in state.transitions)):
        yield from nested_lists(top)


def nested_lists(top: Statements) -> Iterator[Statements]:
    """A list and all lists inside it."""
    yield top
    for item in top.items:
        if isinstance(item, If):
            yield from nested_lists(item.then)
            yield from nested_lists(item.otherwise)
        elif isinstance(item, For):
            yield from nested_lists(item.body)


def calls(top: Statements) -> Iterator[Call]:
    """Every action in a list, nested ones too."""
    for found in nested_lists(top):
        for item in found.items:
            if isinstance(item, Call):
                yield item


def tests(top: Statements) -> Iterator[Test]:
    """Every condition of an `if` in a list."""
    for found in nested_lists(top):
        for item in found.items:
            if isinstance(item, If):
                yield from item.tests
