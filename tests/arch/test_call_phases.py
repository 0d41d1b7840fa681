# SPDX-License-Identifier: GPL-2.0-or-later
"""The picture of a call's phases in docs/calls.md is drawn from the table that the code uses.

After a change of `di.calls.state`: `CORDBOARD_WRITE=1 .venv/bin/python -m pytest tests/arch/test_call_phases.py` draws it anew.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from di.calls.state import PHASES, Phase
from di.dsm.language.draw import to_mermaid
from di.dsm.language.graph import Edge, Graph, Node

PAGE = Path(__file__).parents[2] / "docs" / "calls.md"
FRAME = re.compile(r"(<!-- phases: drawn from di/calls/state.py -->\n```mermaid\n)(.*?)(```\n)", re.DOTALL)


def picture() -> str:
    """The table as a Mermaid state diagram."""
    nodes = tuple(Node(phase.name, initial=phase is Phase.IDLE, final=phase is Phase.GONE) for phase in Phase)
    edges = tuple(Edge(phase.name, other.name, "") for phase in Phase for other in Phase if other in PHASES[phase])
    return to_mermaid(Graph("call", nodes, edges)).replace(" :  \n", "\n")


def test_the_picture_in_the_docs_is_the_table() -> None:
    text = PAGE.read_text()
    if os.environ.get("CORDBOARD_WRITE"):
        text = FRAME.sub(lambda found: found[1] + picture() + found[3], text)
        PAGE.write_text(text)
    drawn = FRAME.search(text)
    assert drawn is not None, "docs/calls.md has no frame for the picture"
    assert drawn[2] == picture(), __doc__
