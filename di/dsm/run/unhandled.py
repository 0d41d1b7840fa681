# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong in a script without the script's taking notice: said once a call and kind, as a warning with the script's line.

    an action sets $errno ─► the script looks at it ($errno, $strerror, throwOnError, set($errno=…))    it is the script's business
                         └─► another action sets or clears it, the next event is over, the call ends    warning
    an exception ─► a transition with `exception` takes it                                             it is the script's business
               └─► none does                                                                          warning

The text of an action is never logged: it may hold a password.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from di.dsm.language.errors import Position

log = logging.getLogger(__name__)

_MAX_CHARS = 300


class Action(Protocol):
    """An action of a script, as the log names it (`di.dsm.language.model.Call`)."""

    @property
    def name(self) -> str:
        """As written."""

    @property
    def position(self) -> Position:
        """Where it stands."""


@dataclass(slots=True)
class _Failure:
    place: str
    errno: str
    text: str
    events: int = 0


class Unhandled:
    """Of one machine. `at` is the action that runs, None before the first; `unread` the failure that the script may still ask for."""

    __slots__ = ("_told", "at", "unread")

    def __init__(self) -> None:
        self.at: Action | None = None
        self.unread: _Failure | None = None
        self._told: set[tuple[str, str]] = set()

    def failed(self, errno: str, text: str) -> None:
        """The action that runs has set `$errno`."""
        self.overwritten()
        self.unread = _Failure(self._place(), errno, text)

    def looked_at(self) -> None:
        """The script has read `$errno`, or set it itself."""
        self.unread = None

    def overwritten(self) -> None:
        """`$errno` is about to be lost, or nobody will ask for it any more."""
        failure, self.unread = self.unread, None
        if failure is not None:
            self._tell(failure.place, failure.errno, failure.text)

    def event_over(self) -> None:
        """An event has been run. Conditions of the next one may still ask."""
        if self.unread is not None:
            self.unread.events += 1
            if self.unread.events > 1:
                self.overwritten()

    def not_caught(self, fields: Mapping[str, str]) -> None:
        """An exception that no transition has taken."""
        rest = ", ".join(f"{name} {value!r}" for name, value in fields.items() if name != "type" and value)
        self._tell(self._place(), f"exception {fields.get('type', '')}", f"{rest or 'no details'}; no transition takes it")

    def _place(self) -> str:
        return f"{self.at.position}: {self.at.name}" if self.at is not None else "the script"

    def _tell(self, place: str, kind: str, text: str) -> None:
        if (place, kind) not in self._told:
            self._told.add((place, kind))
            log.warning("%s: %s: %s", place, kind, text[:_MAX_CHARS])
