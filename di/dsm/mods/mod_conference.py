# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_conference: rooms, a second room beside the first, audio mixed over a call (spec dsm.md §5.4)."""

from __future__ import annotations

import logging

from di.dsm.language.errors import DsmException
from di.dsm.language.library import Res, Var, action
from di.dsm.language.numbers import c_float, unsigned
from di.dsm.run.engine import Run

log = logging.getLogger(__name__)

TEE_CHANNEL = "conf.teechan"


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


@action("conference.teejoin")
def tee_join(run: Run, room: Res, name: Res = "") -> None:
    """Feed own audio into a room too."""
    run.session.media.tee_join(room, name or TEE_CHANNEL)


@action("conference.teeleave")
def tee_leave(run: Run, name: Res = "") -> None:
    """Give that channel back."""
    if run.session.media.tee_leave(name or TEE_CHANNEL):
        run.ok()
    else:
        run.fail("script", f"there is no channel {name or TEE_CHANNEL!r}")


@action("conference.setupMixIn")
def set_up_mix_in(run: Run, level: Res, seconds: Res = "") -> None:
    """Put a mixer over the output."""
    interval_s = unsigned(seconds)
    if interval_s is None:
        raise DsmException("conference", cause=f"{seconds!r} is no number of seconds")
    run.session.media.set_up_mix_in(max(0.0, min(c_float(level), 1.0)), interval_s * 1000)


@action("conference.playMixIn")
def play_mix_in(run: Run, path: Res) -> None:
    """Mix in a file."""
    run.session.media.play_mix_in(path)


@action("conference.playMixInList")
def play_mix_in_list(run: Run, path: Res, loop: Res = "") -> None:
    """Append a file to what is mixed in."""
    run.session.media.queue_mix_in(path, loop=loop == "true")


@action("conference.flushMixInList")
def flush_mix_in_list(run: Run) -> None:
    """Empty that list."""
    run.session.media.flush_mix_in()


@action("conference.size")
def size(run: Run, room: Res, target: Var) -> None:
    """How many are in a room."""
    run.vars[target] = str(run.session.hub.room_size(room))
