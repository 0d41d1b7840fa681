# SPDX-License-Identifier: GPL-2.0-or-later
"""Which boxes are to be told of, and when. Pure.

changed ──gather──► due ──take_due──► under way ──answered: taken──► (changed meanwhile? due again : forgotten)
                     ▲                               └─ not now ───► due after retry, 2·retry, 4·retry … ─► given up
                     └───────────────────────────────────────────────┘

A box is under way once at most, so that what was true last is told last.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, TypeVar

_NS_PER_MS = 1_000_000
_LONGEST_RETRY_MS = 300_000
_OVERLOADED = frozenset((408, 423, 429, 480, 491))
"""Replies that may be others the next time, beside all of 5xx."""

Box = TypeVar("Box", bound=Hashable)


class Reception(Enum):
    """What a reply means."""

    TAKEN = auto()
    AGAIN = auto()
    GIVEN_UP = auto()


@dataclass(slots=True)
class _Told:
    due_ns: int | None
    failures: int = 0
    changed: bool = False
    """While it was under way."""


class PendingBoxes(Generic[Box]):
    """`most`: so many are under way at once."""

    def __init__(self, gather_ms: int, retry_ms: int, attempts: int, most: int = 50) -> None:
        self._gather_ns, self._retry_ms, self._attempts, self._most = gather_ms * _NS_PER_MS, retry_ms, attempts, most
        self._boxes: dict[Box, _Told] = {}
        self._under_way = 0

    def __len__(self) -> int:
        return len(self._boxes)

    def changed(self, box: Box, now_ns: int) -> None:
        """A box has changed. One that waits for its retry is tried soon, as often as a fresh one."""
        told = self._boxes.get(box)
        if told is None:
            self._boxes[box] = _Told(now_ns + self._gather_ns)
        elif told.due_ns is None:
            told.changed = True
        else:
            told.failures = 0
            told.due_ns = min(told.due_ns, now_ns + self._gather_ns)

    def take_due(self, now_ns: int) -> list[Box]:
        """Boxes whose time has come; each is under way until `answered`."""
        due = [box for box, told in self._boxes.items() if told.due_ns is not None and told.due_ns <= now_ns]
        due = due[: max(0, self._most - self._under_way)]
        for box in due:
            self._boxes[box].due_ns = None
        self._under_way += len(due)
        return due

    def answered(self, box: Box, code: int, now_ns: int) -> Reception:
        """The final reply to what was sent for a box; 0: nothing was sent, as nothing is known of the box any more."""
        told = self._boxes[box]
        self._under_way -= 1
        again = (code >= 500 and code < 600) or code in _OVERLOADED
        if told.changed:
            told.changed, told.due_ns, told.failures = False, now_ns + self._gather_ns, 0
            return Reception.AGAIN if again else Reception.TAKEN
        if not again:
            del self._boxes[box]
            return Reception.TAKEN if code < 300 else Reception.GIVEN_UP
        told.failures += 1
        if told.failures >= self._attempts:
            del self._boxes[box]
            return Reception.GIVEN_UP
        wait_ms = min(self._retry_ms << min(told.failures - 1, 20), _LONGEST_RETRY_MS)
        told.due_ns = now_ns + wait_ms * _NS_PER_MS
        return Reception.AGAIN

    def deadline_ns(self) -> int | None:
        """When `take_due` has something next; None while all that may be are under way, or nothing waits."""
        if self._under_way >= self._most:
            return None
        return min((told.due_ns for told in self._boxes.values() if told.due_ns is not None), default=None)
