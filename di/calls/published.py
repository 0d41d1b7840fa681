# SPDX-License-Identifier: GPL-2.0-or-later
"""What the event stream is told of calls and rooms, and what a new listener gets first (docs/events.md)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from di.calls.rooms import RoomRegistry
from di.calls.session import Session
from di.kernel.event_log import EventFilter, EventLog
from di.kernel.value import Value
from media.control.records import AnnounceFailed, SpeakerChanged


class Calls(Protocol):
    """Who has the calls (`di.calls.sessions.Sessions`)."""

    @property
    def rooms(self) -> RoomRegistry:
        """Who is in which room."""

    def find(self, id: str) -> Session | None:
        """The call with that id, or None."""

    def all(self) -> Collection[Session]:
        """Every call."""


class Published:
    """Writes into the event log; its snapshots are `rooms` and `sessions`."""

    def __init__(self, calls: Calls, events: EventLog) -> None:
        self._calls = calls
        self._events = events
        events.add_snapshot("rooms", self._rooms)
        events.add_snapshot("sessions", self._sessions)

    def call(self, type: str, session: Session, **attributes: Value) -> None:
        """Something happened to a call."""
        self._events.publish(type, session.id, session.audio.room, attributes)

    def room(self, type: str, room: str, member: str) -> None:
        """Somebody came or went."""
        self._events.publish(type, member, room, {"participants": self._calls.rooms.count(room)})

    def speaker(self, record: SpeakerChanged, session: Session | None) -> None:
        """Somebody began or ceased to speak in a room."""
        if session is not None:
            session.audio.speaking = record.speaking
        attributes: dict[str, Value] = {"speaking": record.speaking, "level_db": record.level_db}
        self._events.publish("room.speaking", session.id if session else "", record.room, attributes)

    def announce_failed(self, record: AnnounceFailed) -> None:
        """A file that a room should have been played was left out."""
        self._events.publish("room.announce_failed", "", record.room, {"path": record.path, "reason": record.reason})

    def _rooms(self, wanted: EventFilter) -> Value:
        """Room → its members' ids."""
        rooms = self._calls.rooms
        return {name: [*rooms.members(name)] for name in rooms.names() if not wanted.rooms or name in wanted.rooms}

    def _sessions(self, wanted: EventFilter) -> Value:
        """Call → what the monitoring store does not have of it."""
        chosen = filter(None, map(self._calls.find, wanted.calls)) if wanted.calls else self._calls.all()
        return {
            session.id: {
                "application": session.application,
                "direction": session.info.direction,
                "started": session.started_s,
                "answered": session.answered_s,
                "room": session.audio.room,
                "muted": session.audio.muted,
                "speaking": session.audio.speaking,
            }
            for session in chosen
        }
