# SPDX-License-Identifier: GPL-2.0-or-later
"""Collecting keys: a number, a PIN, a choice.

    prompt plays ──first key──► prompt stops ─┐
         │ over                               ▼
         └──────────────► first_ms runs ──key──► between_ms runs ──key──► …
                              │ over                 │ over         │ end key, or as many as wanted
                              ▼                      ▼              ▼
                           NO_INPUT          COMPLETE or TOO_FEW    END_KEY, COMPLETE or TOO_FEW

`Collector` is the pure core: keys, the end of the prompt and the time go in, a `Gathered` comes out. `Keypad` is its shell for one call;
the application hands it `on_digit`, `on_timer`, `on_separator` and `on_destroy`:

    keypad = Keypad(session)
    keypad.begin(Gather(max_digits=4, end_keys="#", first_ms=10_000), prompt, done=self.pin_entered)

or, in a coroutine of its own (`session.host.spawn`), `pin = await keypad.gather(Gather(max_digits=4), prompt)`. Awaited inside a
callback it raises at once: while a callback waits, the keys wait behind it.

Left out: what a key means in a menu, and how often to ask again; that is the application's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Literal, Protocol

from media.control.play_items import PlayFile, PlayItem, PlaySeparator

KEYS = "0123456789*#ABCD"
"""The key of each event number (RFC 4733 §3.2)."""
KEYPAD_TIMER = 0x6B65
"""The timer's number, out of the way of those that applications count from 1."""
_SEPARATORS = 0x6B650000
"""First number of the separators that mark a prompt's end."""
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
class KeypadAudio(Protocol):
    """Of a call's audio: play and stop playing."""

    def play(self, *items: PlayItem) -> None:
        """Queue items."""

    def flush(self) -> None:
        """Drop everything queued."""


class KeypadTimers(Protocol):
    """Of a call's timers: one."""

    def set(self, id: int, delay_ms: float) -> None:
        """Start it, or start it anew."""

    def remove(self, id: int) -> None:
        """Stop it."""


class KeypadClock(Protocol):
    """Monotonic time."""

    def now_ns(self) -> int:
        """Now."""


class KeypadHost(Protocol):
    """What a call stands in."""

    @property
    def clock(self) -> KeypadClock:
        """Time."""


class KeypadCall(Protocol):
    """All that a `Keypad` needs of a call; `di.calls.session.Session` has it."""

    @property
    def audio(self) -> KeypadAudio:
        """Where prompts play."""

    @property
    def timers(self) -> KeypadTimers:
        """Where its timer runs."""

    @property
    def host(self) -> KeypadHost:
        """Where its clock is."""

    @property
    def in_callback(self) -> bool:
        """Whether the caller is one of the call's callbacks."""


Prompt = str | Path | PlayItem | None
"""A file, an item of a playlist, or None: a prompt that was looked for and is not there."""


def as_item(prompt: str | Path | PlayItem) -> PlayItem:
    """A prompt as item of a playlist."""
    return PlayFile(str(prompt)) if isinstance(prompt, (str, Path)) else prompt


class Keypad:
    """The collections of one call, one at a time. `timer`: its number among the call's timers."""

    def __init__(self, call: KeypadCall, timer: int = KEYPAD_TIMER) -> None:
        self._call = call
        self._timer = timer
        self._separator = _SEPARATORS
        self._running: tuple[Collector, Callable[[Gathered], object]] | None = None

    @property
    def active(self) -> bool:
        """Whether keys are being collected."""
        return self._running is not None

    @property
    def digits(self) -> str:
        """What has come so far of the collection that runs."""
        return self._running[0].digits if self._running is not None else ""

    def begin(self, wanted: Gather, *prompts: Prompt, done: Callable[[Gathered], object]) -> None:
        """Play prompts, after what is queued, and collect. `done` is called once; it may begin anew. One that runs is cancelled.

        A key that stops the prompt drops everything that the call plays.
        """
        self.cancel()
        items = [as_item(prompt) for prompt in prompts if prompt is not None]
        self._running = Collector(wanted, bool(items), self._call.host.clock.now_ns()), done
        if items:
            self._separator += 1
            self._call.audio.play(*items, PlaySeparator(self._separator))
        self._go_on()

    async def gather(self, wanted: Gather, *prompts: Prompt) -> Gathered:
        """As `begin`, waiting for the result. When the waiting task is cancelled, so is the collection.

        Raises RuntimeError inside a callback of the call, where it would wait for keys that wait for the callback.
        """
        if self._call.in_callback:
            raise RuntimeError(
                "Keypad.gather was awaited inside a callback, whose call then gets no key: use begin(…, done=…), "
                "or run what awaits it by session.host.spawn"
            )
        result: asyncio.Future[Gathered] = asyncio.get_running_loop().create_future()

        def done(gathered: Gathered) -> None:
            if not result.done():
                result.set_result(gathered)

        self.begin(wanted, *prompts, done=done)
        mine = self._running
        try:
            return await result
        finally:
            if self._running is mine:
                self.cancel()

    def on_digit(self, event: int) -> bool:
        """A key of the call. True: a collection runs and the key was its business, whether it counted or not."""
        if self._running is None:
            return False
        if self._running[0].handle_key(key_of(event), self._call.host.clock.now_ns()):
            self._call.audio.flush()
        self._go_on()
        return True

    def on_separator(self, number: int) -> bool:
        """A separator of the call's playlist. True: it was the keypad's."""
        if self._running is not None and number == self._separator:
            self._running[0].handle_prompt_over(self._call.host.clock.now_ns())
            self._go_on()
        return _SEPARATORS < number <= self._separator

    def on_timer(self, id: int) -> bool:
        """A timer of the call. True: it was the keypad's."""
        if id == self._timer and self._running is not None:
            self._running[0].handle_time(self._call.host.clock.now_ns())
            self._go_on()
        return id == self._timer

    def on_destroy(self) -> None:
        """The call is over: whoever waits hears CANCELLED."""
        self.cancel()

    def cancel(self) -> None:
        """Give up the collection that runs, if any; the prompt plays on."""
        if self._running is not None:
            self._running[0].cancel()
            self._go_on()

    def _go_on(self) -> None:
        """Set the timer to what is due next, or hand out the result."""
        if self._running is None:
            return
        collector, done = self._running
        due_ns = collector.deadline_ns()
        if due_ns is None:
            self._call.timers.remove(self._timer)
        else:  # whole milliseconds, rounded up: an expiry is never too early
            self._call.timers.set(self._timer, -((self._call.host.clock.now_ns() - due_ns) // _NS_PER_MS))
        if collector.result is not None:
            self._running = None
            done(collector.result)
