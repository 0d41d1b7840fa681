# SPDX-License-Identifier: GPL-2.0-or-later
"""The DI interface `rooms`: who is in which room, whatever application brought them there, and what an operator does to them.

SEMS has this for webconference only, by room and pin. Here the caller's role decides (docs/access.md), and each application says what
a kick, a mute or a move means to it (`Application.on_kick`, `on_mute`, `on_move`). Not in SEMS.
"""

from __future__ import annotations

import asyncio
import logging

from di.calls.session import Session
from di.calls.sessions import Sessions
from di.kernel.registry import di_method
from di.kernel.value import Value
from di.server.room_sounds import RoomSounds
from media.control.play_items import PlayFile
from media.control.records import Announce, LoadPrompt, PromptLoaded, Statistics

Reply = list[Value]

_OK: tuple[int, str] = (200, "OK")
_GONE = (404, "this call is over or never was; look at the list again")
_BUSY = (503, "too many events wait in this call")
_NOT_IN_A_ROOM = (409, "this call is in no room; only members of a room can be muted, moved or kicked")
MAX_ROOM_CHARS = 200
LOAD_S = 10.0

log = logging.getLogger(__name__)


class RoomsInterface:
    """Rooms and their members."""

    def __init__(self, sessions: Sessions, sounds: RoomSounds | None = None) -> None:
        self._sessions = sessions
        self._sounds = sounds or RoomSounds(())

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

    # ------------------------------------------------------------------------------------------------------- sounds to a room
    @di_method("sounds", changes=False)
    async def sounds(self) -> list[Value]:
        """Return the names of the files that `play` can play: those in the folders of room_sounds (sems.conf)."""
        return [*await asyncio.to_thread(self._sounds.names)]

    @di_method("play")
    async def play(self, room: str, file: str) -> Reply:
        """Play a sound file once to everybody in a room, over the talk: [200, "OK", length in ms].

        `file` as `sounds` names it. 404: nobody is in the room, or no such file; 415: it cannot be played, with the reason; 503, 504: the
        media process is not there, or does not answer.
        """
        if not self._sessions.rooms.count(room):
            return [404, "nobody is in this room"]
        path = await asyncio.to_thread(self._sounds.find, file)
        if path is None:
            return [404, "there is no such sound in the folders of room_sounds (sems.conf); rooms.sounds lists them"]
        if not self._sessions.media_is_up:
            return [503, "no media process is up; it is being started"]
        loaded = await self._load(str(path))
        if loaded is None:
            return [504, "the media process did not read the file in time"]
        if loaded.error:
            log.warning("room %s: %s is not played: %s", room, path, loaded.error)
            return [415, f"{file} cannot be played: {loaded.error}"]
        if not self._sessions.rooms.count(room):
            return [404, "everybody has left this room"]
        self._sessions.media.send(Announce(room, (PlayFile(str(path)),)))
        return [200, "OK", loaded.length_ms]

    async def _load(self, path: str) -> PromptLoaded | None:
        """Let the media process read a file; None when it does not answer."""
        answer: asyncio.Future[PromptLoaded] = asyncio.get_running_loop().create_future()

        def loaded(record: PromptLoaded | Statistics) -> None:
            if isinstance(record, PromptLoaded) and not answer.done():
                answer.set_result(record)

        request = self._sessions.ask_media(lambda number: LoadPrompt(number, path), loaded)
        try:
            return await asyncio.wait_for(answer, LOAD_S)
        except TimeoutError:
            return None
        finally:
            self._sessions.answers.pop(request, None)
