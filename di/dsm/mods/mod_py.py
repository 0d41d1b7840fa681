# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_py: Python inside a script (spec dsm.md §5.9).

The code runs in the hub's own interpreter, with the server's rights, and while it runs no other call is served: short calculations only.
A script that uses it is as trusted as the server itself; `preload_mods=mod_py` in dsm.conf is the switch that allows it.
"""

from __future__ import annotations

import logging
import types
from collections.abc import Callable
from typing import Any

from di.dsm.actions.variables import write_log
from di.dsm.language.errors import DsmError, DsmException
from di.dsm.language.event import Kind
from di.dsm.language.library import Prepared, action, condition
from di.dsm.run.engine import Run

log = logging.getLogger(__name__)

_CONSTANTS = (
    "Any Invite SessionStart Key Timer NoAudio Hangup Hold UnHold XmlrpcResponse DSMEvent PlaylistSeparator B2BOtherReply B2BOtherBye"
).split()
_KINDS = {
    Kind.INVITE: "Invite", Kind.SESSION_START: "SessionStart", Kind.KEY: "Key", Kind.TIMER: "Timer", Kind.NO_AUDIO: "NoAudio",
    Kind.HANGUP: "Hangup", Kind.EVENT: "DSMEvent", Kind.SEPARATOR: "PlaylistSeparator", Kind.B2B_OTHER_REPLY: "B2BOtherReply",
    Kind.B2B_OTHER_BYE: "B2BOtherBye",
}  # fmt: skip
_SELECTS = ("local_tag", "user", "domain", "remote_tag", "callid", "local_uri", "remote_uri")


class Namespace:
    """`__main__` of all scripts."""

    def __init__(self) -> None:
        self.globals: dict[str, Any] = {"__name__": "__main__"}


def event_number(kind: Kind) -> int:
    """`type`: the constant of `dsm` that fits, above them for events that Python has no name for."""
    name = _KINDS.get(kind)
    return _CONSTANTS.index(name) if name else len(_CONSTANTS) + list(Kind).index(kind)


def _dsm(run: Run) -> types.SimpleNamespace:
    def writer(level: str) -> Callable[[object], None]:
        return lambda message: write_log(run, level, str(message))

    names: dict[str, Any] = {name: number for number, name in enumerate(_CONSTANTS)}
    names.update(log=lambda level, message: write_log(run, str(level), str(message)))
    names.update(DBG=writer("3"), INFO=writer("2"), WARN=writer("1"), ERROR=writer("0"))
    return types.SimpleNamespace(**names)


class PySession:
    """The object `session`: documented names, each one operation of the call."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def var(self, name: str) -> str:
        """A variable."""
        if name in ("errno", "strerror"):
            self._run.errno_read()
        return self._run.vars.get(name, "")

    def setvar(self, name: str, value: object) -> None:
        """Assign to a variable."""
        self._run.vars[str(name)] = str(value)

    def select(self, name: str) -> str:
        """`@name`."""
        return self._run.select(name) if name in _SELECTS else ""

    def setError(self, code: object) -> None:
        """`$errno`."""
        self._run.vars["errno"] = str(code)

    def playPrompt(self, name: str, loop: object = False) -> None:
        """Queue a prompt. Raises RuntimeError."""
        self._guard(lambda: self._run.session.media.play_prompt(name, loop=bool(loop)))

    def playFile(self, name: str, loop: object = False, front: object = False) -> None:
        """Queue a file. Raises RuntimeError."""
        self._guard(lambda: self._run.session.media.play_file(name, loop=bool(loop), front=bool(front)))

    def recordFile(self, name: str) -> None:
        """Record. Raises RuntimeError."""
        self._guard(lambda: self._run.session.media.record(name))

    def getRecordLength(self) -> int:
        """Milliseconds."""
        return self._run.session.media.recorded_ms() or 0

    def getRecordDataSize(self) -> int:
        """Bytes."""
        return self._run.session.media.recorded_bytes() or 0

    def stopRecord(self) -> None:
        """Finish the recording."""
        self._run.session.media.stop_record()

    def flushPlaylist(self) -> None:
        """Drop everything queued."""
        self._run.session.media.flush()

    def setPromptSet(self, name: str) -> None:
        """Change the prompt set. Raises RuntimeError."""
        self._guard(lambda: self._run.session.media.use_prompts(name))

    def addSeparator(self, name: object, front: object = False) -> None:
        """Queue a marker."""
        self._run.session.media.add_separator(int(str(name)), front=bool(front))

    def connectMedia(self) -> None:
        """Start media."""
        self._run.session.media.connect()

    def disconnectMedia(self) -> None:
        """Stop media."""
        self._run.session.media.disconnect()

    def mute(self) -> None:
        """Stop sending."""
        self._run.session.media.mute(True)

    def unmute(self) -> None:
        """Resume sending."""
        self._run.session.media.mute(False)

    def B2BconnectCallee(self, party: str, uri: str, relayed: object = False) -> None:
        """Call the B leg."""
        self._run.session.b2b.connect(party, uri, relayed=bool(relayed))

    def B2BterminateOtherLeg(self) -> None:
        """End the B leg."""
        self._run.session.b2b.terminate()

    @staticmethod
    def _guard(operation: Callable[[], None]) -> None:
        try:
            operation()
        except DsmException as thrown:
            raise RuntimeError(thrown.fields["type"]) from thrown


def _compiler(mode: str) -> Callable[[str], types.CodeType]:
    def compile_code(text: str) -> types.CodeType:
        try:
            return compile(text.strip(" \t") if mode == "eval" else text, "<dsm>", mode)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise DsmError(f"the Python code does not compile: {error}") from error

    return compile_code


def _locals(run: Run) -> dict[str, Any]:
    found = run.avars.get("py_locals")
    if not isinstance(found, dict):
        found = run.avars["py_locals"] = {}
    found.update(dsm=_dsm(run), session=PySession(run), type=event_number(run.event.kind), params=dict(run.params or {}))
    return found


def _run(run: Run, code: types.CodeType) -> object:
    names = _locals(run)
    space = run.session.hub.shared("mod_py", Namespace).globals
    try:
        return eval(code, space, names)
    except Exception as error:
        log.error("%s: py: %s: %s", run.session.id, type(error).__name__, error, exc_info=error)
        return None
    finally:
        names.pop("type", None)
        names.pop("params", None)


@action("py", prepare=_compiler("exec"))
def execute(run: Run, code: Prepared) -> None:
    """Run statements."""
    _run(run, code)


@condition("py", prepare=_compiler("eval"))
def evaluate(run: Run, code: Prepared) -> bool:
    """Evaluate an expression; only `True` counts."""
    return _run(run, code) is True
