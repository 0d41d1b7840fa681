# SPDX-License-Identifier: GPL-2.0-or-later
"""One call that leaves a message (spec applications.md §13).

GREETING ─► (greeting, beep) ─► RECORDING ─► (its end, or the caller's) ─► KEEPING ─► FAREWELL: what became of it ─► BYE

The caller may hang up in each of them: the recording's end is told to `Dispatch`, which goes on without the call. What a caller hears as
"it is kept" comes after the message is on the disk where it is to go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from di.apps.api import (
    MAIL,
    MESSAGES,
    Application,
    BoxOwner,
    Outcome,
    PlayFile,
    PlayItem,
    PlaySeparator,
    PlaySilence,
    PlayTone,
    RecordingStopped,
    Refused,
    Services,
    Session,
)
from di.apps.prompts import Asked, PromptFolder
from di.apps.voicemail.dispatch import Dispatch, MessageFate, MessageRoom
from di.apps.voicemail.journal import JournalEntry
from di.apps.voicemail.options import Options
from di.apps.voicemail.order import VoicemailMode, VoicemailOrder, read_order
from di.apps.voicemail.rows import GreetingRows

_BEGIN = 1
"""Number of the separator behind the beep."""
_ERROR_TONE = (PlayTone((950,), length_ms=330), PlayTone((1400,), length_ms=330), PlayTone((1800,), length_ms=330))
"""The special information tone (ITU-T E.180)."""


class VoicemailState(Enum):
    """Where a call stands."""

    GREETING = auto()
    RECORDING = auto()
    KEEPING = auto()
    FAREWELL = auto()


@dataclass(frozen=True, slots=True)
class VoicemailSounds:
    """What callers hear: folders that know domain, user and language, and the beep."""

    greetings: PromptFolder
    further: Mapping[str, PromptFolder]
    """`stored`, `not_stored`, `full`: those that are configured."""
    beep: Path
    rows: GreetingRows | None = None
    """Greetings out of a database, which come before those of the folder."""


class VoicemailCall(Application):
    """A caller, from greeting to BYE."""

    def __init__(
        self, session: Session, services: Services, options: Options, sounds: VoicemailSounds, dispatch: Dispatch
    ) -> None:
        """Raises Refused with SEMS's replies for parameters that are missing."""
        super().__init__(session)
        self._options, self._sounds, self._dispatch = options, sounds, dispatch
        self._messages = services.capabilities.find(MESSAGES)
        self._order: VoicemailOrder = read_order(session.info, options, services.clock.epoch_s())
        if self._order.mode.boxes and self._messages is None:
            raise Refused(500, "voicemail: no message storage available")
        if self._order.mode.mails and services.capabilities.find(MAIL) is None:
            raise Refused(500, "voicemail: no mail queue available")
        self._state = VoicemailState.GREETING
        self._greeting = None if sounds.rows is not None else self._file(sounds.greetings)
        self._entry: JournalEntry | None = None
        self._only: tuple[PlayItem, ...] = ()
        """What is said instead of the greeting to a caller who can leave no message."""

    @property
    def _asked(self) -> Asked:
        return Asked(self._order.did, self._order.uid, self._order.language)

    def _file(self, folder: PromptFolder) -> Path:
        """The greeting of the files. Raises Refused."""
        path = folder.find(self._asked, self.session.id)
        if path is None:
            raise Refused(500, "voicemail: no greeting file found")
        return path

    # ---------------------------------------------------------------------------------------------------------- the greeting
    async def on_invite(self, session: Session) -> None:
        """Look for the user's own greeting, and whether a message would be taken: the caller is told before he speaks."""
        order = self._order
        if self._options.try_personal_greeting and self._messages is not None:
            opened = await self._messages.open(BoxOwner(order.did, order.uid).greetings, f"{order.kind}.wav")
            self._greeting = opened.path or self._greeting
        if self._greeting is None:
            rows = self._sounds.rows
            found = await rows.find(self._asked, session.id) if rows is not None else None
            self._greeting = found or self._file(self._sounds.greetings)
        if order.mode is VoicemailMode.ANNOUNCEMENT:
            return
        room = await self._dispatch.room(order, session.id)
        if room is MessageRoom.ENOUGH:
            return
        self._only = self._said("full" if room is MessageRoom.FULL else "not_stored")
        if not self._only:
            raise Refused(480, "Mailbox Full") if room is MessageRoom.FULL else Refused(500, "voicemail: no storage")

    def on_session_start(self) -> None:
        """Greet."""
        audio = self.session.audio
        if self._only:
            self._state = VoicemailState.FAREWELL
            audio.play(*self._only)
            return
        audio.play_file(str(self._greeting))
        if self._order.mode is VoicemailMode.ANNOUNCEMENT:
            self._state = VoicemailState.FAREWELL
        else:
            audio.play(PlayFile(str(self._sounds.beep)), PlaySeparator(_BEGIN))

    # --------------------------------------------------------------------------------------------------------- the recording
    def on_separator(self, number: int) -> None:
        """The beep is over: record."""
        if number != _BEGIN or self._state is not VoicemailState.GREETING:
            return
        self._state = VoicemailState.RECORDING
        entry = self._entry = self._dispatch.begin(self.session.id, self._order)
        audio = self.session.audio
        audio.play(PlaySilence())  # packets go on: the caller's network keeps the way for them open
        audio.record(
            str(self._dispatch.path_of(entry)),
            self._options.max_record_time * 1000,
            round(self._options.silence_end * 1000),
            on_end=self._recorded,
        )

    def _recorded(self, record: RecordingStopped) -> None:
        """The recording is over, with the call or before it."""
        assert self._entry is not None
        if self._state is VoicemailState.RECORDING:
            self._state = VoicemailState.KEEPING
        self._dispatch.finish(self._entry, record, lambda kept: self.session.run(lambda: self._tell(kept)))

    def _tell(self, kept: MessageFate) -> None:
        """What the caller hears of his message, when he is still there."""
        self._state = VoicemailState.FAREWELL
        audio = self.session.audio
        audio.flush()
        if kept is MessageFate.NOTHING:
            self.session.stop()
            return
        if kept is MessageFate.KEPT:
            audio.play(*(self._said("stored") or (PlayFile(str(self._sounds.beep)),)))
        else:
            audio.play(*(self._said("not_stored") or _ERROR_TONE))

    def _said(self, what: str) -> tuple[PlayItem, ...]:
        folder = self._sounds.further.get(what)
        path = folder.find(self._asked, self.session.id) if folder is not None else None
        return (PlayFile(str(path)),) if path is not None else ()

    def on_playlist_empty(self) -> None:
        """All has been said."""
        if self._state is VoicemailState.FAREWELL:
            self.session.stop()

    def on_recording_stopped(self, record: RecordingStopped) -> Outcome:
        """`_recorded` has been told, and says what is to be said."""

    def on_destroy(self) -> None:
        """A caller who went before the beep has left nothing; whose recording runs has left a message, and its end is told yet."""
        if self._state is VoicemailState.GREETING and self.session.audio.started:
            self._dispatch.nothing_said(self.session.id, self._order)
