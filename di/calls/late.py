# SPDX-License-Identifier: GPL-2.0-or-later
"""Who it is that does not return: the coroutine that a call waits for, named for the log.

chain.both ─awaits─► Billing.admit ─awaits─► Client.ask ─awaits─► a future
└ the core's own      └ who                  └ where: file and line
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import FrameType

_CORE = frozenset(f"di.calls.{name}" for name in ("admission", "chain", "control", "flow", "mailbox")) | {"di.kernel.clock"}
"""Modules that only pass on what a callback returned."""


def describe(waiting: object) -> tuple[str, str]:
    """The callback's name, and function, file and line where it waits now; words that say so where Python does not tell."""
    frames = list(_frames(waiting))
    if not frames:
        return f"a callback that returned {type(waiting).__name__}", "an unknown place"
    theirs = [frame for frame in frames if frame.f_globals.get("__name__") not in _CORE]
    last = frames[-1]
    code = last.f_code
    return (theirs or frames)[0].f_code.co_qualname, f"{code.co_qualname}, {Path(code.co_filename).name}:{last.f_lineno}"


def _frames(waiting: object) -> Iterator[FrameType]:
    """Of each coroutine in the chain of awaits that has not ended, the outermost first."""
    while waiting is not None:
        coroutine = getattr(waiting, "get_coro", None)  # of a task
        waiting = coroutine() if coroutine is not None else waiting
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
        if not isinstance(frame, FrameType):
            return
        yield frame
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)
