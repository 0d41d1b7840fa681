# SPDX-License-Identifier: GPL-2.0-or-later
"""Guessing a short secret behind the door: the pin of a room, a master password. Callers are known here already, so tries are counted by
token and by what the secret protects; an address counts where callers have no name. Pure: time comes in.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from di.access.rules import SourceGuard
from di.kernel.registry import Caller

log = logging.getLogger("cordboard.access")

WRONG_TRIES = 5
"""In a row, from one caller for one thing."""
LOCK_S = 10
"""Then nothing is answered with right for so long, twice as long each further time up to an hour: some 30 tries in the first hour."""


class Guesses:
    """Counts wrong tries and refuses more of them. `what` names the secret in the log. Calls from inside the server are not counted."""

    def __init__(self, what: str, now_ns: Callable[[], int]) -> None:
        self._what, self._now_ns = what, now_ns
        self._guard = SourceGuard(WRONG_TRIES, LOCK_S)

    @staticmethod
    def _key(caller: Caller, thing: str) -> str:
        return f"{caller.name}\0{caller.source if caller.name.startswith('*') else ''}\0{thing[:200]}"

    def refused(self, caller: Caller, thing: str) -> bool:
        """Whether this caller has to wait: he is answered as for a wrong secret, whatever he says."""
        return caller.transport != "internal" and self._guard.locked_s(self._key(caller, thing), self._now_ns()) > 0

    def wrong(self, caller: Caller, thing: str) -> None:
        """Note a wrong try: one line in the log, with who and where, without what he tried."""
        if caller.transport == "internal":
            return
        key, now_ns = self._key(caller, thing), self._now_ns()
        locked = f" (refused for {self._guard.locked_s(key, now_ns)} s)" if self._guard.failed(key, now_ns) else ""
        log.warning(
            "audit wrong %s caller=%s transport=%s source=%s for=%.100r%s",
            self._what, caller.name, caller.transport, caller.source, thing, locked,
        )  # fmt: skip

    def right(self, caller: Caller, thing: str) -> None:
        """Note a right one: counting starts again."""
        self._guard.succeeded(self._key(caller, thing))
