# SPDX-License-Identifier: GPL-2.0-or-later
"""The way through a box: which message is next, what is said before and after it, what a key does (spec applications.md §14). Pure.

overview ─► message ─► its menu ──save, delete──► next message … ──after the last──► end ──start over──► message …
               ▲          └─repeat─┘                                                   └─ nothing kept: over
               └───────────start over, at the last message──────────────────────────────┘

Names are those of prompts; where a message itself is played stands `Walk.current`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from di.apps.api import MessageBox, StoredMessage
from di.apps.speech import Language, Noun, count, date, time

MENU = (
    *("pin_prompt", "you_have", "new_msgs", "saved_msgs", "no_msg", "in_your_voicebox", "and", "msg_menu", "msg_end_menu"),
    *("msg_deleted", "msg_saved", "first_new_msg", "next_new_msg", "first_saved_msg", "next_saved_msg", "no_more_msg", "bye"),
)
"""Without one of these a set of prompts is not used."""
COUNTS = (
    *("new_msg", "saved_msg", *map(str, range(1, 20)), *map(str, range(20, 100, 10))),
    *(f"x{unit}" for unit in range(1, 10)),
)
"""The same where counts are spoken."""
TIMES = ("received", "today", "yesterday", "at")
"""For `say_time`, beside the language's vocabulary."""
_MOST_COUNTED = 99
_NEW = Noun("new_msg", "new_msgs", one_is_whole=True)
_SAVED = Noun("saved_msg", "saved_msgs", one_is_whole=True)


class KeyAction(Enum):
    """What a key means."""

    REPEAT = auto()
    SAVE = auto()
    DELETE = auto()
    START_OVER = auto()


@dataclass(frozen=True, slots=True)
class WalkStop:
    """A message of the way. `first`: of the new, or of the saved ones."""

    message: StoredMessage
    first: bool

    @property
    def intro(self) -> str:
        """The prompt before it."""
        return f"{'first' if self.first else 'next'}_{'new' if self.message.new else 'saved'}_msg"


def stops(box: MessageBox) -> tuple[WalkStop, ...]:
    """New messages before saved ones, each the newest first; empty ones are passed over."""
    found: list[WalkStop] = []
    for new in (True, False):
        messages = [message for message in box.messages if message.new == new and message.size_bytes]
        found += [WalkStop(message, place == 0) for place, message in enumerate(messages)]
    return tuple(found)


def overview(new: int, saved: int, counts: Language | None) -> list[str]:
    """How many there are. `counts`: how numbers are said, None: not at all."""
    if not new + saved:
        return ["no_msg"]
    said = ["you_have"]
    if new:
        said += _counted(new, _NEW, counts)
    if new and saved:
        said.append("and")
    if saved:
        said += _counted(saved, _SAVED, counts)
    return said


def _counted(number: int, noun: Noun, counts: Language | None) -> list[str]:
    if counts is None or number > _MOST_COUNTED:
        return [noun.other]
    return count(number, noun, counts)


def came(moment: datetime, now: datetime, rules: Language) -> list[str]:
    """When a message came; both in one zone."""
    days = {now.date(): ["today"], now.date() - timedelta(days=1): ["yesterday"]}
    day = days.get(moment.date()) or date(moment.date(), rules, year=moment.year != now.year)
    return ["received", *day, "at", *time(moment.time(), rules)]


class Walk:
    """One time through a box."""

    def __init__(self, box: MessageBox) -> None:
        self._stops = stops(box)
        self._place = 0
        self.kept = 0
        """Messages that were handled and not deleted."""

    @property
    def current(self) -> WalkStop | None:
        """Where the caller is; None behind the last."""
        return self._stops[self._place] if self._place < len(self._stops) else None

    @property
    def at_last(self) -> bool:
        """Whether it is the last."""
        return self._place == len(self._stops) - 1

    @property
    def menu(self) -> str:
        """What may be done with it."""
        return "msg_end_menu" if self.at_last else "msg_menu"

    def allows(self, action: KeyAction) -> bool:
        """Whether a key means something here."""
        if self.current is None:
            return action is KeyAction.START_OVER and self.kept > 0
        return action is not KeyAction.START_OVER or self.at_last

    def go_on(self, kept: bool) -> None:
        """To the next one. `kept`: this one stays in the box."""
        self.kept += kept
        self._place += 1
