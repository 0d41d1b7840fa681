# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine's whole state as plain data, and back: between events, in this process or another with the same scripts loaded.

Not packed: objects that are tied to a process (connections, parsed documents, Python locals); `pack` names them in `lost`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard

from di.dsm.language.errors import DsmError
from di.dsm.language.graph import lines
from di.dsm.language.model import EMPTY, Statements
from di.dsm.run.engine import Frame, Machine
from di.kernel.value import Value

VERSION = 1
_PLAIN = (str, int, float, bool, bytes, type(None))


def is_plain(value: object, depth: int = 0) -> TypeGuard[Value]:
    """Whether a value can be packed as it is."""
    if depth > 50:
        return False
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(item, depth + 1) for key, item in value.items())
    if isinstance(value, list):
        return all(is_plain(item, depth + 1) for item in value)
    return type(value) in _PLAIN


def pack(machine: Machine, timers_ms: Mapping[int, int] | None = None) -> dict[str, Value]:
    """Everything that a machine needs to go on. `timers_ms`: what is left of each timer."""
    avars: dict[str, Value] = {name: value for name, value in machine.avars.items() if is_plain(value)}
    return {
        "version": VERSION,
        "diagram": machine.diagram.name if machine.diagram else "",
        "state": machine.state.name if machine.state else "",
        "stack": [
            [
                frame.diagram.name,
                frame.state.name,
                _home(machine, frame),
                frame.rest.number,
                frame.at,
                _rest(frame.rest, frame.at),
            ]
            for frame in machine.stack
        ],
        "vars": dict(machine.vars),
        "avars": avars,
        "lost": [*sorted(set(machine.avars) - set(avars))],
        "timers_ms": {str(id): left for id, left in (timers_ms or {}).items()},
    }


def restore(machine: Machine, data: Mapping[str, Value]) -> dict[int, int]:
    """Bring a machine into a packed state; returns what is left of each timer. Raises DsmError when the scripts do not fit."""
    if data.get("version") != VERSION:
        raise DsmError(f"a call packed as version {data.get('version')!r} cannot be restored; {VERSION} is right")
    stack_data, variables, avars, timers = (data.get(name) for name in ("stack", "vars", "avars", "timers_ms"))
    if not (
        isinstance(stack_data, list) and isinstance(variables, dict) and isinstance(avars, dict) and isinstance(timers, dict)
    ):
        raise DsmError("a packed call has stack, vars, avars and timers_ms")
    stack = [_frame(machine, entry) for entry in stack_data]
    name, state_name = str(data.get("diagram", "")), str(data.get("state", ""))
    if name:
        diagram = machine.diagrams.get(name)
        state = diagram.by_name.get(state_name) if diagram is not None else None
        if diagram is None or state is None:
            raise DsmError(f"there is no state {name}/{state_name} here")
        machine.diagram, machine.state = diagram, state
    else:
        machine.diagram = machine.state = None
    machine.stack = stack
    machine.vars.clear()
    machine.vars.update({str(key): str(value) for key, value in variables.items()})
    machine.avars.clear()
    machine.avars.update(avars)
    return {int(id): int(str(left)) for id, left in timers.items()}


def _home(machine: Machine, frame: Frame) -> str:
    """The diagram that holds a frame's list; a loop that calls twice calls the second time from another diagram than its own."""
    for name, diagram in machine.diagrams.items():
        if diagram.lists.get(frame.rest.number) is frame.rest:
            return name
    return frame.diagram.name


def _frame(machine: Machine, entry: object) -> Frame:
    if not isinstance(entry, list) or len(entry) != 6:
        raise DsmError("an entry of the packed stack is [diagram, state, diagram of the list, list, at, rest]")
    diagram_name, state_name, home_name, number, at, rest = entry
    diagram, home = machine.diagrams.get(str(diagram_name)), machine.diagrams.get(str(home_name))
    state = diagram.by_name.get(str(state_name)) if diagram is not None else None
    statements = EMPTY if number == -1 else home.lists.get(number) if home is not None else None
    if diagram is None or state is None or statements is None or _rest(statements, at) != rest:
        raise DsmError(f"{diagram_name}/{state_name} is another script here than the one that the call was packed with")
    return Frame(diagram, state, statements, at)


def _rest(statements: Statements, at: int) -> list[Value]:
    """The statements that are still to run, as text: the restored script must have the same."""
    return list(lines(Statements(statements.items[at:])))
