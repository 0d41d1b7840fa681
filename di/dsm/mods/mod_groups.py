# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_groups: named groups of sessions (spec dsm.md §5.13). A call leaves all of them when it ends."""

from __future__ import annotations

from di.dsm.language.library import Res, Var, action, hook
from di.dsm.run.engine import Run


class Groups:
    """Group → session ids."""

    def __init__(self) -> None:
        self.members: dict[str, set[str]] = {}

    def leave(self, group: str, id: str) -> None:
        """Take a session out; an empty group is gone."""
        members = self.members.get(group)
        if members is not None:
            members.discard(id)
            if not members:
                del self.members[group]

    def leave_all(self, id: str) -> None:
        """Take a session out of every group."""
        for group in list(self.members):
            self.leave(group, id)


def _groups(run: Run) -> Groups:
    return run.session.hub.shared("mod_groups", Groups)


@action("groups.join")
def join(run: Run, group: Res) -> None:
    """Become a member."""
    _groups(run).members.setdefault(group, set()).add(run.session.id)


@action("groups.leave")
def leave(run: Run, group: Res) -> None:
    """Leave one group."""
    _groups(run).leave(group, run.session.id)


@action("groups.leaveAll")
def leave_all(run: Run) -> None:
    """Leave every group."""
    _groups(run).leave_all(run.session.id)


@action("groups.get", separator="=")
def get(run: Run, target: Var, group: Res) -> None:
    """Members into `target[0]` …, sorted."""
    for index, id in enumerate(sorted(_groups(run).members.get(group, ()))):
        run.vars[f"{target}[{index}]"] = id


@action("groups.getSize", separator="=")
def get_size(run: Run, target: Var, group: Res) -> None:
    """How many members there are."""
    run.vars[target] = str(len(_groups(run).members.get(group, ())))


@action("groups.postEvent")
def post_event(run: Run, group: Res, names: Res = "") -> None:
    """DSM event to all others; undefined variables are sent (and made) empty."""
    chosen = list(run.vars) if names == "var" else [name for name in names.split(";") if name]
    params = {name: run.vars.setdefault(name, "") for name in chosen}
    others = sorted(_groups(run).members.get(group, set()) - {run.session.id})
    if sum(run.session.hub.post(id, dict(params)) for id in others):
        run.ok()
    else:
        run.fail("arg", f"nobody else is in group {group!r}")


@hook("on_destroy")
def forget(run: Run) -> None:
    """The call is over."""
    _groups(run).leave_all(run.session.id)
