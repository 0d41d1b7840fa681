# SPDX-License-Identifier: GPL-2.0-or-later
"""What modules do at the begin and the end of whatever runs a diagram: a call, a leg of another application, a system DSM (spec dsm.md §3.7)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from di.dsm.language.event import Event, Kind
from di.dsm.language.model import Steps
from di.dsm.run.engine import Machine, Run

if TYPE_CHECKING:
    from di.dsm.language.library import Library
    from di.dsm.load.bundles import Bundle

log = logging.getLogger(__name__)


def hooks(machine: Machine, bundle: Bundle, name: str, *args: object) -> Steps:
    """Call a hook of every module that the collection imports. False when one of them says False: it vetoes the automatic 200."""
    run = Run(machine, Event(Kind.INVITE))
    agreed = True
    for library in bundle.libraries:
        agreed = (yield from _hook(library, name, run, *args)) and agreed
    return agreed


def give_back(machine: Machine, bundle: Bundle) -> Steps:
    """`on_destroy` of every module; one that fails is logged, and the others give back what they hold."""
    run = Run(machine, Event(Kind.BEFORE_DESTROY))
    for library in bundle.libraries:
        try:
            yield from _hook(library, "on_destroy", run)
        except Exception as error:
            log.exception("%s: the end of %s: %s: %s", run.session.id, library.name, type(error).__name__, error)
    return True


def _hook(library: Library, name: str, run: Run, *args: object) -> Steps:
    function = library.hooks.get(name)
    answer: Any = function(run, *args) if function is not None else None
    if answer is not None and not isinstance(answer, bool):
        answer = yield answer
    return answer is not False
