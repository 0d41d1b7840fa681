# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that were refused before they were calls: a limit, shutdown mode, no application, one that does not want it. Who wants to know is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from di.calls.call_info import CallInfo


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """`by`: limit, app or system; `cause`: in words, for people. `id`: what a call out was to be named; empty for none."""

    info: CallInfo
    application: str
    code: int
    reason: str
    by: str
    cause: str
    id: str = ""


class Refusals:
    """`listeners` are told of each by what makes its description: in a flood nobody needs all of them."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[Callable[[], RefusedCall]], None]] = []

    def tell(self, refused: Callable[[], RefusedCall]) -> None:
        """A call was refused; `refused` says which."""
        for listener in self.listeners:
            listener(refused)
