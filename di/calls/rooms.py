# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is in which room: the server-wide conference registry that all applications share (spec core.md §9.5, applications.md §1.2).

Pure: mixing is the media process's work (a `room` playlist item); this tells the members who came and went.
"""

from __future__ import annotations

from collections.abc import Callable

from di.calls.events import RoomChanged


class RoomRegistry:
    """Rooms by name, members in order of entry. `notify(member, change)` hands a change to a member's queue."""

    def __init__(
        self, notify: Callable[[str, RoomChanged], None], publish: Callable[[str, str, str], None] | None = None
    ) -> None:
        """`publish(type, room, member)` is told `room.joined` and `room.left`."""
        self._members: dict[str, dict[str, None]] = {}
        self._notify = notify
        self._publish = publish

    def join(self, room: str, member: str) -> int:
        """Add a member and tell everybody in it, the newcomer too. Returns the new count; joining twice changes nothing."""
        members = self._members.setdefault(room, {})
        if member in members:
            return len(members)
        members[member] = None
        count = len(members)
        change = RoomChanged(room, "first" if count == 1 else "joined", count, member)
        for name in list(members):
            self._notify(name, change)
        if self._publish is not None:
            self._publish("room.joined", room, member)
        return count

    def leave(self, room: str, member: str) -> int:
        """Take a member out and tell the others. Returns the new count; an empty room is gone."""
        members = self._members.get(room)
        if members is None or member not in members:
            return len(members or ())
        del members[member]
        count = len(members)
        if not count:
            del self._members[room]
        for name in list(members):
            self._notify(name, RoomChanged(room, "left", count, member))
        if self._publish is not None:
            self._publish("room.left", room, member)
        return count

    def members(self, room: str) -> list[str]:
        """Session ids in a room, in order of entry."""
        return list(self._members.get(room, ()))

    def count(self, room: str) -> int:
        """How many are in a room."""
        return len(self._members.get(room, ()))

    def names(self) -> list[str]:
        """Rooms with somebody in them."""
        return list(self._members)
