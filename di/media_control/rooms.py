# SPDX-License-Identifier: GPL-2.0-or-later
"""In which media processes a room has legs, and so which rooms span several of them.

A leg counts as soon as a `room` item is in its playlist: such items do not end, so nothing takes them out but a flush or the leg's
end. That a leg does not listen there at this moment (a prompt interrupts it) makes no difference: its process then has nothing to send.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from media.control.records import SpanRoom

Change = tuple[int, SpanRoom]
"""A media process and what it has to be told."""


class MediaRooms:
    """Rooms by name. Pure; `changes` says what the processes have to be told since it was last asked."""

    def __init__(self) -> None:
        self._processes: dict[str, Counter[int]] = defaultdict(Counter)
        self._playlists: dict[int, list[tuple[str, int]]] = {}  # leg → (room, process) of its items
        self._tees: dict[int, dict[str, int]] = {}
        self._sent: dict[str, tuple[int, frozenset[int]]] = {}
        self._touched: set[str] = set()
        self._number = 0

    def processes(self, room: str) -> list[int]:
        """Processes with legs of a room, the one with most first."""
        return [process for process, _ in self._processes[room].most_common()] if room in self._processes else []

    def rooms_of(self, leg: int) -> set[str]:
        """Rooms that a leg is or will be heard in."""
        return {room for room, _ in self._playlists.get(leg, ())} | set(self._tees.get(leg, ()))

    def enter(self, leg: int, process: int, room: str) -> None:
        """A leg has an item of the room in its playlist."""
        self._playlists.setdefault(leg, []).append((room, process))
        self._count(room, process, 1)

    def tee(self, leg: int, process: int, room: str, on: bool) -> None:
        """A leg is heard in a room beside its playlist, or no longer."""
        tees = self._tees.setdefault(leg, {})
        if on and room not in tees:
            tees[room] = process
            self._count(room, process, 1)
        elif not on and room in tees:
            self._count(room, tees.pop(room), -1)
        if not tees:
            del self._tees[leg]

    def watch(self, room: str, process: int, on: bool) -> None:
        """A process needs what is said in a room although nobody there may be in it, or no longer: it records the mix."""
        self._count(room, process, 1 if on else -1)

    def flush(self, leg: int) -> None:
        """A leg's playlist is empty."""
        for room, process in self._playlists.pop(leg, ()):
            self._count(room, process, -1)

    def forget(self, leg: int) -> None:
        """A leg is gone."""
        self.flush(leg)
        for room, process in self._tees.pop(leg, {}).items():
            self._count(room, process, -1)

    def changes(self) -> Iterable[Change]:
        """Return what the processes have to be told, so that each knows the others of its spanning rooms."""
        if not self._touched:
            return ()
        touched, self._touched = self._touched, set()
        return [change for room in sorted(touched) for change in self._changes(room)]

    def _changes(self, room: str) -> list[Change]:
        processes = frozenset(self._processes.get(room, ()))
        now = processes if len(processes) > 1 else frozenset()
        number, before = self._sent.get(room, (0, frozenset()))
        if now == before:
            return []
        if not before:
            self._number += 1
            number = self._number
        if now:
            self._sent[room] = (number, now)
        else:
            del self._sent[room]
        ended = [(process, SpanRoom(room, number)) for process in sorted(before - now)]
        return [*ended, *((process, SpanRoom(room, number, tuple(sorted(now - {process})))) for process in sorted(now))]

    def _count(self, room: str, process: int, by: int) -> None:
        counts = self._processes[room]
        counts[process] += by
        if counts[process] <= 0:
            del counts[process]
        if not counts:
            del self._processes[room]
        self._touched.add(room)
