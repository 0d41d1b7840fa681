# SPDX-License-Identifier: GPL-2.0-or-later
"""How the steps of an event are driven: `deliver` in the hub, where an action may wait; `run_now` in tests and the simulator."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import Any

from di.dsm.language.model import Steps


class _Pause:
    """Awaiting it lets the loop run everybody else once."""

    def __await__(self) -> Generator[None, None, None]:
        yield


PAUSE = _Pause()


def deliver(steps: Steps) -> Awaitable[bool] | None:
    """Run an event as far as it goes without waiting: None when it is done, else what has to be awaited for the rest of it."""
    try:
        waiting = next(steps)
    except StopIteration:
        return None
    return _wait_through(steps, waiting)


async def _wait_through(steps: Steps, waiting: Awaitable[object]) -> bool:
    while True:
        try:
            answer = await waiting
        except Exception as error:  # noqa: BLE001 – the script's own exception handling decides
            send: Any = (steps.throw, error)
        else:
            send = (steps.send, answer)
        try:
            waiting = send[0](send[1])
        except StopIteration as done:
            return bool(done.value)


def run_now(steps: Steps) -> bool:
    """Run an event to its end. Raises RuntimeError when an action wants to wait for something other than its turn."""
    try:
        waiting = next(steps)
        while waiting is PAUSE:
            waiting = next(steps)
    except StopIteration as done:
        return bool(done.value)
    close = getattr(waiting, "close", None)
    if close is not None:
        close()
    raise RuntimeError("an action of this script has to wait; it cannot be run without an event loop")
