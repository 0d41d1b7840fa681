# SPDX-License-Identifier: GPL-2.0-or-later
"""One participant, and the one whom he dials (spec applications.md §2).

    NORMAL ──`#*`──► DIALLING ──number `*`──► DIALLED ──answered──► PRIVATE ──`*`──► both in the room
       ▲                │ `*` at once           │ `#`, failure        │ `#`, hung up
       └────────────────┴───────────────────────┴─────────────────────┘

While they talk privately, caller and callee are a pair (`di.calls.pair`); when the caller brings the callee along they part and both
enter the room.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto

from di.apps.api import (
    Application,
    Closer,
    ConfigError,
    Pair,
    PairOptions,
    PlayTone,
    Refused,
    RoomChanged,
    Services,
    Session,
    Sessions,
    SipReply,
    Target,
    header_lines,
    uri_of,
    where,
)
from di.apps.conference.options import Options
from di.apps.conference.settings import CallerSettings, Files, for_caller
from di.apps.keypad import Gather, Gathered, Keypad

_STAR, _HASH = 10, 11
_NUMBER = Gather(max_digits=64, keys="0123456789#", end_keys="*", wait_for_end=True)
_ERROR_TONE = PlayTone((440, 480), on_ms=250, off_ms=250, length_ms=2000)


class KeyMode(Enum):
    """What the participant's keys mean now."""

    NORMAL = auto()
    HASH_SEEN = auto()
    DIALLING = auto()
    DIALLED = auto()
    PRIVATE = auto()


class Module:
    """What all participants share."""

    def __init__(self, sessions: Sessions, options: Options, files: Files) -> None:
        self.sessions, self.options, self.files = sessions, options, files

    def application(self, session: Session) -> Application:
        """The logic of a new call. Raises Refused for a full room."""
        settings = for_caller(session.info, self.options, self.files, session.id)
        if self.is_full(settings.room):
            raise Refused(486, "Busy Here")
        return ConferenceCall(session, self, settings)

    def is_full(self, room: str) -> bool:
        """Whether `max_participants` are in a room."""
        limit = self.options.max_participants
        return bool(limit) and self.sessions.rooms.count(room) >= limit


class Member(Application):
    """What caller and dialled leg do alike in the room."""

    def __init__(self, session: Session, module: Module) -> None:
        super().__init__(session)
        self._module = module
        self._sounds = module.files.sounds.of_call(session.id)

    def enter(self, room: str) -> None:
        """Talk in the room from now on."""
        self.session.audio.flush()
        self.session.audio.join_room(room)

    def on_room(self, change: RoomChanged) -> None:
        """Somebody came or left."""
        sounds = self._sounds.items(change.kind, talk_through=True) if change.kind in ("joined", "left") else ()
        if sounds:
            self.session.audio.play(*sounds, front=True)


class ConferenceCall(Member):
    """A caller of the conference."""

    def __init__(self, session: Session, module: Module, settings: CallerSettings) -> None:
        super().__init__(session, module)
        self._settings = settings
        session.audio.expected_room = settings.room
        self._mode = KeyMode.NORMAL
        self._keypad = Keypad(session)

    def on_session_start(self) -> None:
        """Enter the room."""
        self.session.audio.set_playout(self._module.options.playout_type)
        if self._settings.listen_only:
            self.session.audio.set(muted=True)
        self.enter(self._settings.room)

    def on_room(self, change: RoomChanged) -> None:
        """The only one hears that he is; the others hear who comes and goes."""
        if change.kind != "first":
            super().on_room(change)
        elif self._settings.lonely_file is not None:
            self.session.audio.play_file(str(self._settings.lonely_file), front=True)

    def move_refusal(self, room: str) -> str:
        """A room that is full takes nobody."""
        return f"room {room!r} is full (max_participants)" if self._module.is_full(room) else ""

    def on_move(self, room: str) -> None:
        """From now on this is the room that the caller comes back to."""
        self._settings = replace(self._settings, room=room)
        self._keypad.cancel()
        self._mode = KeyMode.NORMAL
        self.enter(room)

    # --------------------------------------------------------------------------------------------------------------- keypad
    def on_digit(self, event: int, duration_ms: int) -> None:
        """Dial-out by keypad, when it is configured and the room has a place."""
        if not self._settings.dialout_suffix or event > _HASH:
            return
        match self._mode:
            case KeyMode.NORMAL | KeyMode.HASH_SEEN:
                self._key_in_room(event)
            case KeyMode.DIALLING:
                self._keypad.on_digit(event)
            case KeyMode.DIALLED | KeyMode.PRIVATE:
                if event == _HASH:
                    self._hang_up_callee()
                    self._back_to_room()
                elif event == _STAR and self._mode is KeyMode.PRIVATE:
                    self._bring_callee()

    def _key_in_room(self, event: int) -> None:
        if event == _STAR and self._mode is KeyMode.HASH_SEEN and not self._module.is_full(self._settings.room):
            self._mode = KeyMode.DIALLING
            self._keypad.begin(_NUMBER, done=self._number_entered)
        else:
            self._mode = KeyMode.HASH_SEEN if event == _HASH else KeyMode.NORMAL

    def _number_entered(self, entry: Gathered) -> None:
        if entry:
            self._dial(entry.digits)
        else:
            self._mode = KeyMode.NORMAL

    def _dial(self, number: str) -> None:
        """Call the number; caller and callee are by themselves until the caller says otherwise."""
        session, settings = self.session, self._settings
        self._mode = KeyMode.DIALLED
        session.audio.leave_room()
        session.audio.flush()
        uri = f"sip:{number.replace('#', '%23')}{settings.dialout_suffix}"
        own = settings.dialout_from or uri_of(session.info.to_header)
        target = Target(
            uri,
            from_header=own if "<" in own else f"<{own}>",
            user=settings.room,
            headers=tuple(header_lines(settings.dialout_extra)),
        )
        pair = Pair(session, PairOptions(early_media=True, application="conference"))
        pair.connect([target], lambda callee: DialledLeg(callee, self._module, settings.room))

    def _bring_callee(self) -> None:
        pair = self.session.pair
        callee = pair.second if pair is not None else None
        if pair is not None:
            pair.part()
        self._back_to_room()
        if callee is not None and isinstance(callee.app, DialledLeg):
            leg, room = callee.app, self._settings.room
            callee.run(lambda: leg.enter(room))

    def _hang_up_callee(self) -> None:
        if self.session.pair is not None:
            self.session.pair.end_other(self.session)

    def _back_to_room(self, *first: PlayTone) -> None:
        self._mode = KeyMode.NORMAL
        self.session.audio.flush()
        if first:
            self.session.audio.play(*first)
        self.session.audio.join_room(self._settings.room)

    # --------------------------------------------------------------------------------------------- news of the dialled leg
    def on_other_reply(self, reply: SipReply) -> None:
        """The dialled party is there, or does not come."""
        if self._mode is KeyMode.DIALLED and 200 <= reply.code < 300:
            self._mode = KeyMode.PRIVATE
        elif reply.code >= 300:
            self._callee_gone(_ERROR_TONE)

    def on_other_bye(self, headers: tuple[tuple[str, str], ...]) -> None:
        """The dialled party hung up before it was in the room."""
        self._callee_gone()

    def _callee_gone(self, *tones: PlayTone) -> None:
        if self._mode in (KeyMode.DIALLED, KeyMode.PRIVATE):
            self._back_to_room(*tones)


class DialledLeg(Member):
    """The party that a participant dialled."""

    def __init__(self, session: Session, module: Module, room: str) -> None:
        super().__init__(session, module)
        session.audio.expected_room = room

    def on_session_start(self) -> None:
        """Answered: alone with the caller."""
        self.session.audio.set_playout(self._module.options.playout_type)


def start(services: Services, options: Options) -> Closer:
    """Register the application. Raises ConfigError when the default announcement is missing."""
    module = Module(services.sessions, options, _files(services, options))
    services.applications.register("conference", module.application)

    def reload(new: Options) -> None:
        module.files = _files(services, new)

    services.on_reload("conference", Options, reload)
    return lambda: services.applications.unregister("conference")


def _files(services: Services, options: Options) -> Files:
    files = Files(options, services.conf_dir)
    if not files.lonely.default.is_file():
        hint = f"there is no file {files.lonely.default}; name an existing one (`cordboard prompts build` makes the spoken ones)"
        raise ConfigError(*where(options, "default_announce"), "default_announce", hint)
    for path in (str(files.lonely.default), *files.sounds.paths()):
        services.sessions.preload(path)
    return files
