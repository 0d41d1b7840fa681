# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripts beside a call's application: whoever runs diagrams offers it, the control cc_dsm asks for it (spec dsm.md §9.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from di.calls.call_changes import CallChanges
from di.kernel.capabilities import Capability

if TYPE_CHECKING:
    from di.calls.session import Session


@dataclass(frozen=True, slots=True)
class LegScript:
    """What a leg runs: a diagram of a collection (empty: the main one), with variables."""

    diagram: str
    bundle: str
    variables: Mapping[str, str]


class LegScripts(Protocol):
    """Runs diagrams beside applications (`di.dsm.hub.legs`)."""

    def attach(self, call: Session, script: LegScript, *, a_leg: bool) -> CallChanges | Awaitable[CallChanges]:
        """Begin one in a call; it sees the call's events before the application. Returns what its first state changes of the call.

        Raises ValueError for a diagram or a collection that is not loaded, Refused when the script does not let the call be.
        """


LEG_SCRIPTS: Capability[LegScripts] = Capability("scripts of legs")
