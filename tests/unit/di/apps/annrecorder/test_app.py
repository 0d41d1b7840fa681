# SPDX-License-Identifier: GPL-2.0-or-later
"""Each state of the recorder with its keys, its silence, and a caller who hangs up there. Keys and audio of real calls: tests/peers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from di.apps.annrecorder import PLUGIN
from di.calls.session import Session
from di.kernel.errors import ConfigError
from di.sip import records as sip
from di.stores.messages import MESSAGES, BoxOwner, Existing, MsgCode, OpenedMessage, Stored
from media.control.play_items import PlayFile
from media.control.recording_records import RecordingStopped, StartRecording, StopRecording
from tests.support.playbook import Playbook

NAMES = ("welcome", "your_prompt", "to_record", "confirm", "greeting_set", "not_set", "bye", "beep")


class OneGreeting:
    """Message storage with a greeting or none, that stores or does not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.present: Path | None = None
        self.code = MsgCode.OK
        self.stored: list[tuple[BoxOwner, str, bytes, Existing]] = []
        self._count = 0

    def recording_path(self, suffix: str = "wav") -> Path:
        self._count += 1
        return self.folder / f"new{self._count}.{suffix}"

    async def open(self, owner: BoxOwner, name: str) -> OpenedMessage:
        return OpenedMessage(MsgCode.OK if self.present else MsgCode.NOT_FOUND, self.present)

    async def store(self, owner: BoxOwner, name: str, recording: Path, existing: Existing = Existing.RENAME) -> Stored:
        if self.code is MsgCode.OK:
            self._take(owner, name, recording, existing)
        return Stored(self.code, name, "the disk is full" if self.code else "")

    def _take(self, owner: BoxOwner, name: str, recording: Path, existing: Existing) -> None:
        self.stored.append((owner, name, recording.read_bytes(), existing))
        recording.unlink()


class Book(Playbook):
    """A call to the recorder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(conf_dir=folder, mapping=".=>annrecorder\n")
        for name in (
            *(f"prompts/annrecorder/{name}.wav" for name in NAMES),
            "prompts/greeting.wav",
            "prompts/de/annrecorder/bye.wav",
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
        self.storage = OneGreeting(folder)
        self.services.capabilities.provide(MESSAGES, self.storage)  # type: ignore[arg-type]
        self.load(PLUGIN)
        self.session_ = self._settled(lambda: self.up("x", (("P-App-Param", "uid=17;did=3;lng=de"),)))

    def _settled(self, step: Callable[[], Session]) -> Session:
        result = step()
        self.settle()
        return result

    def settle(self) -> None:
        """Let what waits for a thread come to its end."""
        while self.waiting:
            asyncio.run(self.waiting.pop(0))  # type: ignore[arg-type]
            self.run()

    @property
    def plays(self) -> list[str]:
        return self.media.files(self.session_.leg)

    def say_all(self) -> None:
        """Everything queued is played."""
        leg = self.session_.leg
        while leg in self.media.legs and self.media.legs[leg].playlist:
            if not isinstance(self.media.current(leg), PlayFile):
                return
            self.media.finish_item(leg)
            self.run()

    def press(self, keys: str) -> None:
        self.media.press(self.session_.leg, keys)
        self.run()
        self.settle()

    def recording(self) -> Path:
        return Path([c for c in self.media.commands if isinstance(c, StartRecording)][-1].path)

    def record(self, length_ms: int = 2000, reason: str = "asked") -> None:
        """From START through a whole recording that a key ends."""
        self.press("5")
        self.say_all()
        self.recording().write_bytes(b"greeting")
        if reason == "asked":
            self.press("5")
            assert isinstance(self.media.commands[-1], StopRecording)
        self.sessions.on_media_event(RecordingStopped(self.session_.leg, str(self.recording()), length_ms, 9, reason))
        self.run()
        self.settle()

    def is_over(self) -> bool:
        return bool(self.sip.of(sip.Hangup, self.session_.call))


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path)


def test_the_default_greeting_is_played_first(book: Book) -> None:
    assert book.plays == ["welcome", "your_prompt", "greeting", "to_record"]


def test_who_presses_nothing_hears_good_bye(book: Book) -> None:
    book.say_all()
    book.run(19.9)
    assert book.plays == [] and not book.is_over()
    book.run(0.2)
    assert book.plays == ["bye"]
    assert str(book.media.current(book.session_.leg)).count("de/annrecorder/bye") == 1
    book.say_all()
    assert book.is_over()


@pytest.mark.parametrize("reason", ["asked", "length"])
def test_a_greeting_is_recorded_heard_and_set(book: Book, reason: str) -> None:
    book.record(reason=reason)
    assert book.plays == ["your_prompt", "new1", "confirm"]
    book.press("1")
    assert book.storage.stored == [(BoxOwner("3-prompts", "17"), "vm.wav", b"greeting", Existing.REPLACE)]
    assert book.plays == ["greeting_set", "bye"]
    book.say_all()
    assert book.is_over()


def test_silence_after_the_review_sets_it(book: Book) -> None:
    book.record()
    book.say_all()
    book.run(20.1)
    book.settle()
    assert len(book.storage.stored) == 1


def test_another_key_begins_anew_without_a_time(book: Book) -> None:
    book.record()
    first = book.recording()
    book.press("2")
    assert book.plays == ["to_record"] and not first.exists()
    book.say_all()
    book.run(3600)
    assert not book.is_over()
    book.record()
    assert book.plays == ["your_prompt", "new2", "confirm"]


def test_a_slip_of_the_finger_is_no_greeting(book: Book) -> None:
    book.record(length_ms=100)
    assert book.plays == ["to_record"] and not book.recording().exists()


@pytest.mark.parametrize("broken", ["storage", "media"])
def test_what_cannot_be_set_is_said(book: Book, caplog: pytest.LogCaptureFixture, broken: str) -> None:
    if broken == "storage":
        book.storage.code = MsgCode.NO_SPACE
        book.record()
        book.press("1")
    else:
        book.record(reason="No space left on device")
    assert book.plays == ["not_set", "bye"] and not book.storage.stored
    assert f"call {book.session_.id}: annrecorder: " in caplog.text and (
        "the disk is full" in caplog.text or "No space" in caplog.text
    )
    book.say_all()
    book.settle()
    assert book.is_over() and not book.recording().exists()


@pytest.mark.parametrize("state", ["start", "beep", "recording", "review", "leaving"])
def test_who_hangs_up_changes_nothing_and_leaves_nothing(book: Book, state: str) -> None:
    if state in ("beep", "recording"):
        book.press("5")
    if state == "recording":
        book.say_all()
        book.recording().write_bytes(b"half")
    if state == "review":
        book.record()
    if state == "leaving":
        book.say_all()
        book.run(21)
    book.bye(book.session_)
    book.settle()
    if state == "recording":
        assert book.recording().exists()
        book.sessions.on_media_event(RecordingStopped(book.session_.leg, str(book.recording()), 500, 9, "closed"))
        book.settle()
    assert not list(book.services.conf_dir.glob("new*")) and not book.storage.stored


def test_without_storage_or_greeting_the_start_stops(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="annrecorder needs msg_storage before it"):
        Playbook(conf_dir=tmp_path).load(PLUGIN)
    own = Playbook(conf_dir=tmp_path)
    own.services.capabilities.provide(MESSAGES, OneGreeting(tmp_path))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"default_announce: there is no file .*greeting\.wav"):
        own.load(PLUGIN)
