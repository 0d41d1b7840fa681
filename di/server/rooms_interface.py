# SPDX-License-Identifier: GPL-2.0-or-later
"""The DI interface `rooms`: who is in which room, whatever application brought them there, and what an operator does to them.

SEMS has this for webconference only, by room and pin. Here the caller's role decides (docs/access.md), and each application says what
a kick, a mute or a move means to it (`Application.on_kick`, `on_mute`, `on_move`). Not in SEMS.
"""

from __future__ import annotations

from di.calls.session import Session
from di.calls.sessions import Sessions
from di.kernel.registry import di_method
from di.kernel.value import Value

Reply = list[Value]

_OK: tuple[int, str] = (200, "OK")
_GONE = (404, "this call is over or never was; look at the list again")
_BUSY = (503, "too many events wait in this call")
_NOT_IN_A_ROOM = (409, "this call is in no room; only members of a room can be muted, moved or kicked")
MAX_ROOM_CHARS = 200


class RoomsInterface:
    """Rooms and their members."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @di_method("list", changes=False)
    def list_rooms(self) -> dict[str, Value]:
        """Return the rooms that have members: name → [{call, application, name, muted, speaking}], in order of entry."""
        rooms = self._sessions.rooms
        return {name: [self._member(id) for id in rooms.members(name)] for name in rooms.names()}

    def _member(self, id: str) -> Value:
        session = self._sessions.find(id)
        if session is None:
            return {"call": id, "application": "", "name": "", "muted": False, "speaking": False}
        return {
            "call": id,
            "application": session.application,
            "name": session.info.remote_party,
            "muted": session.audio.muted,
            "speaking": session.audio.speaking,
        }

    def _find(self, call: str) -> Session | tuple[int, str]:
        session = self._sessions.find(call)
        if session is None:
            return _GONE
        return session if session.audio.room or session.audio.tees else _NOT_IN_A_ROOM

    @di_method("kick")
    def kick(self, call: str) -> Reply:
        """End a call that is in a room."""
        session = self._find(call)
        if isinstance(session, tuple):
            return [*session]
        return [*(_OK if session.ask(session.app.on_kick) else _BUSY)]

    @di_method("mute")
    def mute(self, call: str) -> Reply:
        """Keep the others in the room from hearing a call."""
        return self._mute(call, True)

    @di_method("unmute")
    def unmute(self, call: str) -> Reply:
        """Let the others in the room hear a call again."""
        return self._mute(call, False)

    def _mute(self, call: str, muted: bool) -> Reply:
        session = self._find(call)
        if isinstance(session, tuple):
            return [*session]
        return [*(_OK if session.ask(lambda: session.app.on_mute(muted)) else _BUSY)]

    @di_method("move")
    def move(self, call: str, room: str) -> Reply:
        """Take a call from its room into another, which is made if it is not there."""
        session = self._find(call)
        if isinstance(session, tuple):
            return [*session]
        if not room or len(room) > MAX_ROOM_CHARS:
            return [400, f"a room's name has 1 to {MAX_ROOM_CHARS} characters"]
        if not session.audio.room:
            return [409, "this call is only heard in the room, beside what its script does; post an event to the script"]
        if room == session.audio.room:
            return [409, f"the call is in room {room!r} already"]
        refusal = session.app.move_refusal(room)
        if refusal:
            return [409, refusal]
        return [*(_OK if session.ask(lambda: session.app.on_move(room)) else _BUSY)]
