# SPDX-License-Identifier: GPL-2.0-or-later
"""Which requests inside a call a diagram takes, as far as its text tells: what the call's Allow says (RFC 3261 §20.5).

Looked at are the diagram that a call begins with and those that it jumps to or calls. Where the text leaves it open (a condition on no method,
a diagram's name in a variable, Python), what may be is said.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from di.calls.second_leg import PASSED_ON
from di.dsm.language.event import Kind
from di.dsm.language.model import Call, Diagram, calls, tests

if TYPE_CHECKING:
    from di.dsm.load.bundles import Bundle

_SWITCH, _TAKE = "enable_request_events", "#processed"
_SECOND_LEG = frozenset({"B2B.connectCallee", "dlg.connectCalleeRelayed"})
_GO = frozenset({"jumpFSM", "callFSM"})
_METHOD = re.compile(r"""#method\s*==\s*["']?([A-Za-z]+)""")
_OF_EVERY_CALL = frozenset({"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "PRACK", "UPDATE"})


def methods_of(bundle: Bundle, diagram: str, variables: Collection[str]) -> tuple[str, ...]:
    """Of a call that begins with a diagram of a collection, with variables of these names."""
    key = diagram, _SWITCH in variables
    found = bundle.methods.get(key)
    if found is None:
        found = bundle.methods[key] = taken_methods(bundle.diagrams, diagram, variables)
    return found


def taken_methods(diagrams: Mapping[str, Diagram], start: str, variables: Collection[str] = ()) -> tuple[str, ...]:
    """Methods beyond those of every call. `variables`: names of those that the call begins with."""
    reached = _reached(diagrams, start)
    actions = [action for diagram in reached for action in _actions(diagram)]
    if any(action.name in _SECOND_LEG or action.name == "py" for action in actions):
        return PASSED_ON
    asks = _SWITCH in variables or any(_SWITCH in action.parameters for action in actions)
    if not asks or not any(_TAKE in action.parameters for action in actions):
        return ()
    found: set[str] = set()
    for diagram in reached:
        for transition in diagram.transitions:
            together = (*transition.tests, *tests(transition.actions))
            if any(test.kind is Kind.SIP_REQUEST and not test.negated for test in transition.tests):
                named = {method.upper() for test in together if not test.negated for method in _METHOD.findall(test.text)}
                found |= named or {*PASSED_ON}
    return tuple(sorted(found - _OF_EVERY_CALL))


def _reached(diagrams: Mapping[str, Diagram], start: str) -> list[Diagram]:
    waiting, names = [start], {start}
    while waiting:
        diagram = diagrams.get(waiting.pop())
        for action in _actions(diagram) if diagram is not None else ():
            if action.control in _GO:
                target = action.parameters.strip().strip("\"'")
                further = {target} if target in diagrams else {*diagrams}
                waiting += further - names
                names |= further
    return [diagrams[name] for name in sorted(names) if name in diagrams]


def _actions(diagram: Diagram) -> Iterator[Call]:
    for state in diagram.states:
        for top in (state.enter, state.leave, *(transition.actions for transition in state.transitions)):
            yield from calls(top)
