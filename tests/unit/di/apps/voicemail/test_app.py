# SPDX-License-Identifier: GPL-2.0-or-later
"""A call of voicemail step by step, without processes: what is played in which state, and what a hang-up in it leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from di.apps.prompts import VOICEMAIL, PromptFolder
from di.apps.voicemail.app import VoicemailCall, VoicemailSounds
from di.apps.voicemail.dispatch import MessageFate, MessageRoom
from di.apps.voicemail.journal import JournalEntry
from di.apps.voicemail.options import Options
from di.apps.voicemail.order import VoicemailOrder
from di.calls.session import Session
from di.sip import records as sip
from di.stores.mailing import MAIL
from di.stores.messages import MESSAGES, BoxOwner, MsgCode, OpenedMessage
from media.control.play_items import PlayFile, PlayTone
from media.control.recording_records import RecordingStopped, StartRecording
from tests.support.playbook import Playbook


class NotedDispatch:
    """What the call asks of `Dispatch`."""

    def __init__(self, spool: Path) -> None:
        self.spool = spool
        self.has = MessageRoom.ENOUGH
        self.ended: list[tuple[RecordingStopped, Callable[[MessageFate], None]]] = []
        self.empty: list[VoicemailOrder] = []

    async def room(self, order: VoicemailOrder, call: str) -> MessageRoom:
        return self.has

    def begin(self, call: str, order: VoicemailOrder) -> JournalEntry:
        return JournalEntry(call, f"{call}.wav", order)

    def path_of(self, entry: JournalEntry) -> Path:
        return self.spool / entry.file

    def finish(self, entry: JournalEntry, record: RecordingStopped, told: Callable[[MessageFate], None]) -> None:
        self.ended.append((record, told))

    def nothing_said(self, call: str, order: VoicemailOrder) -> None:
        self.empty.append(order)


class Greetings:
    """Message storage that has a user's greeting, or has not."""

    path: Path | None = None

    async def open(self, owner: BoxOwner, name: str) -> OpenedMessage:
        assert (owner, name) == (BoxOwner("3-prompts", "17"), "vm.wav")
        return OpenedMessage(MsgCode.OK if self.path else MsgCode.NOT_FOUND, self.path)


class Book(Playbook):
    """Calls to voicemail."""

    def __init__(self, folder: Path, further: tuple[str, ...] = (), **options: Any) -> None:
        super().__init__(conf_dir=folder, mapping=".=>voicemail\n")
        for name in ("greeting", "beep", *further):
            (folder / f"{name}.wav").touch()
        sounds = VoicemailSounds(
            PromptFolder("voicemail", folder, VOICEMAIL, "greeting.wav"),
            {name: PromptFolder("voicemail", folder, VOICEMAIL[1:], f"{name}.wav") for name in further},
            folder / "beep.wav",
        )
        self.noted, self.greetings = NotedDispatch(folder), Greetings()
        dispatch: Any = self.noted
        things: tuple[tuple[Any, Any], ...] = ((MAIL, object()), (MESSAGES, self.greetings))
        for key, thing in things:
            self.services.capabilities.provide(key, thing)
        self.services.applications.register(
            "voicemail", lambda session: VoicemailCall(session, self.services, Options(**options), sounds, dispatch)
        )

    def call(self, mode: str = "box") -> int:
        call = self.offer("anna", (("P-App-Param", f"mod={mode};uid=17;did=3;eml=a@b.example"),))
        self.settle()
        return call

    def settle(self) -> None:
        while self.waiting:
            asyncio.run(self.waiting.pop(0))  # type: ignore[arg-type]
            self.run()

    def connect(self, mode: str = "box") -> Session:
        return self.confirm(self.call(mode))

    def play_on(self, session: Session, items: int = 1) -> None:
        for _ in range(items):
            self.media.finish_item(session.leg)
            self.run()

    def recording(self, session: Session, **limits: int) -> StartRecording:
        """Through greeting and beep."""
        self.play_on(session, 2)
        [command] = [command for command in self.media.commands if isinstance(command, StartRecording)]
        return command

    def ends(self, command: StartRecording, reason: str) -> None:
        self.sessions.on_media_event(RecordingStopped(command.leg, command.path, 2000, 9, reason))
        self.run()

    def told(self, fate: MessageFate) -> None:
        [(_, told)] = self.noted.ended
        told(fate)
        self.run()


def test_greeting_beep_recording_and_what_is_said_of_it(tmp_path: Path) -> None:
    book = Book(tmp_path, ("stored",), max_record_time=7, silence_end=1.5)
    session = book.connect()
    assert book.media.files(session.leg) == ["greeting", "beep"]
    command = book.recording(session)
    assert (command.length_ms, command.silence_ms, Path(command.path).name) == (7000, 1500, f"{session.id}.wav")
    book.ends(command, "silence")
    assert book.media.files(session.leg) == []  # nothing is promised before it is kept
    book.told(MessageFate.KEPT)
    assert book.media.files(session.leg) == ["stored"]
    book.play_on(session)
    assert book.sip.of(sip.Hangup, session.call) and not book.noted.empty


@pytest.mark.parametrize(
    ("fate", "further", "said"),
    [
        (MessageFate.KEPT, (), ["beep"]), (MessageFate.FAILED, ("not_stored",), ["not_stored"]), (MessageFate.FAILED, (), []),
        (MessageFate.NOTHING, ("stored",), []),
    ],
)  # fmt: skip
def test_farewells(tmp_path: Path, fate: MessageFate, further: tuple[str, ...], said: list[str]) -> None:
    book = Book(tmp_path, further)
    session = book.connect()
    book.ends(book.recording(session), "length")
    book.told(fate)
    if fate is MessageFate.NOTHING:
        assert book.sip.of(sip.Hangup, session.call)
        return
    assert book.media.files(session.leg) == said
    if not said:
        assert isinstance(book.media.current(session.leg), PlayTone), "an error tone, for there is no prompt"
    while session.leg in book.media.legs and book.media.legs[session.leg].playlist:
        book.play_on(session)
    assert book.sip.of(sip.Hangup, session.call)


@pytest.mark.parametrize("state", ["greeting", "beep", "recording", "keeping", "farewell"])
def test_a_hang_up_in_each_state(tmp_path: Path, state: str) -> None:
    book = Book(tmp_path)
    session = book.connect()
    if state == "beep":
        book.play_on(session)
    if state in ("recording", "keeping", "farewell"):
        command = book.recording(session)
    if state in ("keeping", "farewell"):
        book.ends(command, "silence")
    if state == "farewell":
        book.told(MessageFate.KEPT)
    book.bye(session)
    assert len(book.sessions) == 0
    if state == "recording":
        book.ends(command, "closed")
    assert len(book.noted.empty) == (state in ("greeting", "beep"))
    assert len(book.noted.ended) == (state in ("recording", "keeping", "farewell"))
    if book.noted.ended:
        book.told(MessageFate.KEPT)  # nobody is there any more, and that hurts nobody


def test_a_call_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    book = Book(tmp_path)
    call = book.call()
    book.sessions.on_sip_event(sip.CallEnded(call, 487, "Request Terminated", "cancel"))
    book.run()
    assert len(book.sessions) == 0 and not book.noted.empty


@pytest.mark.parametrize(
    ("has", "further", "answer", "said"),
    [
        (MessageRoom.FULL, ("full",), 200, ["full"]), (MessageRoom.FULL, (), 480, []),
        (MessageRoom.NONE, ("not_stored",), 200, ["not_stored"]), (MessageRoom.NONE, (), 500, []),
    ],
)  # fmt: skip
def test_who_can_leave_nothing_is_told_before_he_speaks(
    tmp_path: Path, has: MessageRoom, further: tuple[str, ...], answer: int, said: list[str]
) -> None:
    book = Book(tmp_path, further)
    book.noted.has = has
    call = book.call()
    assert book.answers(call)[-1] == answer
    if said:
        session = book.confirm(call)
        assert book.media.files(session.leg) == said
        book.play_on(session)
        assert book.sip.of(sip.Hangup, call) and not book.noted.empty


def test_announcement_only(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.noted.has = MessageRoom.NONE
    session = book.connect("ann")
    assert book.media.files(session.leg) == ["greeting"]
    book.play_on(session)
    assert book.sip.of(sip.Hangup, session.call) and not book.noted.empty


@pytest.mark.parametrize("wanted", [True, False])
def test_a_users_own_greeting(tmp_path: Path, wanted: bool) -> None:
    book = Book(tmp_path, try_personal_greeting=wanted)
    book.greetings.path = tmp_path / "3-prompts.wav"
    book.greetings.path.touch()
    current = book.media.current(book.connect().leg)
    assert current == PlayFile(str(book.greetings.path if wanted else tmp_path / "greeting.wav"))


def test_the_media_process_dies_in_a_recording(tmp_path: Path) -> None:
    book = Book(tmp_path)
    session = book.connect()
    command = book.recording(session)
    book.ends(command, "the media process that recorded it is lost")
    book.sessions.media_lost("media process lost")
    book.run()
    assert len(book.noted.ended) == 1 and len(book.sessions) == 0 and not book.noted.empty


def test_a_stranger_asks_for_nothing(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.source_ip = "198.51.100.7"
    call = book.call()
    assert book.answers(call) == [500] and len(book.sessions) == 0


def test_without_storage_or_queue_the_modes_that_need_them_are_refused(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.services.capabilities._provided.clear()
    assert [book.answers(book.call(mode)) for mode in ("box", "voicemail", "both")] == [[500]] * 3
