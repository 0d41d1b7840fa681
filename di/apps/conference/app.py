# SPDX-License-Identifier: GPL-2.0-or-later
"""One participant, and the one whom he dials (spec applications.md §2).

    NORMAL ──`#*`──► DIALLING ──number `*`──► DIALLED ──answered──► PRIVATE ──`*`──► both in the room
       ▲                │ `*` at once           │ `#`, failure        │ `#`, hung up
       └────────────────┴───────────────────────┴─────────────────────┘

While they talk privately, caller and callee are in a room named by the caller's id, which nobody else can name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING

from di.apps.conference.options import Options
from di.apps.conference.settings import CallerSettings, Files, for_caller
from di.calls.application import Application
from di.calls.events import RoomChanged
from di.kernel.errors import ConfigError, Refused
from di.kernel.options import where
from di.sip.headers import header_lines, uri_of
from media.control.records import PlayItem

if TYPE_CHECKING:
    from di.calls.session import Session
    from di.calls.sessions import Sessions
    from di.server.plugin import Closer
    from di.server.services import Services

_STAR, _HASH = 10, 11
_KEYS = "0123456789*#"
_MAX_NUMBER = 64
_ERROR_TONE = PlayItem("tone", frequencies_hz=(440, 480), on_ms=250, off_ms=250, length_ms=2000)


class State(Enum):
    """What the participant's keys mean now."""

    NORMAL = auto()
    HASH_SEEN = auto()
    DIALLING = auto()
    DIALLED = auto()
    PRIVATE = auto()


@dataclass(frozen=True, eq=False)
class Callee:
    """Session parameter of a dialled leg: for whom it is dialled, and into which room it may come."""

    caller_id: str
    room: str


class Module:
    """What all participants share."""

    def __init__(self, sessions: Sessions, options: Options, files: Files) -> None:
        self.sessions, self.options, self.files = sessions, options, files

    def application(self, session: Session) -> Application:
        """The logic of a new call: a dialled leg or a participant. Raises Refused for a full room."""
        if isinstance(session.params, Callee):
            return DialledLeg(session, self, session.params)
        settings = for_caller(session.info, self.options, self.files)
        if self.is_full(settings.room):
            raise Refused(486, "Busy Here")
        return Participant(session, self, settings)

    def is_full(self, room: str) -> bool:
        """Whether `max_participants` are in a room."""
        limit = self.options.max_participants
        return bool(limit) and self.sessions.rooms.count(room) >= limit


class Member(Application):
    """What caller and dialled leg do alike in the room."""

    def __init__(self, session: Session, module: Module) -> None:
        super().__init__(session)
        self._module = module

    def enter(self, room: str) -> None:
        """Talk in the room from now on."""
        self.session.flush()
        self.session.join_room(room)

    def on_room(self, change: RoomChanged) -> None:
        """Somebody came or left."""
        files = self._module.files
        path = files.join if change.kind == "joined" else files.drop if change.kind == "left" else None
        if path is not None:
            self.session.play_file(str(path), front=True, talk_through=True)


class Participant(Member):
    """A caller of the conference."""

    def __init__(self, session: Session, module: Module, settings: CallerSettings) -> None:
        super().__init__(session, module)
        self._settings = settings
        session.expected_room = settings.room
        self._state = State.NORMAL
        self._number = ""
        self._callee_id = ""

    def on_session_start(self) -> None:
        """Enter the room."""
        self.session.set_playout(self._module.options.playout_type)
        if self._settings.listen_only:
            self.session.set_audio(muted=True)
        self.enter(self._settings.room)

    def on_room(self, change: RoomChanged) -> None:
        """The only one hears that he is; the others hear who comes and goes."""
        if change.kind == "first":
            self.session.play_file(str(self._settings.lonely_file), front=True)
        else:
            super().on_room(change)

    def move_refusal(self, room: str) -> str:
        """A room that is full takes nobody."""
        return f"room {room!r} is full (max_participants)" if self._module.is_full(room) else ""

    def on_move(self, room: str) -> None:
        """From now on this is the room that the caller comes back to."""
        self._settings = replace(self._settings, room=room)
        self._state = State.NORMAL
        self.enter(room)

    # --------------------------------------------------------------------------------------------------------------- keypad
    def on_digit(self, event: int, duration_ms: int) -> None:
        """Dial-out by keypad, when it is configured and the room has a place."""
        if not self._settings.dialout_suffix or event > _HASH:
            return
        match self._state:
            case State.NORMAL | State.HASH_SEEN:
                self._key_in_room(event)
            case State.DIALLING:
                self._key_of_number(event)
            case State.DIALLED | State.PRIVATE:
                if event == _HASH:
                    self._hang_up_callee()
                    self._back_to_room()
                elif event == _STAR and self._state is State.PRIVATE:
                    self._bring_callee()

    def _key_in_room(self, event: int) -> None:
        if event == _STAR and self._state is State.HASH_SEEN and not self._module.is_full(self._settings.room):
            self._state, self._number = State.DIALLING, ""
        else:
            self._state = State.HASH_SEEN if event == _HASH else State.NORMAL

    def _key_of_number(self, event: int) -> None:
        if event != _STAR:
            if len(self._number) < _MAX_NUMBER:
                self._number += _KEYS[event]
        elif self._number:
            self._dial()
        else:
            self._state = State.NORMAL

    def _dial(self) -> None:
        """Call the number; caller and callee are by themselves until the caller says otherwise."""
        session, settings = self.session, self._settings
        self._state = State.DIALLED
        session.leave_room()
        session.flush()
        session.play(PlayItem("room", room=session.id))
        uri = f"sip:{self._number.replace('#', '%23')}{settings.dialout_suffix}"
        own = settings.dialout_from or uri_of(session.info.to_header)
        self._callee_id = self._module.sessions.dialout(
            user=settings.room,
            application="conference",
            request_uri=uri,
            from_header=own if "<" in own else f"<{own}>",
            to_header=f"<{uri}>",
            headers="\r\n".join(header_lines(settings.dialout_extra)),
            params=Callee(session.id, settings.room),
        )
        if not self._callee_id:
            self.callee_gone(failed=True)

    def _bring_callee(self) -> None:
        callee = self._callee()
        self._callee_id = ""
        self._back_to_room()
        if callee is not None:
            leg, room = callee, self._settings.room
            callee.session.run(lambda: leg.enter(room))

    def _hang_up_callee(self) -> None:
        callee, self._callee_id = self._callee(), ""
        if callee is not None:
            callee.session.run(callee.session.stop)

    def _callee(self) -> DialledLeg | None:
        found = self._module.sessions.find(self._callee_id)
        return found.app if found is not None and isinstance(found.app, DialledLeg) else None

    def _back_to_room(self, *first: PlayItem) -> None:
        self._state = State.NORMAL
        self.session.flush()
        if first:
            self.session.play(*first)
        self.session.join_room(self._settings.room)

    # --------------------------------------------------------------------------------------------- news of the dialled leg
    def callee_answered(self) -> None:
        """The dialled party is there."""
        if self._state is State.DIALLED:
            self._state = State.PRIVATE

    def has_callee(self, id: str) -> bool:
        """Whether that leg is the one being dialled, or talked to privately."""
        return self._callee_id == id

    def callee_gone(self, failed: bool) -> None:
        """The dialled party did not come, or hung up before it was in the room."""
        self._callee_id = ""
        if self._state in (State.DIALLED, State.PRIVATE):
            self._back_to_room(*((_ERROR_TONE,) if failed else ()))

    def on_destroy(self) -> None:
        """Whoever was being dialled is not left alone."""
        self._hang_up_callee()


class DialledLeg(Member):
    """The party that a participant dialled."""

    def __init__(self, session: Session, module: Module, callee: Callee) -> None:
        super().__init__(session, module)
        self._callee = callee
        session.expected_room = callee.room

    def on_early_session_start(self) -> None:
        """What the network says before the answer is heard by the caller."""
        self.session.play(PlayItem("room", room=self._callee.caller_id))

    def on_session_start(self) -> None:
        """Answered: alone with the caller."""
        self.session.set_playout(self._module.options.playout_type)
        self.session.flush()
        self.session.play(PlayItem("room", room=self._callee.caller_id))
        self._tell(lambda caller: caller.callee_answered())

    def on_failure(self, code: int, reason: str) -> None:
        """Not answered."""
        self._tell(lambda caller: caller.callee_gone(failed=True))

    def on_destroy(self) -> None:
        """Gone; the caller is told unless they parted before."""
        self._tell(lambda caller: caller.callee_gone(failed=False))

    def _tell(self, news: Callable[[Participant], None]) -> None:
        session = self._module.sessions.find(self._callee.caller_id)
        if session is None or not isinstance(session.app, Participant):
            return
        caller, own = session.app, self.session.id
        session.run(lambda: news(caller) if caller.has_callee(own) else None)


def start(services: Services, options: Options) -> Closer:
    """Register the application. Raises ConfigError when the default announcement is missing."""
    files = Files(options, services.conf_dir)
    if not files.default.is_file():
        hint = f"there is no file {files.default}; name an existing one (`cordboard prompts` makes the samples)"
        raise ConfigError(*where(options, "default_announce"), "default_announce", hint)
    for path in (files.default, files.join, files.drop):
        if path is not None:
            services.sessions.preload(str(path))
    module = Module(services.sessions, options, files)
    services.applications.register("conference", module.application)
    return lambda: services.applications.unregister("conference")
