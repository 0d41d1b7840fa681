# SPDX-License-Identifier: GPL-2.0-or-later
"""One caller of a conference: finds the room, by keypad or directly, talks there, leaves (spec applications.md §1.2, §1.3).

ENTERING_PIN ──`#`──► ENTERING_CONFERENCE ──prompts over──► IN_CONFERENCE
     ▲ wrong │                                   PLAY_ERROR_FINISH ──► BYE
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from di.apps.api import (
    Announce,
    Application,
    CallProgressed,
    PlayRoom,
    PlaySeparator,
    PlayTone,
    RoomChanged,
    Session,
    app_param,
    first_header,
)
from di.apps.keypad import Ended, Gather, Gathered, Keypad
from di.apps.speech import digits
from di.apps.webconference.rooms import Participant, Status

if TYPE_CHECKING:
    from di.apps.webconference.conference import Conference

_ROOM_NUMBER = Gather(end_keys="*#")
_LONELY_TIMER, _RING_TIMER = 1, 2
_ENTERED, _ERROR_SAID = 1, 2
_RING_ON_MS, _RING_CYCLE_MS = 2000, 6000
_RINGBACK_HZ = (440, 480)


class Stage(Enum):
    """Where the caller is."""

    NONE = auto()
    ENTERING_PIN = auto()
    ENTERING_CONFERENCE = auto()
    IN_CONFERENCE = auto()
    PLAY_ERROR_FINISH = auto()


class WebconferenceCall(Application):
    """One leg, dialled in or out."""

    def __init__(self, session: Session, conference: Conference) -> None:
        super().__init__(session)
        self._conference = conference
        self._stage = Stage.NONE
        self._keypad = Keypad(session)
        self._prompts = conference.prompts.of_call(session.id)
        self._room = ""
        self._participant_id = ""
        self._connected_s: float | None = None
        self._counted_as: str | None = None
        if not session.info.incoming:
            self._room = session.info.user
        session.audio.expected_room = self._room or self._direct_room() or ""

    # -------------------------------------------------------------------------------------------------------------- arriving
    def on_session_start(self) -> None:
        """The call is up: go to the room, or ask for it."""
        conference = self._conference
        self._connected_s = conference.now_s()
        self.session.audio.set_playout(conference.options.playout_type)
        if not self.session.info.incoming:
            self.session.timers.remove(_RING_TIMER)
            self._status(Status.CONNECTED, "200 OK")
            self._join()
            return
        self._participant_id = self._find_participant_id()
        room = self._direct_room()
        if room is None:
            self._ask("enter_pin")
        elif conference.table.may_enter(room, self._participant_id, False, conference.now_s()):
            self._enter(room, "direct access: entered")
        else:
            self._refuse()

    def _direct_room(self) -> str | None:
        params, options = self.session.app_params, self._conference.options
        if params.get("enter_room") == "true":
            return None
        if params.get("room"):
            return params["room"]
        user = self.session.info.user
        if options.direct_room_re is not None and options.direct_room_re(user) is not None:
            strip = options.direct_room_strip
            return user[strip:] if len(user) > strip else user
        return None

    def _find_participant_id(self) -> str:
        options, headers = self._conference.options, self.session.info.headers
        if options.participant_id_param:
            return app_param(headers, options.participant_id_param)
        if not self.session.info.trusted:
            return ""  # as P-App-Param of a stranger, it does not count
        return (first_header(headers, options.participant_id_header) or "").strip()

    def _ask(self, *names: str) -> None:
        self._stage = Stage.ENTERING_PIN
        self.session.audio.flush()
        self._keypad.begin(_ROOM_NUMBER, *self._prompts.items(*names), done=self._number_entered)

    # -------------------------------------------------------------------------------------------------------------- keypad
    def on_digit(self, event: int, duration_ms: int) -> None:
        """Keys count only while the room's number is entered."""
        self._keypad.on_digit(event)

    def _number_entered(self, entry: Gathered) -> None:
        if entry.ended is Ended.CANCELLED:
            return
        conference = self._conference
        room, split = entry.digits, conference.options.room_pin_split
        if not room:
            self._ask("wrong_pin")
            return
        if split:
            if len(entry.digits) <= split:
                self._ask("wrong_pin", "enter_pin")
                return
            room, self._participant_id = entry.digits[:split], entry.digits[split:]
        if not conference.table.may_enter(room, self._participant_id, bool(split), conference.now_s()):
            self._ask("wrong_pin", "enter_pin")
            return
        self._stage, self._room = Stage.ENTERING_CONFERENCE, room
        self.session.audio.flush()
        self._say(*digits(entry.digits), "entering_conference")
        self.session.audio.play(PlaySeparator(_ENTERED))

    def on_separator(self, number: int) -> None:
        """Prompts before a change of state are over."""
        if self._keypad.on_separator(number):
            return
        if number == _ENTERED and self._stage is Stage.ENTERING_CONFERENCE:
            self._enter(self._room, "entered")
        elif number == _ERROR_SAID:
            self.session.stop()

    def _refuse(self) -> None:
        self._stage = Stage.PLAY_ERROR_FINISH
        self._say("wrong_pin_bye")
        self.session.audio.play(PlaySeparator(_ERROR_SAID))

    # -------------------------------------------------------------------------------------------------------------- the room
    def _enter(self, room: str, reason: str) -> None:
        conference = self._conference
        participant = Participant(self.session.id, self.session.info.from_header, self._participant_id)
        if not conference.table.enter(room, participant, conference.now_s()):
            self._refuse()
            return
        self._room = room
        self._status(Status.CONNECTED, reason)
        self._join()

    def _join(self) -> None:
        if self._stage is Stage.IN_CONFERENCE:
            return
        self._stage = Stage.IN_CONFERENCE
        self.session.audio.flush()
        self.session.audio.join_room(self._room)

    def on_room(self, change: RoomChanged) -> None:
        """Tell the member who came and went; whoever is alone too long has to go."""
        alone = change.participants == 1
        if change.kind == "first":
            self._say("first_participant", front=True, loop=self._conference.options.loop_first_participant_prompt)
        elif change.kind == "joined":
            if self._conference.options.loop_first_participant_prompt and change.tag != self.session.id:
                self.session.audio.flush()
                self.session.audio.play(PlayRoom(self._room))
            self._say("join_sound", front=True, talk_through=True)
        else:
            self._say("drop_sound", front=True, talk_through=True)
        limit_s = self._conference.options.lonely_user_timer
        if alone and limit_s:
            self.session.timers.set(_LONELY_TIMER, limit_s * 1000)
        elif not alone:
            self.session.timers.remove(_LONELY_TIMER)

    def on_timer(self, id: int) -> None:
        """Alone for too long, or the next ring."""
        if self._keypad.on_timer(id):
            return
        if id == _LONELY_TIMER:
            self.leave("disconnect")
        elif id == _RING_TIMER:
            self._ring()

    def leave(self, reason: str) -> None:
        """End the call, keeping the reason for roomInfo."""
        self._status(Status.DISCONNECTING, reason)
        self.session.stop()

    def on_mute(self, muted: bool) -> None:
        """Whether the others hear this caller; roomInfo tells."""
        self.session.audio.set(muted=muted)
        participant = self._conference.table.participant(self._room, self.session.id)
        if participant is not None:
            participant.muted = muted

    def on_kick(self) -> None:
        """As `kickout` does it."""
        self.leave("disconnect")

    def move_refusal(self, room: str) -> str:
        """In private mode a room must be open."""
        conference = self._conference
        if self._stage is not Stage.IN_CONFERENCE:
            return "the caller is not in the room yet; try again in a moment"
        if not conference.table.may_enter(room, self._participant_id, False, conference.now_s()):
            return f"room {room!r} is not open (private_rooms is on); create it first"
        return ""

    def on_move(self, room: str) -> None:
        """Leave the line in the old room as finished, enter the new one."""
        conference = self._conference
        participant = Participant(self.session.id, self._number(), self._participant_id, muted=self.session.audio.muted)
        if room == self._room or not conference.table.enter(room, participant, conference.now_s()):
            return
        self._status(Status.FINISHED, f"moved to {room}")
        self._room = room
        self._status(Status.CONNECTED, "moved here")
        self.session.timers.remove(_LONELY_TIMER)
        self.session.audio.flush()
        self.session.audio.join_room(room)

    def _number(self) -> str:
        info = self.session.info
        return info.to_header.strip("<>") if info.direction == "out" else info.from_header

    # ------------------------------------------------------------------------------------------------------------- dial-out
    def on_ringing(self, progress: CallProgressed) -> None:
        """The called phone rings: the room hears it ring, until early media or the answer."""
        status = Status.RINGING if progress.code == 180 else Status.CONNECTING
        self._status(status, f"{progress.code} {progress.reason}")
        if progress.code == 180 and not progress.has_body and self._stage is Stage.NONE:
            self._ring()

    def _ring(self) -> None:
        if self._stage is Stage.IN_CONFERENCE:
            return
        tone = PlayTone(_RINGBACK_HZ, on_ms=_RING_ON_MS, length_ms=_RING_ON_MS)
        self.session.host.media.send(Announce(self._room, (tone,)))
        self.session.timers.set(_RING_TIMER, _RING_CYCLE_MS)

    def on_early_session_start(self) -> None:
        """What the network says before the answer is heard in the room."""
        if not self.session.info.incoming:
            self.session.timers.remove(_RING_TIMER)
            self._join()

    def on_failure(self, code: int, reason: str) -> None:
        """The called party did not come."""
        self._status(Status.FINISHED, f"{code} {reason}")

    # -------------------------------------------------------------------------------------------------------------- leaving
    def on_bye(self, headers: tuple[tuple[str, str], ...]) -> None:
        """The caller hung up."""
        self._status(Status.DISCONNECTING, "BYE")

    def on_destroy(self) -> None:
        """Count the call; its line in roomInfo says Finished."""
        conference = self._conference
        self._keypad.on_destroy()
        self._status(Status.FINISHED, None)
        now_s = conference.now_s()
        conference.call_finished(None if self._connected_s is None else now_s - self._connected_s)

    def _status(self, status: Status, reason: str | None) -> None:
        conference = self._conference
        if self._room:
            conference.table.update(self._room, self.session.id, status, reason, conference.now_s())

    def _say(self, *names: str, front: bool = False, loop: bool = False, talk_through: bool = False) -> None:
        items = self._prompts.items(*names, loop=loop, talk_through=talk_through)
        if items:
            self.session.audio.play(*items, front=front)
