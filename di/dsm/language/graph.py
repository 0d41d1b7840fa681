# SPDX-License-Identifier: GPL-2.0-or-later
"""A diagram as nodes and edges, for every drawing: DOT, Mermaid, SVG (`di.dsm.language.draw`) and the panel, which gets `as_value`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from di.dsm.language.model import Call, Diagram, For, If, Statements, Transition
from di.kernel.value import Value

MAX_LABEL_CHARS = 40


@dataclass(frozen=True, slots=True)
class Node:
    """A state. `missing`: a transition goes there, but it is defined nowhere."""

    name: str
    initial: bool = False
    final: bool = False
    missing: bool = False
    enter: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """A transition from one of its source states."""

    source: str
    target: str
    name: str
    conditions: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    exception: bool = False

    @property
    def label(self) -> str:
        """What stands on the arrow: the conditions, else the name."""
        text = "; ".join(self.conditions) or self.name
        if self.exception:
            text = f"exception; {text}" if self.conditions else "exception"
        return text if len(text) <= MAX_LABEL_CHARS else text[: MAX_LABEL_CHARS - 1] + "…"


@dataclass(frozen=True, slots=True)
class Graph:
    """The neutral model."""

    name: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def as_value(self, calls: Mapping[str, int] | None = None) -> dict[str, Value]:
        """As a struct, for JSON. `calls`: how many calls are in each state, which each node then tells."""
        return {
            "name": self.name,
            "nodes": [
                {
                    "name": node.name, "initial": node.initial, "final": node.final, "missing": node.missing,
                    "enter": list(node.enter), "exit": list(node.leave),
                    **({} if calls is None else {"calls": calls.get(node.name, 0)}),
                }
                for node in self.nodes
            ],
            "edges": [
                {
                    "from": edge.source, "to": edge.target, "name": edge.name, "label": edge.label,
                    "conditions": list(edge.conditions), "actions": list(edge.actions), "exception": edge.exception,
                }
                for edge in self.edges
            ],
        }  # fmt: skip


def graph_of(diagram: Diagram) -> Graph:
    """States in file order, targets that are no states behind them."""
    nodes = [
        Node(
            state.name,
            state.name == diagram.initial,
            not state.transitions,
            False,
            tuple(lines(state.enter)),
            tuple(lines(state.leave)),
        )
        for state in diagram.by_name.values()
    ]
    missing = dict.fromkeys(t.target for t in diagram.transitions if t.target not in diagram.by_name)
    nodes += [Node(name, missing=True, final=True) for name in missing]
    edges = [_edge(state.name, transition) for state in diagram.by_name.values() for transition in state.transitions]
    return Graph(diagram.name, tuple(nodes), tuple(edges))


def _edge(source: str, transition: Transition) -> Edge:
    conditions = tuple(test.text for test in transition.tests)
    return Edge(source, transition.target, transition.name, conditions, tuple(lines(transition.actions)), transition.is_exception)


def lines(statements: Statements, indent: str = "") -> list[str]:
    """A statement list as text."""
    found: list[str] = []
    for item in statements.items:
        if isinstance(item, Call):
            found.append(indent + item.text)
        elif isinstance(item, If):
            found.append(f"{indent}if {'; '.join(test.text for test in item.tests)}")
            found += lines(item.then, indent + "  ")
            if item.otherwise.items:
                found += [f"{indent}else", *lines(item.otherwise, indent + "  ")]
        else:
            found.append(indent + _loop(item))
            found += lines(item.body, indent + "  ")
    return found


def _loop(loop: For) -> str:
    if loop.form == "range":
        return f"for ({loop.value} in range({loop.first},{loop.last}))"
    names = f"{loop.key},{loop.value}" if loop.form == "struct" else loop.value
    return f"for ({names} in {loop.name})"
