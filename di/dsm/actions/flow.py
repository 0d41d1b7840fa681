# SPDX-License-Identifier: GPL-2.0-or-later
"""Control of the diagram and of the call: repost, jump, stop, throw, timers, events (spec dsm.md §4.1)."""

from __future__ import annotations

from di.dsm.language.arrays import selected
from di.dsm.language.errors import DsmException
from di.dsm.language.library import Res, action
from di.dsm.language.numbers import unsigned
from di.dsm.run.engine import Run


@action("repost", control="repost")
@action("break", control="break")
@action("returnFSM", control="returnFSM")
@action("jumpFSM", control="jumpFSM")
@action("callFSM", control="callFSM")
def control(run: Run) -> None:
    """Done by the engine, which looks at `Call.control`."""


@action("stop")
def stop(run: Run, send_bye: Res) -> None:
    """End the session after the pending events; `true` hangs up now."""
    run.session.stop(send_bye == "true")


@action("throw")
def throw(run: Run, type_: Res, pairs: Res = "") -> None:
    """Throw an exception with parameters `k=v;k=v`."""
    fields: dict[str, str] = {}
    for pair in pairs.split(";"):
        pieces = [piece for piece in pair.split("=") if piece]
        if len(pieces) == 2:
            fields[pieces[0]] = pieces[1]
    fields.pop("type", None)
    thrown = DsmException(type_)
    thrown.fields.update(fields)
    raise thrown


@action("throwOnError")
def throw_on_error(run: Run) -> None:
    """Make an exception of `$errno`."""
    errno = run.vars.get("errno", "")
    run.errno_read()
    if errno:
        raise DsmException(errno, text=run.vars.get("strerror", ""))


@action("setTimer")
def set_timer(run: Run, id: Res, seconds: Res) -> None:
    """A `timer` event in whole seconds; 0 is an event that is queued at once."""
    number, delay = unsigned(id), unsigned(seconds)
    if number is None or delay is None:
        run.fail("arg", f"timer id {id!r} and seconds {seconds!r} must be numbers")
        return
    run.session.set_timer(number, min(delay, 366 * 24 * 3600))
    run.ok()


@action("removeTimer")
def remove_timer(run: Run, id: Res) -> None:
    """Stop a timer."""
    number = unsigned(id)
    if number is None:
        run.fail("arg", f"timer id {id!r} must be a number")
        return
    run.session.remove_timer(number)
    run.ok()


@action("removeTimers")
def remove_timers(run: Run) -> None:
    """Stop all timers."""
    run.session.remove_timers()
    run.ok()


@action("postEvent")
def post_event(run: Run, id: Res, names: Res = "") -> None:
    """Send a DSM event with the named variables to a session or queue."""
    if run.session.hub.post(id, selected(run.vars, names)):
        run.ok()
    else:
        run.fail("arg", f"there is no session {id!r}")


@action("registerEventQueue")
def register_queue(run: Run, name: Res) -> None:
    """Receive events under another name; nothing happens when it is taken."""
    run.session.register_queue(name)


@action("unregisterEventQueue")
def unregister_queue(run: Run, name: Res) -> None:
    """Give such a name back."""
    run.session.unregister_queue(name)


@action("createSystemDSM")
def create_system_dsm(run: Run, bundle: Res, script: Res) -> None:
    """Start a system DSM."""
    run.session.hub.create_system_dsm(bundle, script)


class Tracked:
    """The names of objects that are freed with the call, kept as an avar."""

    def __init__(self) -> None:
        self.names: set[str] = set()


def _tracked(run: Run) -> Tracked:
    found = run.avars.get("dsm.tracked")
    if not isinstance(found, Tracked):
        found = run.avars["dsm.tracked"] = Tracked()
    return found


def _known(run: Run, name: str) -> bool:
    if run.avars.get(name) is None:
        run.fail("arg", f"there is no object {name!r}")
        return False
    return True


@action("trackObject")
def track(run: Run, name: Res) -> None:
    """Free an object with the call."""
    if _known(run, name):
        _tracked(run).names.add(name)


@action("releaseObject")
def release(run: Run, name: Res) -> None:
    """Undo trackObject."""
    if _known(run, name):
        _tracked(run).names.discard(name)


@action("freeObject")
def free(run: Run, name: Res) -> None:
    """Free an object now."""
    if _known(run, name):
        _tracked(run).names.discard(name)
        del run.avars[name]
