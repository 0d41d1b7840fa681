# SPDX-License-Identifier: GPL-2.0-or-later
"""A graph as DOT, as Mermaid, and as SVG in layers."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

from di.dsm.language.graph import Edge, Graph, Node

_CHAR_PX = 7.2
_HEIGHT_PX = 34.0
_MARGIN_PX = 40.0
_GAP_PX = 200.0
_ROW_PX = 170.0
_LABEL_CHAR_PX = 5.6
_LABEL_LINE_PX = 13.0
_LABEL_CHARS = 44
"""A longer label is cut; the tip over the arrow has all of it."""
_BADGE_PX = 36.0
"""Wide enough for five digits."""
_SWEEPS = 6
"""So often the order within the layers is improved."""


def to_dot(graph: Graph) -> str:
    """Graphviz."""
    parts = [f"digraph {_quoted(graph.name)} {{", "  rankdir=TB;", '  node [shape=box, style=rounded, fontname="sans-serif"];']
    for node in graph.nodes:
        style = "dashed" if node.missing else "rounded,bold" if node.initial else "rounded"
        outline = ", peripheries=2" if node.final else ""
        parts.append(f"  {_quoted(node.name)} [style={_quoted(style)}{outline}];")
    for edge in graph.edges:
        look = ", style=dashed" if edge.exception else ""
        parts.append(f"  {_quoted(edge.source)} -> {_quoted(edge.target)} [label={_quoted(edge.label)}{look}];")
    return "\n".join([*parts, "}", ""])


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def to_mermaid(graph: Graph) -> str:
    """Mermaid's state diagram; names that it cannot hold get a number as name and a description."""
    names = {node.name: f"s{index}" for index, node in enumerate(graph.nodes)}
    parts = ["stateDiagram-v2"]
    parts += [f"  {names[node.name]} : {_mermaid(node.name)}" for node in graph.nodes]
    parts += [f"  [*] --> {names[node.name]}" for node in graph.nodes if node.initial]
    parts += [f"  {names[edge.source]} --> {names[edge.target]} : {_mermaid(edge.label)}" for edge in graph.edges]
    parts += [f"  {names[node.name]} --> [*]" for node in graph.nodes if node.final]
    return "\n".join([*parts, ""])


def _mermaid(text: str) -> str:
    return re.sub(r'[#;:<>"{}\n\r`\\]', lambda found: f"#{ord(found.group())};", text) or " "


# --------------------------------------------------------------------------------------------------------------------- SVG
def to_svg(graph: Graph, counts: Mapping[str, int] | None = None) -> str:
    """A picture; `counts`: how many calls are in each state."""
    places = _layout(graph)
    taken = [
        (x - _width(n) / 2, y - _HEIGHT_PX / 2, x + _width(n) / 2, y + _HEIGHT_PX / 2)
        for n in graph.nodes
        for x, y in [places[n.name]]
    ]
    seen: dict[tuple[str, str], int] = {}
    edges: list[str] = []
    for edge in graph.edges:
        number = seen[edge.source, edge.target] = seen.get((edge.source, edge.target), 0) + 1
        edges.append(_draw_edge(edge, places[edge.source], places[edge.target], number, taken))
    left = min((box[0] for box in taken), default=0) - _MARGIN_PX
    top = min((box[1] for box in taken), default=0) - _MARGIN_PX
    right = max((box[2] for box in taken), default=0) + _MARGIN_PX
    bottom = max((box[3] for box in taken), default=0) + _MARGIN_PX
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left:.0f} {top:.0f} {right - left:.0f} {bottom - top:.0f}" '
        'font-family="sans-serif" font-size="12" role="img">',
        f"<title>{_text(graph.name)}</title>",
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L10 5L0 10z"/></marker></defs>',
    ]
    parts += edges
    parts += [_draw_node(node, *places[node.name], (counts or {}).get(node.name)) for node in graph.nodes]
    return "\n".join([*parts, "</svg>", ""])


def _text(text: str) -> str:
    """Text that XML can hold."""
    return escape(re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "�", text))


def _attribute(text: str) -> str:
    return quoteattr(re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "�", text))


def _width(node: Node) -> float:
    return max(60.0, min(len(node.name), MAX_NAME_CHARS) * _CHAR_PX + 24)


MAX_NAME_CHARS = 40


def _layers(graph: Graph) -> list[list[Node]]:
    """Nodes by their distance from the initial state; what it does not reach begins layers of its own behind."""
    following: dict[str, list[str]] = {node.name: [] for node in graph.nodes}
    for edge in graph.edges:
        following[edge.source].append(edge.target)
    depth: dict[str, int] = {}
    for root in sorted(graph.nodes, key=lambda node: not node.initial):
        if root.name in depth:
            continue
        waiting = deque([root.name])
        depth[root.name] = max(depth.values(), default=-1) + 1
        while waiting:
            name = waiting.popleft()
            for target in following[name]:
                if target not in depth:
                    depth[target] = depth[name] + 1
                    waiting.append(target)
    layers: list[list[Node]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in graph.nodes:
        layers[depth[node.name]].append(node)
    return [layer for layer in layers if layer]


def _layout(graph: Graph) -> dict[str, tuple[float, float]]:
    """Centre of every node: layer by layer, within a layer ordered so that few arrows cross."""
    layers = _layers(graph)
    neighbours: dict[str, list[str]] = {node.name: [] for node in graph.nodes}
    for edge in graph.edges:
        neighbours[edge.source].append(edge.target)
        neighbours[edge.target].append(edge.source)
    x: dict[str, float] = {}
    for layer in layers:
        _spread(layer, x)
    for _ in range(_SWEEPS):
        for layer in layers:
            mean = {
                node.name: sum(x[other] for other in neighbours[node.name]) / max(len(neighbours[node.name]), 1) for node in layer
            }
            layer.sort(key=lambda node: mean[node.name])
            _spread(layer, x)
    return {node.name: (x[node.name], row * _ROW_PX) for row, layer in enumerate(layers) for node in layer}


def _spread(layer: list[Node], x: dict[str, float]) -> None:
    """Place a layer's nodes side by side around 0."""
    at = -sum(_width(node) + _GAP_PX for node in layer) / 2
    for node in layer:
        width = _width(node) + _GAP_PX
        x[node.name] = at + width / 2
        at += width


def _draw_node(node: Node, x: float, y: float, count: int | None) -> str:
    width = _width(node)
    name = node.name if len(node.name) <= MAX_NAME_CHARS else node.name[: MAX_NAME_CHARS - 1] + "…"
    dash = ' stroke-dasharray="4 3"' if node.missing else ""
    tip = "\n".join((*(f"enter: {line}" for line in node.enter), *(f"exit: {line}" for line in node.leave)))
    shape = (
        f'<g data-state={_attribute(node.name)}><title>{_text(tip or node.name)}</title><rect x="{x - width / 2:.1f}" '
        f'y="{y - _HEIGHT_PX / 2:.1f}" width="{width:.1f}" height="{_HEIGHT_PX:.1f}" rx="8" fill="#fff" stroke="#333" '
        f'stroke-width="{2.5 if node.initial else 1}"{dash}/><text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle">{_text(name)}</text>'
    )
    if count is not None:
        shape += _draw_count(x + width / 2, y - _HEIGHT_PX / 2, count)
    return shape + "</g>"


def _draw_count(x: float, y: float, count: int) -> str:
    """A badge on a node's corner. One for 0 is there and not seen, for a page that fills it in later."""
    hidden = "" if count else ' visibility="hidden"'
    return (
        f'<g class="count"{hidden}><rect x="{x - _BADGE_PX / 2:.1f}" y="{y - 9:.1f}" width="{_BADGE_PX:.1f}" height="18" rx="9" fill="#0b6168"/>'
        f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle" font-size="11" font-weight="bold" fill="#fff">{count}</text></g>'
    )


Box = tuple[float, float, float, float]


def _free_place(x: float, y: float, text: str, taken: list[Box]) -> tuple[float, float]:
    """The place nearest above or below (x, y) where a centred label touches no other and no node; it is taken then."""
    half = len(text) * _LABEL_CHAR_PX / 2
    for step in range(12 * len(taken) + 1):  # a node blocks five lines, a label two
        at = y + (step + 1) // 2 * _LABEL_LINE_PX * (-1 if step % 2 else 1)
        box = (x - half, at - _LABEL_LINE_PX + 3, x + half, at + 3)
        if not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
            break
    taken.append(box)
    return x, at


def _draw_edge(edge: Edge, source: tuple[float, float], target: tuple[float, float], number: int, taken: list[Box]) -> str:
    (x1, y1), (x2, y2) = source, target
    half = _HEIGHT_PX / 2
    dash = ' stroke-dasharray="5 3"' if edge.exception else ""
    if source == target:
        reach = 40 + 22 * number
        bend = f"{x1 + 20 + reach:.1f} {y1 - half - reach:.1f} {x1 + 60 + reach:.1f} {y1 + 10:.1f}"
        path = f"M{x1 + 20:.1f} {y1 - half:.1f}C{bend} {x1 + 30:.1f} {y1 + 6:.1f}"
        lx, ly = x1 + 60 + reach, y1 - half - reach * 0.4
    else:
        side = 34.0 * number * (1 if y2 >= y1 else -1)
        start, end = (y1 + half, y2 - half) if y2 > y1 else (y1 - half, y2 + half) if y2 < y1 else (y1 - half, y2 - half)
        mx, my = (x1 + x2) / 2 + side, (start + end) / 2 - (30.0 if y1 == y2 else 0.0)
        path = f"M{x1:.1f} {start:.1f}Q{mx:.1f} {my:.1f} {x2:.1f} {end:.1f}"
        lx, ly = (x1 + 2 * mx + x2) / 4, (start + 2 * my + end) / 4
    label = edge.label if len(edge.label) <= _LABEL_CHARS else edge.label[: _LABEL_CHARS - 1] + "…"
    lx, ly = _free_place(lx, ly, label, taken)
    tip = "\n".join((edge.name, edge.label, *edge.actions))
    return (
        f'<g><title>{_text(tip)}</title><path d="{path}" fill="none" stroke="#557" marker-end="url(#tip)"{dash}/>'
        f'<text x="{lx:.1f}" y="{ly:.1f}" text-anchor="middle" font-size="10" fill="#335" stroke="#fff" stroke-width="3" '
        f'paint-order="stroke">{_text(label)}</text></g>'
    )
