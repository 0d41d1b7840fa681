# SPDX-License-Identifier: GPL-2.0-or-later
"""Drawings of loaded diagrams for DI callers: the same picture as `cordboard dsm graph`, made beside the hub's loop.

To place the labels of a diagram with hundreds of states takes longer than a loop may be held up, so it runs in a thread; a picture is
kept as long as its diagram is, because a page that many people open asks for the same one again and again.
"""

from __future__ import annotations

import asyncio

from di.dsm.language.draw import to_svg
from di.dsm.language.graph import graph_of
from di.dsm.language.model import Diagram


class Pictures:
    """SVG by diagram, drawn once; those who ask while it is being drawn wait for the same drawing."""

    def __init__(self) -> None:
        self._drawn: dict[tuple[str, str], tuple[Diagram, asyncio.Future[str]]] = {}

    async def svg(self, application: str, diagram: Diagram) -> str:
        """The picture of an application's diagram, with a place for the count of every state."""
        key = (application, diagram.name)
        known = self._drawn.get(key)
        if known is None or known[0] is not diagram:  # a reload makes a new one
            known = self._drawn[key] = (diagram, asyncio.ensure_future(asyncio.to_thread(_draw, diagram)))
        try:
            return await asyncio.shield(known[1])
        except Exception:
            self._drawn.pop(key, None)
            raise


def _draw(diagram: Diagram) -> str:
    graph = graph_of(diagram)
    return to_svg(graph, {node.name: 0 for node in graph.nodes})
