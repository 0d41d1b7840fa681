# SPDX-License-Identifier: GPL-2.0-or-later
"""The order of what a program has played, also while some of it is still being spoken."""

from __future__ import annotations

from typing import Any

from interfaces.apps.plays import Plays
from media.control.play_items import PlayFile, PlayItem, PlaySeparator


class Sounds:
    """`Audio`, as far as it is used; and who is told."""

    def __init__(self) -> None:
        self.queue: list[PlayItem] = []
        self.done: list[int] = []
        self.failed: list[int] = []
        self.plays = Plays(self, self.done.append, lambda op, code, why: self.failed.append(op))  # type: ignore[arg-type]

    def play(self, *items: PlayItem, front: bool = False) -> None:
        self.queue = [*items, *self.queue] if front else [*self.queue, *items]

    def flush(self) -> None:
        self.queue = []

    def heard(self) -> list[Any]:
        return [item.path if isinstance(item, PlayFile) else item.number for item in self.queue]  # type: ignore[union-attr]


def files(*names: str) -> tuple[PlayItem, ...]:
    return tuple(PlayFile(name) for name in names)


def test_what_is_not_spoken_yet_holds_up_what_is_behind_it() -> None:
    sounds = Sounds()
    sounds.plays.add(1, files("a", "b"))
    sounds.plays.add(2, None)
    sounds.plays.add(3, files("d"))
    assert sounds.heard() == ["a", "b", 1]
    sounds.plays.ready(2, files("c"))
    assert sounds.heard() == ["a", "b", 1, "c", 2, "d", 3]
    sounds.plays.reached(1)
    sounds.plays.broken("d", "bad")
    assert sounds.done == [1] and sounds.failed == [3]


def test_stop_takes_out_one_and_flush_all() -> None:
    sounds = Sounds()
    for op in (1, 2, 3):
        sounds.plays.add(op, files(str(op)) if op != 3 else None)
    sounds.plays.stop(1)
    assert sounds.heard() == ["2", 2] and sounds.done == [1]
    sounds.plays.refuse(3, 500, "no engine")
    sounds.plays.ready(3, files("3"))
    assert sounds.heard() == ["2", 2] and sounds.failed == [3]
    sounds.plays.flush()
    assert sounds.heard() == [] and sounds.done == [1, 2] and 2 not in sounds.plays


def test_what_interrupts_comes_first() -> None:
    sounds = Sounds()
    sounds.queue = [PlaySeparator(9)]
    sounds.plays.add(1, files("a"), front=True)
    assert sounds.heard() == ["a", 1, 9]
