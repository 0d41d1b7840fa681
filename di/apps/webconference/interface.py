# SPDX-License-Identifier: GPL-2.0-or-later
"""The DI functions of `webconference` (spec applications.md §1.5). Every reply ends with the server's info string.

Pins are short, so wrong ones are counted by caller and room (`di.access.guesses`): who guesses is answered as for a wrong pin for a while.
"""

from __future__ import annotations

import hmac
import logging
from typing import TYPE_CHECKING

from di.apps.api import (
    Caller,
    CallFailed,
    CallOut,
    Credential,
    Dialler,
    Guesses,
    Lenient,
    OutOfBounds,
    Value,
    di_method,
    header_lines,
)
from di.apps.webconference.rooms import MAX_CHARS, Participant, Room, Status, TooManyRooms

if TYPE_CHECKING:
    from di.apps.webconference.conference import Conference
    from di.apps.webconference.members import Members

log = logging.getLogger(__name__)

_NO_ROOM = "wrong adminpin or inexisting room"
_NO_CALL = "call does not exist"


class Webconference:
    """Rooms from outside."""

    def __init__(self, conference: Conference, members: Members) -> None:
        self._conference = conference
        self._members = members
        self._table = conference.table
        self._guesses = Guesses("room pin", conference.services.clock.now_ns)
        self._masters = Guesses("master password", conference.services.clock.now_ns)
        self._calls = 0

    def _reply(self, *values: Value) -> list[Value]:
        return [*values, self._conference.info()]

    def _room(self, caller: Caller, room: str, pin: str) -> Room | None:
        """The room for who knows its pin; one that nobody named yet is made (outside private mode). None: wrong pin, or no such room."""
        if self._guesses.refused(caller, room):
            return None
        found = self._table.access(room, pin, self._conference.now_s())
        self._note(caller, room, found is not None)
        return found

    def _note(self, caller: Caller, room: str, right: bool) -> None:
        if right:
            self._guesses.right(caller, room)
        elif room in self._table.rooms:
            self._guesses.wrong(caller, room)

    def _sweep(self) -> None:
        self._calls += 1
        if self._calls % self._conference.options.room_sweep_interval == 0:
            self._table.sweep(self._conference.now_s())

    # ----------------------------------------------------------------------------------------------------------------- rooms
    @di_method("roomCreate")
    def room_create(self, room: str, timeout_s: Lenient[int] = 0) -> list[Value]:
        """Create a room and return its admin pin."""
        self._sweep()
        if len(room) > MAX_CHARS:
            return self._reply(2, f"a room's name has at most {MAX_CHARS} characters", "")
        pin = f"{self._conference.services.clock.random.randrange(1_000_000):06d}"
        try:
            created = self._table.create(room, pin, timeout_s, self._conference.now_s())
        except TooManyRooms as error:
            return self._reply(2, str(error), "")
        return self._reply(0, "OK", pin) if created else self._reply(1, "room already opened", "")

    @di_method("roomInfo", changes=False)
    def room_info(self, caller: Caller, room: str, pin: str) -> list[Value]:
        """Return who is in a room: tag, number, status, last reason, muted, participant id of each.

        As in SEMS a room that nobody named yet is made with this pin, if the caller may make rooms; for others nothing changes.
        """
        now_s = self._conference.now_s()
        if caller.would_allow("webconference", "roomCreate"):
            found = self._room(caller, room, pin)
            listed = self._table.participants(found, now_s) if found is not None else None
        elif self._guesses.refused(caller, room):
            listed = None
        else:
            listed = self._table.look(room, pin, now_s)
            self._note(caller, room, listed is not None)
        if listed is None:
            return self._reply(1, _NO_ROOM, [])
        rows: list[Value] = [p.listed() for p in listed]
        return self._reply(0, "OK", rows)

    @di_method("openRooms", listed=False, changes=False)
    def open_rooms(self) -> dict[str, Value]:
        """Return the open rooms, empty ones too: how many are in each, and when its timeout ends it (0: never); not in SEMS."""
        return {
            name: {"participants": len(room.present()), "expires": int(room.expires_s)}
            for name, room in self._table.rooms.items()
        }

    @di_method("roomDelete")
    def room_delete(self, caller: Caller, room: str, pin: str) -> list[Value]:
        """End all calls in a room and remove it; a wrong pin is an out-of-bounds fault, as in SEMS."""
        found = self._table.rooms.get(room)
        if found is None:
            return self._reply(2, "room does not exist\n")
        right = not found.pin or found.pin == pin or self._table.rules.ignore_pin
        if self._guesses.refused(caller, room):
            raise OutOfBounds("wrong adminpin")
        self._note(caller, room, right)
        if not right:
            raise OutOfBounds("wrong adminpin")
        self._members.kick_all(room)
        self._table.rooms.pop(room, None)
        return self._reply(0, "OK")

    # ---------------------------------------------------------------------------------------------------------- participants
    @di_method("addParticipant", listed=False)
    def add_participant(self, room: str, participant_id: str, number: str) -> list[Value]:
        """Announce a participant who will call in with that id."""
        if self._table.invite(room, participant_id, number, self._conference.now_s()):
            return self._reply(200, "OK")
        return self._reply(400, "Failed")

    @di_method("dialout", dangerous=True)
    def dialout(
        self,
        caller: Caller,
        room: str,
        pin: str,
        callee: str,
        from_user: str,
        domain: str,
        auth_user: str,
        auth_pwd: str,
        headers: Lenient[str] = "",
        callee_domain: Lenient[str] = "",
        participant_id: Lenient[str] = "",
    ) -> list[Value]:
        """Call somebody into a room and return the call's tag; `|` in headers stands for a line end."""
        self._sweep()
        conference = self._conference
        if self._room(caller, room, pin) is None:
            return self._reply(1, _NO_ROOM, "")
        to_uri = f"sip:{callee}@{callee_domain or domain}"
        tag = conference.services.sessions.new_id()
        self._table.enter(room, Participant(tag, to_uri, participant_id, Status.CONNECTING, "INVITE"), conference.now_s())
        order = CallOut(
            application="webconference",
            request_uri=to_uri,
            from_header=f"<sip:{from_user}@{domain}>",
            to_header=f"<{to_uri}>",
            user=room,
            id=tag,
            headers=tuple(header_lines(headers)),
            credential=Credential(domain, auth_user, auth_pwd) if auth_user else None,
            by=Dialler.of("webconference.dialout", caller),
        )
        try:
            placed = conference.services.sessions.dialout(order)
        except CallFailed:
            self._table.update(room, tag, Status.FINISHED, "refused", conference.now_s())
            raise
        if not placed:
            self._table.update(room, tag, Status.FINISHED, "internal error", conference.now_s())
            return self._reply(1, "internal error", "")
        return self._reply(0, "OK", tag)

    @di_method("mute")
    def mute(self, caller: Caller, room: str, pin: str, call_tag: str) -> list[Value]:
        """Keep the others from hearing a caller."""
        return self._mute(caller, room, pin, call_tag, True)

    @di_method("unmute")
    def unmute(self, caller: Caller, room: str, pin: str, call_tag: str) -> list[Value]:
        """Let the others hear a caller again."""
        return self._mute(caller, room, pin, call_tag, False)

    def _mute(self, caller: Caller, room: str, pin: str, call_tag: str, muted: bool) -> list[Value]:
        found = self._room(caller, room, pin)
        if found is None:
            return self._reply(1, _NO_ROOM)
        participant = found.find(call_tag)
        if participant is None or not self._members.mute(call_tag, muted):
            return self._reply(2, _NO_CALL)
        participant.muted = muted
        return self._reply(0, "OK")

    @di_method("kickout")
    def kickout(self, caller: Caller, room: str, pin: str, call_tag: str) -> list[Value]:
        """End one call of a room."""
        found = self._room(caller, room, pin)
        if found is None:
            return self._reply(1, _NO_ROOM)
        if found.find(call_tag) is None or not self._members.kick(call_tag):
            return self._reply(2, _NO_CALL)
        return self._reply(0, "OK")

    @di_method("changeRoomAdminpin")
    def change_room_adminpin(self, caller: Caller, room: str, pin: str, new_pin: str) -> list[Value]:
        """Give a room another admin pin."""
        found = self._room(caller, room, pin)
        if found is None:
            return self._reply(1, _NO_ROOM)
        if len(new_pin) > MAX_CHARS:
            return self._reply(2, f"a pin has at most {MAX_CHARS} characters")
        found.pin = new_pin
        return self._reply(0, "OK")

    # ---------------------------------------------------------------------------------------------------------------- server
    @di_method("serverInfo", changes=False)
    def server_info(self) -> list[Value]:
        """Return the info string (twice, as every reply ends with it)."""
        return self._reply(self._conference.info())

    # -------------------------------------------------------------------------------------------------------------- feedback
    @di_method("vqRoomFeedback")
    def vq_room_feedback(self, room: str, pin: str, opinion: int) -> list[Value]:
        """Note an opinion on a room."""
        self._conference.feedback.write("RO ", room, pin, opinion, int(self._conference.now_s()))
        return self._reply(0, "OK")

    @di_method("vqCallFeedback")
    def vq_call_feedback(self, room: str, pin: str, call_tag: str, opinion: int) -> list[Value]:
        """Note an opinion on a call."""
        self._conference.feedback.write("CA|||", room, pin, call_tag, opinion, int(self._conference.now_s()))
        return self._reply(0, "OK")

    @di_method("vqConferenceFeedback")
    def vq_conference_feedback(self, room: str, pin: str, sender: str, comment: str, opinion: int) -> list[Value]:
        """Note an opinion on a conference, with sender and comment."""
        self._conference.feedback.write("CO|||", room, pin, opinion, sender, comment, int(self._conference.now_s()))
        return self._reply(0, "OK")

    # ---------------------------------------------------------------------------------------------------- master password
    @di_method("getRoomPassword", changes=False, dangerous=True)
    def get_room_password(self, caller: Caller, master_pwd: str, room: str) -> list[Value]:
        """Return a room's admin pin to whoever knows the master password."""
        if not self._is_master(caller, master_pwd):
            return self._reply(403, "Wrong Master Password.")
        found = self._table.rooms.get(room)
        return self._reply(404, "Room does not exist.") if found is None else self._reply(0, found.pin)

    @di_method("listRooms", changes=False, dangerous=True)
    def list_rooms(self, caller: Caller, master_pwd: str) -> list[Value]:
        """Return all rooms to whoever knows the master password."""
        if not self._is_master(caller, master_pwd):
            return self._reply(407, ["Wrong Master Password."])
        rooms: list[Value] = [*sorted(self._table.rooms)]
        return self._reply(200, rooms)

    @di_method("findParticipant", changes=False)
    def find_participant(self, participant_id: str) -> list[Value]:
        """Return the rooms that know a participant id."""
        rooms: list[Value] = [*self._table.rooms_of(participant_id)]
        return self._reply(rooms)

    def _is_master(self, caller: Caller, password: str) -> bool:
        wanted = self._conference.options.master_password
        if not wanted or self._masters.refused(caller, ""):
            return False
        given = password.encode("utf-8", "surrogateescape")
        right = hmac.compare_digest(wanted.encode("utf-8", "surrogateescape"), given)
        (self._masters.right if right else self._masters.wrong)(caller, "")
        return right

    @di_method("help", listed=False, changes=False)
    def help(self) -> list[Value]:
        """Return SEMS's placeholder; the functions' summaries are in the introspection of the gateways."""
        return self._reply("help text goes here")

    @di_method("resetFeedback", listed=False, dangerous=True)
    def reset_feedback(self, file: str = "") -> list[Value]:
        """Go on noting opinions in another file, which is emptied: one in the folder of feedback_file or below."""
        if not file:
            return self._reply(-2, "no filename given")
        try:
            self._conference.feedback.reset(self._conference.feedback_path(file))
        except (OSError, ValueError) as error:
            log.error("webconference.resetFeedback: %.200r: %s", file, error)
            return self._reply(-1, "error opening new feedback file")
        return self._reply(0, "OK")

    @di_method("flushFeedback", listed=False)
    def flush_feedback(self) -> list[Value]:
        """Hand what was noted to the operating system."""
        self._conference.feedback.flush()
        return self._reply()
