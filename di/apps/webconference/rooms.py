# SPDX-License-Identifier: GPL-2.0-or-later
"""Conference rooms and who was, is or will be in them (spec applications.md §1.4). Pure: `now_s` comes in.

A room appears when it is created, when somebody enters it, or when a DI function names it (outside private mode). Its pin is set by
whoever names one first. There are at most `max_rooms`; an old one goes when its time is over, which costs nothing while it is not.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from enum import IntEnum

from di.apps.api import Value

MAX_CHARS = 200
"""Longest name and pin of a room."""
_MAX_INVITED = 1000
"""Participants of one room who are announced and have not called."""


class TooManyRooms(Exception):
    """There are as many rooms as there may be; the text says how many."""


class Status(IntEnum):
    """A participant's status as roomInfo shows it."""

    DISCONNECTED = 0
    CONNECTING = 1
    RINGING = 2
    CONNECTED = 3
    DISCONNECTING = 4
    FINISHED = 5


@dataclass
class Participant:
    """One line of roomInfo. An invited participant who has not called has no tag."""

    tag: str
    number: str
    participant_id: str = ""
    status: Status = Status.DISCONNECTED
    reason: str = ""
    muted: bool = False
    changed_s: float = 0.0

    def listed(self) -> list[Value]:
        """The array that roomInfo returns."""
        return [self.tag, self.number, int(self.status), self.reason, int(self.muted), self.participant_id]


@dataclass
class Room:
    """A room. `expires_s` is the time when roomCreate's timeout is over, 0 for never."""

    pin: str = ""
    access_s: float = 0.0
    expires_s: float = 0.0
    participants: list[Participant] = field(default_factory=list)
    look_s: float = 0.0
    """When `RoomTable.sweep` looks at it next, 0 for never."""

    def find(self, tag: str) -> Participant | None:
        """The participant with that call."""
        return next((p for p in self.participants if p.tag == tag), None) if tag else None

    def present(self) -> list[Participant]:
        """Those whose call is not over."""
        return [p for p in self.participants if p.tag and p.status is not Status.FINISHED]


@dataclass(frozen=True)
class Rules:
    """What the configuration says about rooms. Expiry delays are None when nothing expires."""

    private: bool = False
    ignore_pin: bool = False
    participant_expiry_s: int | None = 10
    room_expiry_s: int | None = 7200
    max_rooms: int = 10_000


class RoomTable:
    """All rooms by name."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.rooms: dict[str, Room] = {}
        self._looks: list[tuple[float, str]] = []
        """A heap: when to look at which room; an entry that is not its room's `look_s` is an old one."""

    def create(self, name: str, pin: str, timeout_s: int, now_s: float) -> bool:
        """Open a room with a pin. False when it is open already; one without a pin gets this one. Raises TooManyRooms."""
        room = self._usable(name, now_s)
        if room is not None and room.pin:
            return False
        if room is None:
            room = self._add(name, Room(), now_s)
        room.pin, room.access_s = pin, now_s
        room.expires_s = now_s + timeout_s if timeout_s > 0 else 0.0
        self._look_later(name, room)
        return True

    def _add(self, name: str, room: Room, now_s: float) -> Room:
        """Take a new room in. Raises TooManyRooms, also for a name or pin that is too long to be kept."""
        if len(self.rooms) >= self.rules.max_rooms:
            self.sweep(now_s)
        if len(self.rooms) >= self.rules.max_rooms:
            raise TooManyRooms(f"there are {len(self.rooms)} rooms, and max_rooms={self.rules.max_rooms}")
        if len(name) > MAX_CHARS or len(room.pin) > MAX_CHARS:
            raise TooManyRooms(f"names and pins of rooms have at most {MAX_CHARS} characters")
        self.rooms[name] = room
        self._look_later(name, room)
        return room

    def access(self, name: str, pin: str, now_s: float) -> Room | None:
        """A room for a DI function (the look-up rule of §1.4): made with this pin outside private mode; None for a wrong pin, or when
        there are too many rooms.
        """
        known = name in self.rooms
        room = self._usable(name, now_s)
        if room is None:
            if known or self.rules.private:
                return None
            try:
                room = self._add(name, Room(pin, now_s), now_s)
            except TooManyRooms:
                return None
        elif not room.pin:
            room.pin = pin[:MAX_CHARS]
        elif room.pin != pin and not self.rules.ignore_pin:
            return None
        room.access_s = now_s
        return room

    def look(self, name: str, pin: str, now_s: float) -> list[Participant] | None:
        """What `access` and `participants` would list, without changing anything: no room, no pin, no time."""
        room = self.rooms.get(name)
        if room is None:
            return None if self.rules.private else []
        if self._expired(room, now_s) or (room.pin and room.pin != pin and not self.rules.ignore_pin):
            return None
        return self._listed(room, now_s)

    def _usable(self, name: str, now_s: float) -> Room | None:
        """The room, unless its time is over: then it is removed."""
        room = self.rooms.get(name)
        if room is not None and self._expired(room, now_s):
            del self.rooms[name]
            return None
        return room

    def _expired(self, room: Room, now_s: float) -> bool:
        if room.expires_s and now_s > room.expires_s and not room.present():
            return True
        delay_s = self.rules.room_expiry_s
        return delay_s is not None and not room.present() and now_s > room.access_s + delay_s

    def invite(self, name: str, participant_id: str, number: str, now_s: float) -> bool:
        """Add an absent participant. False in private mode for a room that is not open."""
        room = self._entry(name, now_s)
        if room is None or sum(1 for p in room.participants if not p.tag) >= _MAX_INVITED:
            return False
        room.participants.append(Participant("", number[:MAX_CHARS], participant_id[:MAX_CHARS], changed_s=now_s))
        return True

    def may_enter(self, name: str, participant_id: str, split: bool, now_s: float) -> bool:
        """Whether a caller may enter: in private mode the room must be open and, with split numbers, the participant invited."""
        if not self.rules.private:
            return True
        room = self._usable(name, now_s)
        if room is None:
            return False
        return not split or any(p.participant_id == participant_id for p in room.participants)

    def enter(self, name: str, participant: Participant, now_s: float) -> bool:
        """Add a call; an invited participant of that id takes it over. False in private mode for a room that is not open."""
        room = self._entry(name, now_s)
        if room is None:
            return False
        room.access_s = participant.changed_s = now_s
        # who is long gone leaves the list, also where nobody ever asks for it; a call that was moved away and comes back has one line
        room.participants = [known for known in self._listed(room, now_s) if not participant.tag or known.tag != participant.tag]
        if participant.participant_id:
            for index, known in enumerate(room.participants):
                if not known.tag and known.participant_id == participant.participant_id:
                    room.participants[index] = participant
                    return True
        room.participants.append(participant)
        return True

    def _entry(self, name: str, now_s: float) -> Room | None:
        room = self._usable(name, now_s)
        if room is None and not self.rules.private:
            try:
                room = self._add(name, Room(access_s=now_s), now_s)
            except TooManyRooms:
                return None
        return room

    def update(self, name: str, tag: str, status: Status, reason: str | None, now_s: float) -> None:
        """Change a participant's status; reason None keeps the last one."""
        room, participant = self.rooms.get(name), self.participant(name, tag)
        if room is None or participant is None:
            return
        participant.status, participant.changed_s = status, now_s
        if reason is not None:
            participant.reason = reason
        room.access_s = now_s

    def participant(self, name: str, tag: str) -> Participant | None:
        """A call's line in a room."""
        room = self.rooms.get(name)
        return room.find(tag) if room is not None else None

    def participants(self, room: Room, now_s: float) -> list[Participant]:
        """Those to be listed: finished ones leave the list after a while."""
        room.participants = self._listed(room, now_s)
        return room.participants

    def _listed(self, room: Room, now_s: float) -> list[Participant]:
        delay_s = self.rules.participant_expiry_s
        if delay_s is None:
            return room.participants
        return [p for p in room.participants if p.status is not Status.FINISHED or now_s <= p.changed_s + delay_s]

    # -------------------------------------------------------------------------------------------------------------- expiry
    def _look_later(self, name: str, room: Room) -> None:
        """Note when the room's time may be over."""
        delay_s = self.rules.room_expiry_s
        due = [room.expires_s] if room.expires_s else []
        if delay_s is not None:
            due.append(room.access_s + delay_s)
        room.look_s = min(due, default=0.0)
        if room.look_s:
            heapq.heappush(self._looks, (room.look_s, name))

    def sweep(self, now_s: float) -> None:
        """Remove rooms whose time is over. Costs those whose time has come, and those in which people are still."""
        again: list[tuple[str, Room]] = []
        while self._looks and self._looks[0][0] < now_s:
            look_s, name = heapq.heappop(self._looks)
            room = self.rooms.get(name)
            if room is None or room.look_s != look_s:
                continue
            if self._expired(room, now_s):
                del self.rooms[name]
            else:
                again.append((name, room))
        for name, room in again:
            self._look_later(name, room)

    def timed_out(self, now_s: float) -> list[str]:
        """Rooms whose roomCreate timeout has passed, with whoever is in them."""
        return [name for name, room in self.rooms.items() if room.expires_s and now_s > room.expires_s]

    def rooms_of(self, participant_id: str) -> list[str]:
        """Rooms that know a participant id."""
        return [name for name, room in self.rooms.items() if any(p.participant_id == participant_id for p in room.participants)]
