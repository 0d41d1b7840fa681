# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine that runs diagrams: one event at a time, first matching transition wins (spec dsm.md §3).

    event ─► transitions of the current state, file order ─► exit list ─► transition list ─► new state ─► enter list ─► repost? again

`Machine.run` is a generator. It yields only what an action wants to wait for (and `PAUSE` when a script computes for long), so an event
whose actions do not wait is run by a single `next()`. `di.dsm.run.drivers` drives it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from di.dsm.language import arrays
from di.dsm.language.errors import DsmException, RunawayScript
from di.dsm.language.event import Event, Kind, Params
from di.dsm.language.model import Call, Diagram, For, If, Nested, State, Statements, Steps, Test, Transition
from di.dsm.language.numbers import signed
from di.dsm.language.values import resolve, variable_name
from di.dsm.run.drivers import PAUSE
from di.dsm.run.ports import DsmSession
from di.dsm.run.unhandled import Unhandled

log = logging.getLogger(__name__)

PAUSE_AFTER_STEPS = 2_000
"""After so many statements within one event the other calls get their turn."""
MAX_STEPS = 5_000_000
"""More statements within one event are taken for an endless loop; SEMS spins forever (Q9)."""
MOVE_STEPS = 10
EXCEPTION_STEPS = 100
"""What a change of state, which is logged and told to listeners, and an exception count for beside a statement: about their cost."""
MAX_STACK = 10_000
"""callFSM without returnFSM may pile up so many entries."""


class Watcher(Protocol):
    """Who wants to know what a machine does."""

    def position_changed(self, diagram: str, state: str) -> None:
        """The machine is in another state, by transition, jump, call or return."""

    def transition_taken(self, transition: Transition) -> None:
        """A transition is about to run."""

    def action_called(self, call: Call) -> None:
        """An action is about to run."""


class Run:
    """One event being processed: what actions and conditions get. `vars` and `params` are the live maps."""

    __slots__ = ("avars", "broken", "event", "machine", "params", "reposted", "session", "vars")

    def __init__(self, machine: Machine, event: Event) -> None:
        self.machine = machine
        self.event = event
        self.params: Params | None = event.params
        self.vars = machine.vars
        self.avars = machine.avars
        self.session = machine.session
        self.reposted = False
        self.broken = False

    def select(self, name: str) -> str:
        """A property of the SIP dialog (spec dsm.md §2.5)."""
        return self.session.select(name)

    def resolve(self, text: str) -> str:
        """The value that text stands for (spec dsm.md §2.2), for parts that an action splits off itself."""
        return resolve(text, self)

    def ok(self) -> None:
        """Clear `$errno`; `$strerror` stays."""
        self.machine.unhandled.overwritten()
        self.vars["errno"] = ""

    def fail(self, errno: str, text: str) -> None:
        """Set `$errno` and `$strerror` (spec dsm.md §6)."""
        self.machine.unhandled.failed(errno, text)
        self.vars["errno"] = errno
        self.vars["strerror"] = text

    def errno_read(self) -> None:
        """The script looks at `$errno` or `$strerror`."""
        self.machine.unhandled.looked_at()

    def set_target(self, target: str, value: str) -> None:
        """Assign to `$name`, `name` or `#name`; a parameter of an event without parameters is ignored."""
        if target.startswith("#"):
            if self.params is not None:
                self.params[target[1:]] = value
        else:
            name = target[1:] if target.startswith("$") else target  # `variable_name`, which costs a call more
            if name == "errno":
                self.machine.unhandled.looked_at()
            self.vars[name] = value


@dataclass(slots=True)
class Frame:
    """Where callFSM came from: diagram, state, and the rest of the list after the call."""

    diagram: Diagram
    state: State
    rest: Statements
    at: int


class Machine:
    """The running diagrams of one call: position, return stack, variables. Change nothing from outside while an event runs."""

    def __init__(self, diagrams: Mapping[str, Diagram], session: DsmSession, watcher: Watcher | None = None) -> None:
        self.diagrams = diagrams
        self.session = session
        self.watcher = watcher
        self.trace = False
        self.vars: dict[str, str] = {}
        self.avars: dict[str, object] = {}
        self.diagram: Diagram | None = None
        self.state: State | None = None
        self.stack: list[Frame] = []
        self.unhandled = Unhandled()
        self._steps = 0
        self._paused_at = 0
        self._depth = 0

    # ---------------------------------------------------------------------------------------------------------- events
    def start(self, name: str, kind: Kind) -> Steps:
        """Enter a diagram and give it its first event. A missing one is logged; the machine stays dead (spec dsm.md §3.6)."""
        self._steps = self._paused_at = 0
        try:
            if not (yield from self._jump(name, Event(kind))):
                return False
        except DsmException as thrown:
            return (yield from self.run(Event(kind, dict(thrown.fields)), as_exception=True))
        return (yield from self.run(Event(kind)))

    def run(self, event: Event, as_exception: bool = False) -> Steps:
        """Process one event. Its answer says whether a transition was taken. `event.params` holds what the script made of it."""
        if not self._depth:
            self._steps = self._paused_at = 0
        self._depth += 1
        scope = Run(self, event)
        taken = caught = False
        try:
            while self.state is not None:
                scope.reposted = False
                try:
                    took = yield from self._step(scope, as_exception)
                    taken = took or taken
                    if as_exception and not took and not caught:
                        self.unhandled.not_caught(scope.event.params or {})
                    caught = took
                except DsmException as thrown:
                    log.debug("exception in %s: %s", self.state.name, thrown)
                    self._steps += EXCEPTION_STEPS
                    as_exception, caught = True, False
                    scope = Run(self, Event(Kind.EXCEPTION, dict(thrown.fields)))
                    scope.reposted = True
                if not scope.reposted:
                    break
                self._steps += 1
                if self._steps - self._paused_at > PAUSE_AFTER_STEPS:
                    yield self._pause()
            return taken
        finally:
            self._depth -= 1
            if self.unhandled.unread is not None and not self._depth:
                self.unhandled.event_over()

    def _step(self, scope: Run, as_exception: bool) -> Steps:
        """One pass over the current state's transitions, and the first one that holds."""
        state, diagram = self.state, self.diagram
        assert state is not None and diagram is not None
        for transition in state.transitions:
            if transition.is_exception is not as_exception:
                continue
            kind = scope.event.kind
            for test in transition.tests:
                holds: Any = test.kind is None or test.kind is kind
                if holds and test.matches is not None:
                    holds = test.matches(scope)
                    if holds is not True and holds is not False:
                        holds = (yield holds) is True
                if holds is test.negated:
                    break
            else:
                break
        else:
            return False
        if self.watcher is not None:
            self.watcher.transition_taken(transition)
        if state.leave.items and (yield from self._list(state.leave, 0, scope)):
            return True
        if transition.actions.items and (yield from self._list(transition.actions, 0, scope)):
            return True
        target = diagram.by_name.get(transition.target)
        if target is None:
            log.error(
                "%s: there is no state %r in %s; staying in %s", transition.position, transition.target, diagram.name, state.name
            )
            return True
        self._move(diagram, target)
        if target.enter.items:
            yield from self._list(target.enter, 0, scope)
        return True

    def _move(self, diagram: Diagram, state: State) -> None:
        self.diagram, self.state = diagram, state
        self._steps += MOVE_STEPS
        if self.watcher is not None:
            self.watcher.position_changed(diagram.name, state.name)

    def _pause(self) -> Awaitable[object]:
        if self._steps > MAX_STEPS:
            where = f"{self.diagram.name}/{self.state.name}" if self.diagram and self.state else "no state"
            raise RunawayScript(f"more than {MAX_STEPS} statements within one event, in {where}: an endless repost or loop?")
        self._paused_at = self._steps
        return PAUSE

    # ------------------------------------------------------------------------------------------------------ statements
    def _list(self, statements: Statements, at: int, scope: Run) -> Steps:
        """Run a list from `at`. True: "stop", the lists around it end too (spec dsm.md §3.3)."""
        items, unhandled = statements.items, self.unhandled
        self._steps += len(items)
        if self._steps - self._paused_at > PAUSE_AFTER_STEPS:
            yield self._pause()
        while at < len(items):
            item = items[at]
            at += 1
            if isinstance(item, Call):
                if self.trace and self.watcher is not None:
                    self.watcher.action_called(item)
                if item.control:
                    if (yield from self._control(item, statements, at, scope)):
                        return True
                else:
                    unhandled.at = item
                    outcome = item.perform(scope)
                    if outcome is not None:
                        if isinstance(outcome, Nested):
                            yield from self._nested(outcome)
                        else:
                            yield outcome
            elif isinstance(item, If):
                chosen = item.then if (yield from self._all_hold(item.tests, scope)) else item.otherwise
                if chosen.items and (yield from self._list(chosen, 0, scope)):
                    return True
            else:
                yield from self._loop(item, scope)
        return False

    def _nested(self, nested: Nested) -> Steps:
        taken = yield from self.run(nested.event)
        if nested.after is not None:
            nested.after()
        return taken

    def _all_hold(self, tests: tuple[Test, ...], scope: Run) -> Steps:
        for test in tests:
            holds: Any = test.kind is None or test.kind is scope.event.kind
            if holds and test.matches is not None:
                holds = test.matches(scope)
                if holds is not True and holds is not False:
                    holds = (yield holds) is True
            if holds is test.negated:
                return False
        return True

    def _control(self, call: Call, statements: Statements, at: int, scope: Run) -> Steps:
        """The actions that change how the list goes on."""
        if call.control == "repost":
            scope.reposted = True
            return False
        if call.control == "break":
            scope.broken = True
            return True
        if call.control == "returnFSM":
            return (yield from self._return(call, scope))
        name = self._argument(call, scope)
        if call.control == "callFSM" and self.diagram is not None and self.state is not None:
            if len(self.stack) >= MAX_STACK:
                raise RunawayScript(f"{call.position}: callFSM nests deeper than {MAX_STACK}; is a returnFSM missing?")
            self.stack.append(Frame(self.diagram, self.state, statements, at))
        return (yield from self._jump(name, scope.event))

    @staticmethod
    def _argument(call: Call, scope: Run) -> str:
        text = call.parameters.strip(" \t")
        return resolve(text.strip(text[0]) if text[:1] in ("'", '"') else text, scope)

    def _jump(self, name: str, event: Event) -> Steps:
        """Go to a diagram's initial state and run its enter list, in which repost has no effect (Q10)."""
        diagram = self.diagrams.get(name)
        initial = None if diagram is None else diagram.by_name.get(diagram.initial)
        if diagram is None or initial is None:
            known = ", ".join(sorted(self.diagrams)) or "none"
            log.error(
                "%s", f"diagram {name!r} has no initial state" if diagram else f"there is no diagram {name!r}; loaded: {known}"
            )
            return False
        self._move(diagram, initial)
        if initial.enter.items:
            yield from self._list(initial.enter, 0, Run(self, event))
        return True

    def _return(self, call: Call, scope: Run) -> Steps:
        if not self.stack:
            log.error("%s: returnFSM without callFSM", call.position)
            return False
        frame = self.stack.pop()
        self._move(frame.diagram, frame.state)
        yield from self._list(frame.rest, frame.at, Run(self, scope.event))
        return True

    # ----------------------------------------------------------------------------------------------------------- loops
    def _loop(self, loop: For, scope: Run) -> Steps:
        names = [variable_name(name) for name in ([loop.key, loop.value] if loop.form == "struct" else [loop.value])]
        if not all(names):
            log.error("%s: a loop without a variable name is skipped", loop.position)
            return False
        before = [(name, self.vars.get(name)) for name in names]
        for values in self._iterations(loop, scope):
            for name, value in zip(names, values, strict=True):
                self.vars[name] = value
            self._steps += 1
            scope.broken = False
            yield from self._list(loop.body, 0, scope)
            if self._steps - self._paused_at > PAUSE_AFTER_STEPS:
                yield self._pause()
            if scope.broken:
                break
        scope.broken = False
        for name, old in before:
            if old is None:
                self.vars.pop(name, None)
            else:
                self.vars[name] = old
        return False

    def _iterations(self, loop: For, scope: Run) -> Generator[tuple[str, ...], None, None]:
        """The values of each round; snapshots taken at the start (spec dsm.md §3.3)."""
        if loop.form == "array":
            for value in arrays.array_values(self.vars, variable_name(loop.name)):
                yield (value,)
        elif loop.form == "struct":
            yield from arrays.struct_items(self.vars, variable_name(loop.name))
        else:
            first, last = signed(resolve(loop.first, scope)), signed(resolve(loop.last, scope))
            if first is None or last is None:
                log.warning("%s: range(%s,%s) is not numeric; no iteration", loop.position, loop.first, loop.last)
                return
            for number in range(first, last, 1 if first <= last else -1):
                yield (str(number),)
