# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_monitoring: what a script writes into the monitoring store (spec dsm.md §5.6)."""

from __future__ import annotations

from di.dsm.language.library import Lit, Res, action
from di.dsm.run.engine import Run


@action("monitoring.set", "monitoring.log")
def set_(run: Run, key: Res, value: Res = "") -> None:
    """Set an attribute of this call's record."""
    run.session.hub.monitor("set", run.session.id, key, value)


@action("monitoring.add", "monitoring.logAdd")
def add(run: Run, key: Res, value: Res = "") -> None:
    """Append to a list attribute of this call's record."""
    run.session.hub.monitor("add", run.session.id, key, value)


@action("monitoring.logVars")
def log_vars(run: Run) -> None:
    """One attribute a variable."""
    for name, value in sorted(run.vars.items()):
        run.session.hub.monitor("set", run.session.id, name, value)


def _global(run: Run, operation: str, id: str, rest: str) -> None:
    key, _, value = rest.partition(",")
    run.session.hub.monitor(operation, id, run.resolve(key.strip(" \t")), run.resolve(value.strip(" \t")))


@action("monitoring.setGlobal")
def set_global(run: Run, id: Res, rest: Lit) -> None:
    """Set an attribute of another record: id, key, value. Blanks around them are dropped (Q30)."""
    _global(run, "set", id, rest)


@action("monitoring.addGlobal")
def add_global(run: Run, id: Res, rest: Lit) -> None:
    """Append to a list attribute of another record."""
    _global(run, "add", id, rest)


@action("monitoring.inc")
def inc(run: Run, type_: Res, name: Res = "") -> None:
    """A named counter + 1."""
    run.session.hub.monitor("inc", type_, name)


@action("monitoring.dec")
def dec(run: Run, type_: Res, name: Res = "") -> None:
    """A named counter − 1."""
    run.session.hub.monitor("dec", type_, name)
