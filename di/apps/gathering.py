# SPDX-License-Identifier: GPL-2.0-or-later
"""Collecting keys: a number, a PIN, a choice. Pure: keys, the end of the prompt and the time go in, a `Gathered` comes out.

    prompt plays ──first key──► prompt stops ─┐
         │ over                               ▼
         └──────────────► first_ms runs ──key──► between_ms runs ──key──► …
                              │ over                 │ over         │ end key, or as many as wanted
                              ▼                      ▼              ▼
                           NO_INPUT          COMPLETE or TOO_FEW    END_KEY, COMPLETE or TOO_FEW

`di.apps.keypad.Keypad` is the shell around it for one call.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

KEYS = "0123456789*#ABCD"
"""The key of each event number (RFC 4733 §3.2)."""
_NS_PER_MS = 1_000_000


def key_of(event: int) -> str:
    """The key of an event number; empty for what is no key (16 is a hook flash)."""
    return KEYS[event] if 0 <= event < len(KEYS) else ""


class Ended(Enum):
    """Why a collection is over."""

    COMPLETE = auto()
    """As many keys as wanted, or enough of them and then a pause."""
    END_KEY = auto()
    TOO_FEW = auto()
    """An end key or a pause before `min_digits` were there."""
    NO_INPUT = auto()
    """Time was over before any key."""
    CANCELLED = auto()
    """The application gave it up, or the call is over."""


@dataclass(frozen=True, slots=True)
class Gather:
    """What to collect. Times of 0 do not run. Raises ValueError for what contradicts itself or could never end.

    `max_digits` 0: any number; one that is reached completes the entry, or with `wait_for_end` further keys are left out until an end
    key comes. `keys`: those that count; an end key is never one of them. `first_ms` and `whole_ms` run from the end of the prompt or
    from the first key, whichever is sooner, `between_ms` from each key.
    """

    min_digits: int = 1
    max_digits: int = 0
    end_keys: str = "#"
    keys: str = "0123456789"
    first_ms: int = 0
    between_ms: int = 0
    whole_ms: int = 0
    wait_for_end: bool = False
    in_prompt: Literal["stop", "count", "ignore"] = "stop"
    """What a key does while the prompt plays: stop it and count, count only, or nothing."""

    def __post_init__(self) -> None:
        if min(self.min_digits, self.max_digits, self.first_ms, self.between_ms, self.whole_ms) < 0:
            raise ValueError(f"{self}: numbers of keys and times must not be negative")
        if self.max_digits and self.max_digits < self.min_digits:
            raise ValueError(f"max_digits {self.max_digits} is less than min_digits {self.min_digits}")
        strange = set(self.end_keys + self.keys) - set(KEYS)
        if strange:
            raise ValueError(f"{''.join(sorted(strange))!r} are no keys; keys are {KEYS}")
        if self.wait_for_end and not self.end_keys:
            raise ValueError("wait_for_end needs end_keys")
        if not (self.max_digits or self.end_keys or self.whole_ms or (self.first_ms and self.between_ms)):
            raise ValueError("an entry without max_digits, end_keys, whole_ms, or first_ms and between_ms would never end")


@dataclass(frozen=True, slots=True)
class Gathered:
    """What came. True as a condition when the entry is one: COMPLETE or END_KEY."""

    digits: str
    ended: Ended
    end_key: str = ""
    """The key that ended it; empty: none did."""

    def __bool__(self) -> bool:
        return self.ended in (Ended.COMPLETE, Ended.END_KEY)


class Collector:
    """One collection. `result` is None until it is over; what comes after that changes nothing."""

    def __init__(self, wanted: Gather, prompting: bool, now_ns: int) -> None:
        """`prompting`: a prompt plays, and `handle_prompt_over` will tell when it is over."""
        self.wanted = wanted
        self.prompting = prompting
        self.digits = ""
        self.result: Gathered | None = None
        self._listens_from_ns: int | None = None if prompting else now_ns
        self._last_key_ns: int | None = None

    def handle_key(self, key: str, now_ns: int) -> bool:
        """Take a key, one of KEYS. True: the prompt must stop now.

        A key that comes before `handle_time` counts, however late it is: a call that had to wait finds keys and expiry in their order.
        """
        wanted = self.wanted
        ends, counts = key in wanted.end_keys, key in wanted.keys
        if self.result is not None or not key or not (ends or counts) or (self.prompting and wanted.in_prompt == "ignore"):
            return False
        stops = self.prompting and wanted.in_prompt == "stop"
        if stops:
            self.prompting = False
        self._listen(now_ns)
        if ends:
            self._end(Ended.END_KEY if len(self.digits) >= wanted.min_digits else Ended.TOO_FEW, key)
        else:
            self._count(key, now_ns)
        return stops

    def _count(self, key: str, now_ns: int) -> None:
        wanted = self.wanted
        self._last_key_ns = now_ns
        if wanted.max_digits and len(self.digits) >= wanted.max_digits:
            return
        self.digits += key
        if len(self.digits) == wanted.max_digits and not wanted.wait_for_end:
            self._end(Ended.COMPLETE)

    def handle_prompt_over(self, now_ns: int) -> None:
        """The prompt has been played to its end."""
        if self.prompting:
            self.prompting = False
            self._listen(now_ns)

    def handle_time(self, now_ns: int) -> None:
        """Time has come; early calls are harmless."""
        due_ns = self.deadline_ns()
        if due_ns is None or now_ns < due_ns:
            return
        if not self.digits:
            self._end(Ended.NO_INPUT)
        else:
            self._end(Ended.COMPLETE if len(self.digits) >= self.wanted.min_digits else Ended.TOO_FEW)

    def cancel(self) -> None:
        """Give it up; what came so far is in the result."""
        self._end(Ended.CANCELLED)

    def deadline_ns(self) -> int | None:
        """When `handle_time` is to be called; None: nothing runs."""
        wanted, start_ns = self.wanted, self._listens_from_ns
        if self.result is not None or start_ns is None:
            return None
        times_ms = [(start_ns, wanted.whole_ms)]
        times_ms.append((start_ns, wanted.first_ms) if self._last_key_ns is None else (self._last_key_ns, wanted.between_ms))
        return min((from_ns + ms * _NS_PER_MS for from_ns, ms in times_ms if ms), default=None)

    def _listen(self, now_ns: int) -> None:
        if self._listens_from_ns is None:
            self._listens_from_ns = now_ns

    def _end(self, ended: Ended, key: str = "") -> None:
        if self.result is None:
            self.result = Gathered(self.digits, ended, key)


# --------------------------------------------------------------------------------------------------------------------- the shell
