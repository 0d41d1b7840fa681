# SPDX-License-Identifier: GPL-2.0-or-later
"""Recordings on their way to mail queue and box: each way blocked and free again, each kind of end, what a crash leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from di.apps.voicemail.dispatch import Dispatch, DispatchRules, MessageFate, MessageRoom
from di.apps.voicemail.order import VoicemailMode, VoicemailOrder
from di.apps.voicemail.templates import VARIABLES, read_template
from di.stores.mailing import MAIL, Mail, Queued
from di.stores.messages import MESSAGES, BoxOwner, Existing, MsgCode, OpenedMessage, Stored
from media.control.recording_records import RecordingStopped
from tests.support import tones
from tests.support.bare_hub import HandClock, bare_services

TEMPLATE = "subject: From %sender%\nto: %email%\nfrom: vm@here.example\n\n%vmsg_length% s for %user%"
RULES = DispatchRules({"default": read_template(TEMPLATE, VARIABLES)}, "wav", 0, 0, True, 0)
ORDER = VoicemailOrder(VoicemailMode.BOTH, "", "anna@shop.example", "anna", "sip:ben@there.example", "d", "vm", "17", "3", 1700)
OWNER = BoxOwner("3", "17")
NAME = "1700+sip_ben@there.example.wav"


@dataclass
class Mails:
    """A mail queue that takes mails, or does not."""

    cause: str = ""
    taken: dict[str, tuple[Mail, bytes]] = field(default_factory=dict)

    async def submit(self, mail: Mail) -> Queued:
        if not self.cause:
            [attachment] = mail.attachments
            self.taken[mail.key] = mail, await asyncio.to_thread(attachment.path.read_bytes)
        return Queued(not self.cause, self.cause)


@dataclass
class Boxes:
    """Message storage with one box: name → contents."""

    folder: Path
    code: MsgCode = MsgCode.OK
    box: dict[str, bytes] = field(default_factory=dict)

    async def room_for(self, owner: BoxOwner) -> Stored:
        return Stored(self.code, cause="it is full" if self.code else "")

    async def open(self, owner: BoxOwner, name: str) -> OpenedMessage:
        return await asyncio.to_thread(self._open, name)

    def _open(self, name: str) -> OpenedMessage:
        path = self.folder / name
        path.write_bytes(self.box[name])
        return OpenedMessage(MsgCode.OK, path)

    async def store(self, owner: BoxOwner, name: str, recording: Path | None, existing: Existing = Existing.RENAME) -> Stored:
        assert owner == OWNER
        if self.code:
            return Stored(self.code, cause="it is full")
        if name in self.box and existing is Existing.REFUSE:
            return Stored(MsgCode.EXISTS)
        data = b"" if recording is None else await asyncio.to_thread(self._take, recording)
        name = name if name not in self.box else name.replace(".wav", ".2.wav")
        self.box[name] = data
        return Stored(MsgCode.OK, name)

    @staticmethod
    def _take(recording: Path) -> bytes:
        data = recording.read_bytes()
        recording.unlink()
        return data


@dataclass
class Rig:
    """A dispatch between the two."""

    dispatch: Dispatch
    clock: HandClock
    mails: Mails
    boxes: Boxes
    fates: list[MessageFate] = field(default_factory=list)

    @property
    def spool(self) -> Path:
        return self.dispatch.spool

    def left(self) -> list[str]:
        return sorted(path.name for path in self.spool.iterdir() if path.suffix == ".wav")

    def record(self, order: VoicemailOrder = ORDER, reason: str = "asked", length_ms: int = 2000, id: str = "id1") -> bytes:
        """A recording that ends so."""
        entry = self.dispatch.begin(id, order)
        path = tones.write_wav(self.dispatch.path_of(entry), tones.tone(440, length_ms))
        self.dispatch.finish(entry, RecordingStopped(1, str(path), length_ms, 9, reason), self.fates.append)
        return path.read_bytes()

    async def settle(self) -> None:
        """Until nothing is under way."""
        async with asyncio.timeout(20):
            while self.dispatch._tasks:
                await asyncio.wait(set(self.dispatch._tasks))

    async def later(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.settle()


@asynccontextmanager
async def running(
    folder: Path, mails: Mails | None = None, boxes: Boxes | None = None, rules: DispatchRules = RULES
) -> AsyncIterator[Rig]:
    services, clock = bare_services()
    mails, boxes = mails or Mails(), boxes or Boxes(folder)
    things: tuple[tuple[Any, Any], ...] = ((MAIL, mails), (MESSAGES, boxes))
    for key, thing in things:
        services.capabilities.provide(key, thing)
    rig = Rig(Dispatch(services, folder / "spool", rules), clock, mails, boxes)
    await rig.dispatch.open()
    await rig.settle()
    yield rig
    await rig.dispatch.close()


async def test_both_ways(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        sound = rig.record()
        await rig.settle()
        assert rig.fates == [MessageFate.KEPT] and rig.boxes.box == {NAME: sound} and rig.left() == []
        mail, attached = rig.mails.taken["id1"]
        assert attached == sound and mail.subject == "From sip:ben@there.example" and mail.body == "2.00 s for anna"
        assert (
            mail.to[0].address == "anna@shop.example" and mail.attachments[0].name == "message.wav" and mail.attachments[0].copied
        )


@pytest.mark.parametrize(("mode", "mailed", "boxed"), [(VoicemailMode.MAIL, 1, 0), (VoicemailMode.BOX, 0, 1)])
async def test_one_way(tmp_path: Path, mode: VoicemailMode, mailed: int, boxed: int) -> None:
    async with running(tmp_path) as rig:
        rig.record(replace(ORDER, mode=mode))
        await rig.settle()
        assert (rig.fates, len(rig.mails.taken), len(rig.boxes.box), rig.left()) == ([MessageFate.KEPT], mailed, boxed, [])


@pytest.mark.parametrize("blocked", ["mail", "box"])
async def test_one_of_two_ways_is_enough_and_the_other_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, blocked: str
) -> None:
    async with running(tmp_path) as rig:
        rig.mails.cause = "the disk is full" if blocked == "mail" else ""
        rig.boxes.code = MsgCode.NO_SPACE if blocked == "box" else MsgCode.OK
        sound = rig.record()
        await rig.settle()
        assert rig.fates == [MessageFate.KEPT] and rig.left() == ["id1.wav"] and rig.dispatch.unfinished == 1
        assert "call id1: voicemail: " in caplog.text and "it is tried again in 30 s" in caplog.text
        await rig.later(31)
        assert rig.dispatch.unfinished == 1 and "again in 60 s" in caplog.text
        rig.mails.cause, rig.boxes.code = "", MsgCode.OK
        await rig.later(61)
        assert rig.boxes.box == {NAME: sound} and [data for _, data in rig.mails.taken.values()] == [sound]
        assert rig.left() == [] and rig.dispatch.unfinished == 0


async def test_no_way_means_that_nothing_is_promised(tmp_path: Path) -> None:
    mails, boxes = Mails("the disk is full"), Boxes(tmp_path, MsgCode.NO_SPACE)
    async with running(tmp_path, mails, boxes) as rig:
        rig.record()
        await rig.settle()
        assert rig.fates == [MessageFate.FAILED] and rig.left() == ["id1.wav"]
    async with running(tmp_path, Mails(), Boxes(tmp_path)) as rig:  # a start later
        assert len(rig.mails.taken) == len(rig.boxes.box) == 1 and rig.left() == []


@pytest.mark.parametrize(
    ("reason", "length_ms", "min_ms", "silence_ms", "fate"),
    [
        ("closed", 500, 1000, 0, MessageFate.NOTHING), ("closed", 1000, 1000, 0, MessageFate.KEPT), ("closed", 0, 0, 0, MessageFate.NOTHING),
        ("silence", 3100, 0, 3000, MessageFate.NOTHING), ("silence", 3400, 0, 3000, MessageFate.KEPT),
        ("silence", 3400, 1000, 3000, MessageFate.NOTHING), ("length", 3100, 0, 3000, MessageFate.KEPT),
    ],
)  # fmt: skip
async def test_what_is_too_little(
    tmp_path: Path, reason: str, length_ms: int, min_ms: int, silence_ms: int, fate: MessageFate
) -> None:
    rules = replace(RULES, min_ms=min_ms, silence_ms=silence_ms)
    async with running(tmp_path, rules=rules) as rig:
        rig.record(reason=reason, length_ms=length_ms)
        await rig.settle()
        assert rig.fates == [fate] and rig.left() == []
        assert len(rig.mails.taken) == (fate is MessageFate.KEPT)
        assert [len(data) > 0 for data in rig.boxes.box.values()] == [fate is MessageFate.KEPT]


async def test_empty_messages_can_be_switched_off_and_are_for_boxes(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.dispatch.nothing_said("a", replace(ORDER, mode=VoicemailMode.MAIL))
        rig.dispatch.rules = replace(RULES, save_empty=False)
        rig.dispatch.nothing_said("b", ORDER)
        await rig.settle()
        assert rig.boxes.box == {}
        rig.dispatch.rules = RULES
        rig.dispatch.nothing_said("c", ORDER)
        await rig.settle()
        assert rig.boxes.box == {NAME: b""} and rig.dispatch.totals["nothing"] == 3


async def test_a_recording_that_broke_off_is_not_promised_and_yet_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running(tmp_path) as rig:
        sound = rig.record(reason="No space left on device")
        await rig.settle()
        assert rig.fates == [MessageFate.FAILED] and rig.boxes.box == {NAME: sound} and rig.left() == []
        assert "broke off: No space left on device" in caplog.text


# --------------------------------------------------------------------------------------------------------- after a crash
async def crashed(folder: Path, order: VoicemailOrder = ORDER, file: bool = True) -> bytes:
    """A server that dies in a recording; what it had recorded."""
    async with running(folder) as rig:
        entry = rig.dispatch.begin("id1", order)
        await rig.settle()
        rig.dispatch._recorded.clear()
        if not file:
            return b""
        return tones.write_wav(rig.dispatch.path_of(entry), tones.tone(440, 1500)).read_bytes()


async def test_a_start_takes_up_what_a_crash_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sound = await crashed(tmp_path)
    (tmp_path / "spool" / "id0-twin.wav").touch()
    async with running(tmp_path) as rig:
        assert rig.boxes.box == {NAME: sound} and [data for _, data in rig.mails.taken.values()] == [sound]
        assert rig.left() == []
    assert "1 recordings were not handed over when the server ended" in caplog.text


async def test_a_recording_that_never_began_leaves_nothing(tmp_path: Path) -> None:
    await crashed(tmp_path, file=False)
    async with running(tmp_path) as rig:
        assert not rig.boxes.box and not rig.mails.taken
    async with running(tmp_path) as rig:
        assert await rig.dispatch._journal.run(lambda c: c.execute("SELECT count(*) FROM recordings").fetchone()) == (0,)


@pytest.mark.parametrize("same", [True, False])
async def test_what_lies_in_the_box_already_is_not_put_there_again(tmp_path: Path, same: bool) -> None:
    sound = await crashed(tmp_path, replace(ORDER, mode=VoicemailMode.BOX))
    boxes = Boxes(tmp_path, box={NAME: sound if same else b"of another call in the same second"})
    async with running(tmp_path, boxes=boxes) as rig:
        assert list(boxes.box) == ([NAME] if same else [NAME, NAME.replace(".wav", ".2.wav")])
        assert sound in boxes.box.values() and rig.left() == []


async def test_a_stop_waits_for_the_file_of_a_call_that_has_just_ended(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        entry = rig.dispatch.begin("id1", ORDER)
        path = tones.write_wav(rig.dispatch.path_of(entry), tones.tone(440, 1000))
        record = RecordingStopped(1, str(path), 1000, 9, "closed")
        asyncio.get_running_loop().call_later(0.2, lambda: rig.dispatch.finish(entry, record, rig.fates.append))
    assert rig.fates == [MessageFate.KEPT] and len(rig.mails.taken) == 1


async def test_room(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running(tmp_path) as rig:
        box = replace(ORDER, mode=VoicemailMode.BOX)
        assert await rig.dispatch.room(ORDER, "c") is MessageRoom.ENOUGH
        rig.boxes.code = MsgCode.NO_SPACE
        assert await rig.dispatch.room(box, "c") is MessageRoom.FULL
        assert await rig.dispatch.room(ORDER, "c") is MessageRoom.ENOUGH  # the mail is left
        rig.boxes.code = MsgCode.STORAGE
        assert await rig.dispatch.room(box, "c") is MessageRoom.NONE
        rig.dispatch.rules = replace(RULES, min_free_mb=1 << 40)
        assert await rig.dispatch.room(ORDER, "c") is MessageRoom.NONE
        assert "less than min_free_mb: make room there" in caplog.text
        rig.dispatch.spool = tmp_path / "gone"
        assert await rig.dispatch.room(ORDER, "c") is MessageRoom.NONE
