# SPDX-License-Identifier: GPL-2.0-or-later
"""What a program has in a call's playlist, in the order of its operations: each is items and a separator, which tells that it is over.

add 1 ─► playing      add 2, not spoken yet: it and what is behind it wait      ready 2 ─► both follow
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from media.control.play_items import PlayFile, PlayItem, PlayRoom, PlaySeparator

if TYPE_CHECKING:
    from di.calls.audio import Audio


@dataclass(slots=True)
class _Play:
    items: tuple[PlayItem, ...] | None
    """None: it is still being made."""
    front: bool
    queued: bool = False
    room: bool = False
    """It is a stay in a room: nothing is over when the playlist is emptied."""


class Plays:
    """`done` and `failed` are told of an operation's end; `standing`: whom the call hears before all of it, a second leg or a stream."""

    def __init__(
        self,
        audio: Audio,
        done: Callable[[int], None],
        failed: Callable[[int, int, str], None],
        standing: Callable[[], tuple[PlayItem, ...]] = lambda: (),
    ) -> None:
        self._audio, self._done, self._failed, self._standing = audio, done, failed, standing
        self._plays: dict[int, _Play] = {}

    def __contains__(self, op: int) -> bool:
        return op in self._plays

    def enter(self, op: int, room: str) -> None:
        """A room has been put behind what there is."""
        self._plays[op] = _Play((PlayRoom(room),), front=False, queued=True, room=True)

    def add(self, op: int, items: tuple[PlayItem, ...] | None, front: bool = False) -> None:
        """Play something, behind what there is; with `front` what is playing is interrupted, and goes on after it."""
        self._plays[op] = _Play(items, front)
        self._release()

    def ready(self, op: int, items: tuple[PlayItem, ...]) -> None:
        """What was not made yet is."""
        play = self._plays.get(op)
        if play is not None:
            play.items = items
            self._release()

    def refuse(self, op: int, code: int, reason: str) -> None:
        """It cannot be made."""
        if self._plays.pop(op, None) is not None:
            self._failed(op, code, reason)
            self._release()

    def _release(self) -> None:
        for op, play in self._plays.items():
            if play.queued:
                continue
            if play.items is None:
                return
            play.queued = True
            self._audio.play(*play.items, *(() if play.room else (PlaySeparator(op),)), front=play.front)

    def reached(self, op: int) -> None:
        """A separator."""
        if self._plays.pop(op, None) is not None:
            self._done(op)

    def broken(self, path: str, reason: str) -> None:
        """A file cannot be played: the first operation that has it fails."""
        for op, play in self._plays.items():
            if any(isinstance(item, PlayFile) and item.path == path for item in play.items or ()):
                del self._plays[op]
                self._failed(op, 404, f"{path} cannot be played: {reason}")
                return

    def stop(self, op: int) -> None:
        """End one; what is behind it follows at once."""
        self._take_out([op])

    def flush(self) -> None:
        """End all. Where the call is, in a room or with somebody else, it stays."""
        self._take_out([op for op, play in self._plays.items() if not play.room])

    def _take_out(self, gone: list[int]) -> None:
        """The playlist begins anew with what is left."""
        plays = [self._plays.pop(op) for op in gone]
        if not plays or any(play.queued for play in plays):
            self._audio.flush()
            if standing := self._standing():
                self._audio.play(*standing)
            for play in self._plays.values():
                play.queued = False
        self._release()
        for op in gone:
            self._done(op)

    def dropped(self) -> None:
        """The playlist has been emptied: for a bridge, after one, or on the way out of a room."""
        plays, self._plays = self._plays, {}
        for op, play in plays.items():
            if not play.room:
                self._done(op)
