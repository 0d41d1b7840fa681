# SPDX-License-Identifier: GPL-2.0-or-later
"""One callback after another, whether the first waits or not: without an `await` for the many that do not."""

from __future__ import annotations

from collections.abc import Callable

from di.calls.events import Outcome, Verdict
from di.kernel.clock import awaited


def then(outcome: Outcome, rest: Callable[[], Outcome]) -> Outcome:
    """Do `rest` when the outcome is there. What the first raises keeps the rest from happening."""
    if outcome is None:
        return rest()

    async def both() -> None:
        await outcome
        following = rest()
        if following is not None:
            await following

    return both()


def unless(verdict: Verdict, rest: Callable[[], Outcome]) -> Outcome:
    """Do `rest` unless the verdict, which may take a while, is True."""
    if verdict is None or isinstance(verdict, bool):
        return None if verdict else rest()

    async def both() -> None:
        if not await verdict:
            following = rest()
            if following is not None:
                await following

    return both()


def decided(verdict: Verdict, follow: Callable[[bool], None]) -> Outcome:
    """Hand the verdict, which may take a while, to `follow`: whether it is True."""
    if verdict is None or isinstance(verdict, bool):
        follow(bool(verdict))
        return None

    async def both() -> None:
        follow(bool(await verdict))

    return both()


def guarded(step: Callable[[], Outcome], fault: Callable[[Exception], None], rest: Callable[[], Outcome]) -> Outcome:
    """Do `rest` after a step, also when the step raises; `fault` is told."""
    try:
        outcome = step()
    except Exception as error:  # noqa: BLE001 – the rest gives back what the call holds
        fault(error)
        outcome = None
    if outcome is None:
        return rest()

    async def both() -> None:
        try:
            await awaited(outcome)
        except Exception as error:  # noqa: BLE001
            fault(error)
        following = rest()
        if following is not None:
            await following

    return both()
