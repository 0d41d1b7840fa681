# SPDX-License-Identifier: GPL-2.0-or-later
"""The shell that collects keys: on a call that notes what it is told, and on a real session."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from di.apps.api import Application, Session
from di.apps.gathering import Ended, Gather, Gathered
from di.apps.keypad import KEYPAD_TIMER, Keypad
from di.spoken.tones import write
from media.control.play_items import PlayFile, PlayItem, PlaySeparator
from tests.support.playbook import Playbook

MS = 1_000_000
TIMES = {"first_ms": 5000, "between_ms": 2000}


@dataclass
class Call:
    """`KeypadCall` that notes what it is told; its time is set by hand."""

    time_ns: int = 0
    done: list[object] = field(default_factory=list)
    in_callback: bool = False

    @property
    def audio(self) -> Call:
        return self

    @property
    def timers(self) -> Call:
        return self

    @property
    def host(self) -> Call:
        return self

    @property
    def clock(self) -> Call:
        return self

    def now_ns(self) -> int:
        return self.time_ns

    def play(self, *items: PlayItem) -> None:
        self.done.extend(items)

    def flush(self) -> None:
        self.done.append("flush")

    def set(self, id: int, delay_ms: float) -> None:
        self.done.append(delay_ms)

    def remove(self, id: int) -> None:
        self.done.append("no timer")

    def since(self) -> list[object]:
        """What was done since the last question."""
        done, self.done = self.done, []
        return done


def test_shell_as_a_transcript() -> None:
    call, came = Call(), list[Gathered]()
    keypad = Keypad(call)
    keypad.begin(Gather(max_digits=2, **TIMES), "pin.wav", None, done=came.append)
    item, mark, *rest = call.since()
    assert item == PlayFile("pin.wav") and isinstance(mark, PlaySeparator) and rest == ["no timer"]
    assert keypad.on_separator(mark.number)
    assert call.since() == [5000]
    call.time_ns = 4_999_999_999
    assert keypad.on_timer(KEYPAD_TIMER)
    assert call.since() == [1], "what is left, rounded up"
    assert keypad.on_digit(4) and keypad.digits == "4"
    assert call.since() == [2000]
    assert keypad.on_digit(2)
    assert call.since() == ["no timer"] and came == [Gathered("42", Ended.COMPLETE)]
    assert not keypad.active and not keypad.on_digit(1)
    assert keypad.on_timer(KEYPAD_TIMER) and keypad.on_separator(mark.number), "late ones are still the keypad's, and harmless"
    assert not keypad.on_timer(1) and not keypad.on_separator(1) and not keypad.on_separator(mark.number + 1)
    assert call.since() == [] and len(came) == 1


def test_first_key_flushes_once_and_a_second_collection_cancels_the_first() -> None:
    call, came = Call(), list[Gathered]()
    keypad = Keypad(call)
    keypad.begin(Gather(), "a.wav", done=came.append)
    first = next(item for item in call.since() if isinstance(item, PlaySeparator))
    keypad.on_digit(1)
    keypad.on_digit(2)
    assert call.since().count("flush") == 1
    keypad.begin(Gather(first_ms=100, between_ms=100), "b.wav", done=came.append)
    assert came == [Gathered("12", Ended.CANCELLED)]
    keypad.on_separator(first.number)
    assert 100 not in call.since(), "the end of the first prompt is not the second's"


def test_done_may_begin_anew() -> None:
    call, came = Call(), list[Gathered]()
    keypad = Keypad(call)

    def again(gathered: Gathered) -> None:
        came.append(gathered)
        if not gathered:
            keypad.begin(Gather(), done=again)

    keypad.begin(Gather(), done=again)
    for event in (11, 5, 11):
        keypad.on_digit(event)
    assert [g.ended for g in came] == [Ended.TOO_FEW, Ended.END_KEY] and came[1].digits == "5"


async def _gather(keypad: Keypad, *events: int) -> Gathered:
    waiting = asyncio.ensure_future(keypad.gather(Gather(max_digits=2)))
    await asyncio.sleep(0)
    for event in events:
        keypad.on_digit(event)
    if len(events) < 2:
        keypad.on_destroy()
    return await waiting


def test_awaited() -> None:
    assert asyncio.run(_gather(Keypad(Call()), 1, 2)) == Gathered("12", Ended.COMPLETE)
    assert asyncio.run(_gather(Keypad(Call()), 1)) == Gathered("1", Ended.CANCELLED)


def test_task_that_is_cancelled_gives_the_collection_up() -> None:
    async def run() -> None:
        keypad = Keypad(Call())
        waiting = asyncio.ensure_future(keypad.gather(Gather()))
        await asyncio.sleep(0)
        assert keypad.active
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert not keypad.active

    asyncio.run(run())


# ------------------------------------------------------------------------------------------------------------------ a real session
class Asker(Application):
    """Asks for four digits, three times at most."""

    def __init__(self, session: Session, prompt: Path) -> None:
        super().__init__(session)
        self.prompt = prompt
        self.keypad = Keypad(session)
        self.came: list[Gathered] = []

    def on_session_start(self) -> None:
        self._ask()

    def _ask(self) -> None:
        self.keypad.begin(Gather(4, 4, first_ms=5000, between_ms=2000), self.prompt, done=self._entered)

    def _entered(self, gathered: Gathered) -> None:
        self.came.append(gathered)
        if not gathered and len(self.came) < 3 and gathered.ended is not Ended.CANCELLED:
            self._ask()

    def on_digit(self, event: int, duration_ms: int) -> None:
        self.keypad.on_digit(event)

    def on_separator(self, number: int) -> None:
        self.keypad.on_separator(number)

    def on_timer(self, id: int) -> None:
        self.keypad.on_timer(id)

    def on_destroy(self) -> None:
        self.keypad.on_destroy()


@pytest.fixture
def book(tmp_path: Path) -> Playbook:
    write(tmp_path / "enter.wav", ((1000, 20),))
    playbook = Playbook(mapping="^sip:=>asker\n")
    playbook.services.applications.register("asker", lambda session: Asker(session, tmp_path / "enter.wav"))
    return playbook


def asker(book: Playbook) -> tuple[Session, Asker]:
    session = book.up("x")
    assert isinstance(session.app, Asker)
    return session, session.app


def test_on_a_session(book: Playbook) -> None:
    session, app = asker(book)
    assert book.media.files(session.leg) == ["enter"]
    book.run(60)
    assert app.came == [], "the prompt still plays"
    book.media.finish_item(session.leg)
    book.run(4.9)
    assert app.came == []
    book.run(0.2)
    assert app.came == [Gathered("", Ended.NO_INPUT)] and book.media.files(session.leg) == ["enter"]
    book.media.press(session.leg, "12")
    book.run()
    assert book.media.files(session.leg) == []
    book.run(1.9)
    book.media.press(session.leg, "3")
    book.run(2.1)
    assert app.came[1:] == [Gathered("123", Ended.TOO_FEW)]
    book.media.press(session.leg, "4321")
    book.run()
    assert app.came[2:] == [Gathered("4321", Ended.COMPLETE)]


def test_hung_up(book: Playbook) -> None:
    session, app = asker(book)
    book.media.press(session.leg, "1")
    book.bye(session)
    assert app.came == [Gathered("1", Ended.CANCELLED)]
