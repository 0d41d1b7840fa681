# SPDX-License-Identifier: GPL-2.0-or-later
"""A call's shell around `di.apps.gathering.Collector`: the application hands it `on_digit`, `on_timer`, `on_separator` and `on_destroy`.

    keypad = Keypad(session)
    keypad.begin(Gather(max_digits=4, end_keys="#", first_ms=10_000), prompt, done=self.pin_entered)

or, in a coroutine of its own (`session.host.spawn`), `pin = await keypad.gather(Gather(max_digits=4), prompt)`. Awaited inside a
callback it raises at once: while a callback waits, the keys wait behind it.

Left out: what a key means in a menu, and how often to ask again; that is the application's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from di.apps.gathering import KEYS, Collector, Ended, Gather, Gathered, key_of
from media.control.play_items import PlayFile, PlayItem, PlaySeparator

__all__ = ("KEYPAD_TIMER", "KEYS", "Ended", "Gather", "Gathered", "Keypad", "Prompt", "as_item", "key_of")
"""All that an application needs for keys, from one place."""
KEYPAD_TIMER = 0x6B65
"""The timer's number, out of the way of those that applications count from 1."""
_SEPARATORS = 0x6B650000
"""First number of the separators that mark a prompt's end."""
_NS_PER_MS = 1_000_000


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
