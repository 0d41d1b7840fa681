# SPDX-License-Identifier: GPL-2.0-or-later
"""Pictures of diagrams as the gateway serves them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from di.dsm.language.draw import to_svg
from di.dsm.language.graph import graph_of
from di.kernel.errors import CallFailed
from tests.support.dsm_scripts import load as load_script
from tests.support.dsm_server import server


async def test_the_picture_is_the_commands_with_a_badge_for_each_count(folder: Path) -> None:
    book = server(folder, {"t": "initial state A; state B; transition e A - event -> B;", "u": "initial state <&>;"})
    book.up("app-t")
    assert book.invoke("dsm", "diagrams") == [
        {"name": "t", "application": "", "states": 2, "calls": 1}, {"name": "u", "application": "", "states": 1, "calls": 0},
    ]  # fmt: skip
    drawn = await book.services.registry.call("dsm", "diagramSvg", ["t"])
    assert isinstance(drawn, dict) and drawn["calls"] == {"A": 1}
    svg = str(drawn["svg"])
    graph = graph_of(load_script((folder / "dsm" / "t.dsm").read_text()))
    badge = re.compile(r'<g class="count" visibility="hidden">.*?</g>')
    assert badge.sub("", svg) == to_svg(graph) and len(badge.findall(svg)) == 2
    assert badge.sub("", to_svg(graph, {"A": 0})) == to_svg(graph) != badge.sub("", to_svg(graph, {"A": 12}))
    hostile = await book.services.registry.call("dsm", "diagramSvg", ["u", "u"])
    assert isinstance(hostile, dict) and 'data-state="&lt;&amp;&gt;"' in str(hostile["svg"])
    with pytest.raises(CallFailed):
        await book.services.registry.call("dsm", "diagramSvg", ["nope"])
    (folder / "dsm" / "t.dsm").write_text("initial state C;")
    assert await book.services.registry.call("dsm", "reloadDSMs", []) == [200, "DSMs reloaded"]
    again = await book.services.registry.call("dsm", "diagramSvg", ["t"])
    assert isinstance(again, dict) and 'data-state="C"' in str(again["svg"]) and 'data-state="A"' not in str(again["svg"])
