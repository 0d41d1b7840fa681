# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_conference: rooms (spec dsm.md §5.4). A second room beside the first and audio mixed over a call are refused at load."""

from __future__ import annotations

import logging

from di.dsm.engine import Run
from di.dsm.errors import DsmError
from di.dsm.library import Prepared, Res, Var, action

log = logging.getLogger(__name__)

_UNAVAILABLE = ("teejoin", "teeleave", "setupMixIn", "playMixIn", "playMixInList", "flushMixInList")


@action("conference.join")
def join(run: Run, room: Res, mode: Res = "") -> None:
    """Queue a channel of the room."""
    run.session.media.join(room, mode)
    run.ok()


@action("conference.leave")
def leave(run: Run) -> None:
    """Give the channel back."""
    if run.session.media.leave():
        run.ok()
    else:
        run.fail("script", "the call is in no conference")


@action("conference.rejoin")
def rejoin(run: Run, room: Res, mode: Res = "") -> None:
    """Leave, then join."""
    if not run.session.media.leave():
        log.warning("%s: conference.rejoin outside a conference", run.session.id)
    run.session.media.join(room, mode)
    run.ok()


@action("conference.postEvent")
def post_event(run: Run, room: Res, id: Res = "") -> None:
    """DSM event to everybody in the room."""
    if run.session.hub.room_post(room, {"type": "conference_event", "id": id}):
        run.ok()
    else:
        run.fail("arg", f"nobody is in room {room!r}")


@action("conference.setPlayoutType")
def set_playout_type(run: Run, kind: Res) -> None:
    """`adaptive`, `jb` or anything else for the simple buffer."""
    run.session.media.set_playout({"adaptive": "adaptive", "jb": "adaptive_jb"}.get(kind, "simple"))


def _refuse(parameters: str) -> object:
    raise DsmError("the media engine gives a call one room and mixes nothing over it; the action cannot work")


@action(*(f"conference.{name}" for name in _UNAVAILABLE), prepare=_refuse)
def unavailable(run: Run, nothing: Prepared) -> None:
    """Never reached: the script is refused when it is loaded."""


@action("conference.size")
def size(run: Run, room: Res, target: Var) -> None:
    """How many are in a room."""
    run.vars[target] = str(run.session.hub.room_size(room))
