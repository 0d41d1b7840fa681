# SPDX-License-Identifier: GPL-2.0-or-later
"""What a simulated call plays: items one after the other, as a media process plays them, on the loop's clock."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from clients.app.testing.stage import HEARD_S


@dataclass(eq=False, slots=True)
class Item:
    """`number`: the operation that is over with it, 0 for none. `length_s` None: endless, a room or the other leg."""

    number: int
    name: str
    length_s: float | None
    loop: bool = False


class Playlist:
    """`done` is called with the number of each item that has been played; `heard` keeps the names of what the peer could recognise."""

    def __init__(self, done: Callable[[int], None], changed: Callable[[], None]) -> None:
        self.heard: list[str] = []
        self._done, self._changed = done, changed
        self._items: deque[Item] = deque()
        self._open = False
        self._timers: list[asyncio.TimerHandle] = []

    def open(self) -> None:
        """There is media now."""
        self._open = True
        self._begin()

    def add(self, item: Item) -> None:
        """Play it after all others."""
        self._items.append(item)
        if len(self._items) == 1:
            self._begin()

    def take_out(self, keep: Callable[[Item], bool]) -> list[int]:
        """Drop items; the numbers of those that are gone. What plays and stays begins anew, as in the server."""
        gone = [item.number for item in self._items if not keep(item)]
        self._items = deque(item for item in self._items if keep(item))
        self._stop()
        self._begin()
        return [number for number in gone if number]

    @property
    def elsewhere(self) -> bool:
        """Whether what plays is a room or the other leg."""
        return self._open and bool(self._items) and self._items[0].length_s is None

    def close(self) -> None:
        """The call is over."""
        self._stop()
        self._items.clear()

    def _stop(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _begin(self) -> None:
        if not self._open or not self._items:
            return
        item = self._items[0]
        if item.length_s is None:
            return
        loop = asyncio.get_running_loop()
        self._timers = [loop.call_later(item.length_s, self._over, item)]
        if item.name:
            self._timers.append(loop.call_later(min(HEARD_S, item.length_s) - 1e-6, self._recognised, item.name))

    def _recognised(self, name: str) -> None:
        self.heard.append(PurePosixPath(name).name)
        self._changed()

    def _over(self, item: Item) -> None:
        self._stop()
        if item.loop:
            self._begin()
            return
        self._items.popleft()
        if item.number:
            self._done(item.number)
        self._begin()
