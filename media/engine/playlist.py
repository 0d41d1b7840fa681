# SPDX-License-Identifier: GPL-2.0-or-later
"""A leg's playlist (spec core.md §9.2): what is current, what follows, where an interrupted item goes on.

Only the order lives here; the engine makes the current item sound.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from media.control.play_items import PlayFile, PlayItem, PlayRoom, PlayTone
from media.engine.sources import StoredAudio

ENDLESS = -1


@dataclass(slots=True, eq=False)
class Entry:
    """One item with its progress.

    `wanted`: token of the file load it waits for, 0 none · `resumes`: it was interrupted at `position_bytes` · `position_ms`:
    the same as a time, after a change of codec; -1 unknown · `recording`: token of the recording that a record item has begun.
    """

    item: PlayItem
    audio: StoredAudio | None = None
    wanted: int = 0
    failure: str = ""
    started: bool = False
    resumes: bool = False
    position_bytes: int = 0
    position_ms: int = -1
    remaining_samples: int = ENDLESS
    recording: int = 0


class Playlist:
    """Entries in playing order; the first is the current one."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    @property
    def current(self) -> Entry | None:
        """The entry that is playing or about to."""
        return self._entries[0] if self._entries else None

    def add(self, entries: list[Entry], front: bool) -> None:
        """Append entries in order, or with `front` put them before the current one."""
        if front:
            self._entries.extendleft(reversed(entries))
        else:
            self._entries.extend(entries)

    def drop_current(self) -> None:
        """Remove the entry that has ended or failed."""
        self._entries.popleft()

    def flush(self) -> None:
        """Remove everything."""
        self._entries.clear()

    def room(self) -> tuple[str, bool]:
        """Return the room in which the leg now speaks ("" none) and whether it also listens there.

        A leg speaks on in an interrupted room while the interrupting items say ``talk_through``.
        """
        for index, entry in enumerate(self._entries):
            match entry.item:
                case PlayRoom(room):
                    return room, index == 0
                case PlayFile(talk_through=True) | PlayTone(talk_through=True):
                    continue
            break
        return "", False
